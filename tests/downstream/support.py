"""Entries for the test servers, and connections that end with the test."""

from __future__ import annotations

import json
import random
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import Process
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.config.models import (
    DEFAULTS,
    GatewayConfig,
    GatewaySettings,
    RemoteEntry,
    ServerEntry,
    ServerSettings,
    StdioEntry,
)
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.downstream.status import ConnectionState

SERVERS = Path(__file__).parent / "servers"
ODD = SERVERS / "odd.py"
ERAS = SERVERS / "eras.py"
ERAS_HTTP = SERVERS / "eras_http.py"


def entry(key: str, transport: StdioEntry | RemoteEntry, **settings: Any) -> ServerEntry:
    filled = {**DEFAULTS.model_dump(), "trust": isinstance(transport, StdioEntry), **settings}
    return ServerEntry(key=key, transport=transport, settings=ServerSettings.model_validate(filled))


def odd(mode: str = "plain", *arguments: str, key: str = "odd", env: dict[str, str] | None = None, **settings: Any):
    transport = StdioEntry(command=sys.executable, args=(str(ODD), mode, *arguments), env=env or {})
    return entry(key, transport, **settings)


def eras(which: str, **settings: Any) -> ServerEntry:
    """A server of these eras that tells what it was sent, as a child process."""
    return entry("eras", StdioEntry(command=sys.executable, args=(str(ERAS), which)), **settings)


@asynccontextmanager
async def eras_over_http(which: str) -> AsyncGenerator[ServerEntry]:
    """The same at an address."""
    port = free_port()
    async with listening(str(ERAS_HTTP), which, str(port)):
        yield entry("eras", RemoteEntry(url=f"http://127.0.0.1:{port}/mcp"))


def free_port() -> int:
    while True:
        # Below the ports that the system hands out, or a client that keeps trying might end up connected to itself.
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@asynccontextmanager
async def listening(*arguments: str) -> AsyncGenerator[Process]:
    """A server that says when it listens."""
    async with await anyio.open_process([sys.executable, *arguments], stderr=None) as server:
        try:
            assert server.stdout is not None
            assert (await server.stdout.receive()).startswith(b"listening")
            yield server
        finally:
            with suppress(ProcessLookupError):  # one that was asked to end may have ended
                server.kill()


async def seen_by(connection: Connection) -> list[dict[str, Any]]:
    """Every message that an `eras` server was sent so far."""
    return json.loads((await connection.call_tool("seen", {})).text or "")


class Noted:
    """Hooks that give one answer to every request, and note what they are told."""

    def __init__(self, answer: dict[str, Any] | MCPError | None = None) -> None:
        self.asked: list[tuple[tuple[object, ...], str, dict[str, Any] | None]] = []
        self.heard: list[tuple[tuple[object, ...], str, dict[str, Any] | None]] = []
        self._answer = answer or {}

    async def answer(
        self, server: str, owners: Sequence[object], method: str, params: dict[str, Any] | None
    ) -> dict[str, Any]:
        assert server
        self.asked.append((tuple(owners), method, params))
        if isinstance(self._answer, MCPError):
            raise self._answer
        return self._answer

    def notified(self, server: str, owners: Sequence[object], method: str, params: dict[str, Any] | None) -> None:
        assert server
        self.heard.append((tuple(owners), method, params))

    async def hears(self, method: str, times: int = 1) -> None:
        """Wait until it was told that often."""
        with anyio.fail_after(20):
            while [heard for _, heard, _ in self.heard].count(method) < times:
                await anyio.lowlevel.checkpoint()


def config(*entries: ServerEntry) -> GatewayConfig:
    return GatewayConfig(servers=tuple(entries), settings=GatewaySettings())  # pyright: ignore[reportCallIssue]


@asynccontextmanager
async def connected(server: ServerEntry, **options: Any) -> AsyncGenerator[Connection]:
    connection = Connection(server, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        try:
            yield connection
        finally:
            connection.stop()


@asynccontextmanager
async def running(
    entries: Sequence[ServerEntry],
    *,
    state_folder: Path | None = None,
    changes: list[int] | None = None,
    **options: Any,
) -> AsyncGenerator[Pool]:
    def note_change() -> None:
        if changes is not None:
            changes.append(pool.catalog.version)

    pool = Pool(config(*entries), state_folder=state_folder, on_change=note_change, **options)
    async with anyio.create_task_group() as tasks:
        await tasks.start(pool.run)
        yield pool
        tasks.cancel_scope.cancel()


async def reached(connection: Connection, state: ConnectionState) -> None:
    """Wait until the connection stands so; the status has no event of its own for callers."""
    with anyio.fail_after(60):
        while connection.status.state is not state:
            await anyio.lowlevel.checkpoint()
