"""Children that are there and do nothing (SIGSTOP): noticed by asking, and replaced where that harms no call."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.patience import Patience
from asyncfc_mcp.downstream.status import ConnectionState
from tests.downstream.support import ERAS, connected, eras, odd, seen_by
from tests.failures.support import WATCHFUL, child, frozen, gone, stands

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be frozen by a signal there"),
]


async def asked_once(connection: Connection, is_asked: Callable[[], Awaitable[bool]] | None = None) -> None:
    """Wait until the server, which answers in turn, says that it was asked: by then it is judged by its answers."""
    while not await (is_asked or partial(_was_pinged, connection))():  # noqa: ASYNC110 - it is asked in a silence
        await anyio.sleep(2 * WATCHFUL.first_quiet_s)


async def _was_pinged(connection: Connection) -> bool:
    return (await connection.call_tool("pings", {})).text != "0"


async def test_a_frozen_server_with_nothing_to_do_is_replaced_so_that_the_next_call_reaches_a_living_one() -> None:
    with capture_logs() as logs, anyio.fail_after(20):
        async with connected(odd("plain", "idle"), patience=WATCHFUL) as connection:
            await asked_once(connection)
            before = child("odd.py", "idle")
            with frozen(before):
                await stands(connection, ConnectionState.UNRESPONSIVE)
                assert "does not answer" in (connection.status.message or "")
                assert (await connection.call_tool("echo", {"a": 1})).text == '{"a": 1}'
                await gone(before)
            assert child("odd.py", "idle").pid != before.pid
    (lost,) = (line for line in logs if line["event"] == "server_lost")
    assert "it did not answer for" in lost["why"]
    assert len([line for line in logs if line["event"] == "server_unresponsive"]) == 1


async def _was_discovered_again(connection: Connection) -> bool:
    return [message["method"] for message in await seen_by(connection)].count("server/discover") > 1


async def test_a_modern_server_is_asked_too() -> None:
    with anyio.fail_after(20):
        async with connected(eras("modern"), patience=WATCHFUL) as connection:
            await asked_once(connection, partial(_was_discovered_again, connection))
            before = child(ERAS.name)
            with frozen(before):
                await gone(before)
            await connection.call_tool("seen", {})


async def test_a_server_that_wakes_up_in_time_is_kept_and_gets_the_calls_that_came_meanwhile() -> None:
    patience = Patience(first_quiet_s=0.05, quiet_s=0.1, answer_limit_s=0.3, replace_after_s=15)
    answers: list[str | None] = []

    async def call() -> None:
        answers.append((await connection.call_tool("echo", {"a": 1})).text)

    with anyio.fail_after(20):
        async with connected(odd("plain", "napping"), patience=patience) as connection:
            await asked_once(connection)
            before = child("odd.py", "napping")
            async with anyio.create_task_group() as tasks:
                with frozen(before):
                    await stands(connection, ConnectionState.UNRESPONSIVE)
                    tasks.start_soon(call)
                    await anyio.lowlevel.checkpoint()
                await stands(connection, ConnectionState.READY)
            assert child("odd.py", "napping").pid == before.pid
    assert answers == ['{"a": 1}']


async def test_a_frozen_server_with_a_call_in_flight_is_shown_and_left_alone() -> None:
    answers: list[str | None] = []

    async def call() -> None:
        answers.append((await connection.call_tool("huge", {"size": 1})).text)

    with anyio.fail_after(20):
        async with connected(odd("plain", "busy"), patience=WATCHFUL) as connection:
            await asked_once(connection)
            before = child("odd.py", "busy")
            async with anyio.create_task_group() as tasks:
                with frozen(before):
                    tasks.start_soon(call)
                    await stands(connection, ConnectionState.UNRESPONSIVE)
                    assert "it may be busy with its calls" in (connection.status.message or "")
                    # longer than any patience with one that had nothing to do
                    await anyio.sleep(2 * WATCHFUL.replace_after_s)
                    assert connection.status.state is ConnectionState.UNRESPONSIVE
            assert answers == ["x"]
            await stands(connection, ConnectionState.READY)
            assert child("odd.py", "busy").pid == before.pid


async def test_a_server_whose_answer_comes_as_patience_ends_is_kept() -> None:
    async def call() -> None:
        await connection.call_tool("echo", {})

    with anyio.fail_after(20):
        async with connected(odd("plain", "late"), patience=WATCHFUL) as connection:
            await asked_once(connection)
            before = child("odd.py", "late")
            async with anyio.create_task_group() as tasks:
                with frozen(before):
                    tasks.start_soon(call)
                    await stands(connection, ConnectionState.UNRESPONSIVE)
                # held up ourselves: the answer and the end of the time for it are found in one turn of the event loop
                time.sleep(2 * WATCHFUL.replace_after_s)  # noqa: ASYNC251
            await stands(connection, ConnectionState.READY)
            assert child("odd.py", "late").pid == before.pid


async def test_a_server_that_never_answers_such_questions_is_not_judged_by_them() -> None:
    with capture_logs() as logs, anyio.fail_after(20):
        async with connected(odd("ignores_pings"), patience=WATCHFUL) as connection:
            await connection.call_tool("echo", {})
            began = time.monotonic()
            while time.monotonic() - began < 1.5:
                assert connection.status.state is ConnectionState.READY
                await anyio.sleep(0.05)
            assert (await connection.call_tool("echo", {})).text == "{}"
    assert any(line["event"] == "server_stderr" and line["line"] == "a ping" for line in logs)
    assert not any(line["event"] == "server_lost" for line in logs)


async def test_asking_a_living_server_changes_nothing_and_is_no_event() -> None:
    patience = Patience(first_quiet_s=0.01, quiet_s=0.01)
    with capture_logs() as logs, anyio.fail_after(20):
        async with connected(odd(), patience=patience) as connection:
            for number in range(20):
                await connection.call_tool("echo", {"n": number})
                await anyio.sleep(0.03)
            assert connection.status.state is ConnectionState.READY
    assert {line["event"] for line in logs} == {"server_ready"}
