"""One body of claims over stdio, streamable HTTP of both eras, and SSE."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, StdioEntry
from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.outcome import DownstreamLost, DownstreamUnavailable, RpcError
from asyncfc_mcp.downstream.status import ConnectionState
from tests.downstream.support import connected, entry, free_port, listening, reached, running

pytestmark = pytest.mark.anyio

MODERN = Path(__file__).parent / "servers" / "modern.py"
TRANSPORTS = ["stdio", "http", "legacy_http", "sse"]


@asynccontextmanager
async def serving(kind: str, port: int) -> AsyncGenerator[None]:
    async with listening(str(MODERN), kind, str(port)):
        yield


def remote(kind: str, port: int) -> ServerEntry:
    path = "sse" if kind == "sse" else "mcp"
    headers = {"X-Secret": "hush-hush"}
    return entry(
        "far",
        RemoteEntry(url=f"http://127.0.0.1:{port}/{path}", headers=headers, type="sse" if kind == "sse" else "http"),
    )


@asynccontextmanager
async def offered(kind: str) -> AsyncGenerator[ServerEntry]:
    if kind == "stdio":
        yield entry("near", StdioEntry(command=sys.executable, args=(str(MODERN),)))
        return
    port = free_port()
    async with serving(kind, port):
        yield remote(kind, port)


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_a_call_answers_and_the_era_is_the_servers(kind: str) -> None:
    with anyio.fail_after(60):
        async with offered(kind) as server, connected(server) as connection:
            assert (await connection.call_tool("echo", {"text": "hé"})).text == "hé"
            status = connection.status
    expected = "2025-11-25" if kind == "legacy_http" else "2026-07-28"
    assert (status.protocol_version, status.server_name, status.instructions) == (expected, "modern", "Be modern.")


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_progress_reaches_the_caller(kind: str) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    with anyio.fail_after(60):
        async with offered(kind) as server, connected(server) as connection:
            await connection.call_tool("steps", {}, on_progress=note)
            while len(seen) < 3:
                await anyio.lowlevel.checkpoint()
    assert min(seen) == (1.0, 3.0, "step 1")


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_asking_to_cancel_reaches_the_server(kind: str) -> None:
    cancel = CancelRequest()
    with anyio.fail_after(60):
        async with offered(kind) as server, connected(server) as connection, anyio.create_task_group() as tasks:

            async def call() -> None:
                # Some servers answer a cancelled request with an error, most with nothing.
                with suppress(RpcError):
                    await connection.call_tool("sleep_until_cancelled", {}, cancel_requested=cancel)

            async def sleeping() -> str | None:
                return (await connection.call_tool("sleeping", {})).text

            tasks.start_soon(call)
            while await sleeping() != "1":
                await anyio.lowlevel.checkpoint()
            cancel.set()
            while await sleeping() != "0":
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_a_changed_list_is_noticed(kind: str) -> None:
    with anyio.fail_after(60):
        async with offered(kind) as server, running([server]) as pool:
            before = len(await pool.catalog.tools())
            connection = pool.connection(server.key)
            await connection.call_tool("echo", {"text": ""})
            await connection.call_tool("grow", {})
            while len(await pool.catalog.tools()) == before:
                await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("kind", ["http", "legacy_http"])
async def test_a_large_answer_comes_over_http(kind: str) -> None:
    with anyio.fail_after(60):
        async with offered(kind) as server, connected(server) as connection:
            outcome = await connection.call_tool("size", {"count": 5_000_000})
    assert len(outcome.text or "") == 5_000_000


@pytest.mark.parametrize("kind", ["http", "legacy_http"])
async def test_more_than_a_hundred_calls_are_outstanding_at_once(kind: str) -> None:
    with anyio.fail_after(60):
        async with offered(kind) as server, connected(server) as connection, anyio.create_task_group() as tasks:
            await connection.call_tool("echo", {"text": ""})
            for _ in range(130):
                tasks.start_soon(connection.call_tool, "sleep_until_cancelled", None)
            while (await connection.call_tool("sleeping", {})).text != "130":
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["http", "legacy_http"])
async def test_headers_reach_the_server_and_nothing_else(kind: str) -> None:
    with capture_logs() as logs, anyio.fail_after(60):
        async with offered(kind) as server, connected(server) as connection:
            assert (await connection.call_tool("header", {"name": "x-secret"})).text == "hush-hush"
    assert "hush" not in str(logs)


@pytest.mark.parametrize("kind", ["http", "legacy_http", "sse"])
async def test_a_server_that_is_not_there_is_named_without_its_address(kind: str) -> None:
    port = free_port()
    with capture_logs() as logs, anyio.fail_after(60):
        async with connected(remote(kind, port), start_timeout_s=0.5) as connection:
            await reached(connection, ConnectionState.WAITING)
            with pytest.raises(DownstreamUnavailable, match="reached") as raised:
                await connection.call_tool("echo", {"text": ""})
    assert str(port) not in str(raised.value)
    assert str(port) not in str(logs)


@pytest.mark.parametrize("kind", ["http", "legacy_http"])
async def test_a_call_that_a_restarted_server_never_took_is_sent_again(kind: str) -> None:
    port = free_port()
    with anyio.fail_after(60):
        async with connected(remote(kind, port)) as connection:
            for text in ("one", "two"):
                async with serving(kind, port):
                    assert (await connection.call_tool("echo", {"text": text})).text == text


@pytest.mark.parametrize("kind", ["http", "legacy_http", "sse"])
async def test_a_server_that_goes_away_loses_its_calls(kind: str) -> None:
    port = free_port()

    async def lose(connection: Connection) -> None:
        with pytest.raises(DownstreamLost):
            await connection.call_tool("sleep_until_cancelled", {})

    with anyio.fail_after(60):
        async with connected(remote(kind, port)) as connection, anyio.create_task_group() as tasks, serving(kind, port):
            tasks.start_soon(lose, connection)
            while (await connection.call_tool("sleeping", {})).text != "1":
                await anyio.lowlevel.checkpoint()


async def test_a_refused_login_is_told_with_its_status() -> None:
    port = free_port()
    with anyio.fail_after(60):
        async with serving("refusing", port), connected(remote("http", port)) as connection:
            await reached(connection, ConnectionState.WAITING)
            assert connection.status.message == "it answered HTTP 401 Unauthorized"
