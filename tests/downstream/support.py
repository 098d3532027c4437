"""Entries for the test servers, and connections that end with the test."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

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

ODD = Path(__file__).parent / "servers" / "odd.py"


def entry(key: str, transport: StdioEntry | RemoteEntry, **settings: Any) -> ServerEntry:
    filled = {**DEFAULTS.model_dump(), "trust": isinstance(transport, StdioEntry), **settings}
    return ServerEntry(key=key, transport=transport, settings=ServerSettings.model_validate(filled))


def odd(mode: str = "plain", *arguments: str, key: str = "odd", env: dict[str, str] | None = None, **settings: Any):
    transport = StdioEntry(command=sys.executable, args=(str(ODD), mode, *arguments), env=env or {})
    return entry(key, transport, **settings)


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
    entries: Sequence[ServerEntry], *, state_folder: Path | None = None, changes: list[int] | None = None
) -> AsyncGenerator[Pool]:
    def note_change() -> None:
        if changes is not None:
            changes.append(pool.catalog.version)

    pool = Pool(config(*entries), state_folder=state_folder, on_change=note_change)
    async with anyio.create_task_group() as tasks:
        await tasks.start(pool.run)
        yield pool
        tasks.cancel_scope.cancel()


async def reached(connection: Connection, state: ConnectionState) -> None:
    """Wait until the connection stands so; the status has no event of its own for callers."""
    with anyio.fail_after(60):
        while connection.status.state is not state:
            await anyio.lowlevel.checkpoint()
