"""Faults that reviewers found by trying, each kept from coming back."""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from asyncfc_mcp.config.models import RemoteEntry, StdioEntry
from asyncfc_mcp.downstream.outcome import DownstreamLost
from asyncfc_mcp.downstream.status import ConnectionState
from tests.downstream.support import connected, entry, reached, running

pytestmark = pytest.mark.anyio

TOY = Path(__file__).parent.parent / "toy.py"


@contextmanager
def silent_listener() -> Generator[int]:
    """A port that takes connections and never says anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        yield listener.getsockname()[1]


async def test_a_server_that_dies_is_noticed_though_its_helper_holds_the_pipes() -> None:
    server = entry("toy", StdioEntry(command=sys.executable, args=(str(TOY),)))
    with anyio.fail_after(30):
        async with connected(server) as connection:
            await connection.call_tool("start_helper", {})
            with pytest.raises(DownstreamLost):
                await connection.call_tool("die", {})
            assert (await connection.call_tool("echo", {"text": "again"})).text == "again"


@pytest.mark.parametrize("kind", ["sse", "http"])
async def test_a_remote_server_that_never_answers_is_given_up_and_tried_again(kind: str) -> None:
    with silent_listener() as port:
        remote = RemoteEntry.model_validate({"url": f"http://127.0.0.1:{port}/x", "type": kind})
        with anyio.fail_after(30):
            async with connected(entry("silent", remote), handshake_limit_s=0.2) as connection:
                await reached(connection, ConnectionState.WAITING)
                assert "in time" in (connection.status.message or "")


async def test_a_server_that_never_lists_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncfc_mcp.downstream.catalog.LIST_TIMEOUT_S", 0.3)
    server = entry("hung", StdioEntry(command=sys.executable, args=("-c", "import time; time.sleep(100)")))
    with anyio.fail_after(30):
        async with running([server]) as pool:
            began_at = anyio.current_time()
            assert await pool.catalog.tools() == ()
            assert anyio.current_time() - began_at >= 0.3
            monkeypatch.setattr("asyncfc_mcp.downstream.catalog.LIST_TIMEOUT_S", 3_600)
            assert await pool.catalog.tools() == ()
