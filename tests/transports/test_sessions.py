"""Which sessions are open, which can be reached, and that each end is told once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import pytest

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.transports.sessions import Sessions
from tests.harness import LIMIT_S, Era, toy
from tests.transports.support import FREE_TOOLS, Place, serving, token

pytestmark = pytest.mark.anyio


async def test_a_session_is_reached_while_a_stream_of_it_is_open() -> None:
    sessions = Sessions()
    sessions.open("a")
    assert not sessions.reaches("a")
    with sessions.stream("a"), sessions.stream("unknown"):
        assert sessions.reaches("a")
        assert not sessions.reaches("unknown")
    assert not sessions.reaches("a")


async def test_the_end_of_a_session_is_told_once() -> None:
    sessions = Sessions()
    ended: list[str] = []
    async with anyio.create_task_group() as tasks:
        await tasks.start(sessions.run, ended.append)
        sessions.open("a")
        sessions.end("a")
        sessions.end("a")
        sessions.end("unknown")
        tasks.cancel_scope.cancel()
    assert ended == ["a"]


async def test_an_idle_session_ends_and_a_busy_one_does_not() -> None:
    sessions = Sessions(idle_s=0.05)
    ended: list[str] = []
    told = anyio.Event()

    def note(session: str) -> None:
        ended.append(session)
        told.set()

    async with anyio.create_task_group() as tasks:
        await tasks.start(sessions.run, note)
        sessions.open("busy")
        sessions.open("idle")
        with sessions.request("busy"), anyio.fail_after(5):
            await told.wait()
            assert ended == ["idle"]
            told = anyio.Event()
        with anyio.fail_after(5):
            await told.wait()
        tasks.cancel_scope.cancel()
    assert ended == ["idle", "busy"]


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_what_has_not_started_is_cancelled_as_its_sse_stream_ends(era: Era, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"mcpServers": {"toy": toy(tools=FREE_TOOLS)}}))
    app = App(load_file(file, os.environ), None, serves_network=True)
    async with serving(app, "sse") as url:
        async with Place("sse", url, None).client(era) as client:
            running = await token(client, "hold", key="k")
            await token(client, "echo", text=running)
        _, waiting = app.gateway.table
        with anyio.fail_after(LIMIT_S):
            await waiting.settled.wait()
    assert waiting.record.state == "cancelled"
