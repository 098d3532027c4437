"""Which sessions are open, which can be reached, and that each end is told once."""

from __future__ import annotations

import anyio
import pytest

from asyncfc_mcp.transports.sessions import Sessions

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
