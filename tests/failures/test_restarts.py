"""Servers that do not start, or do not stay up: tried again, waited for by nobody, given up, and tried for a call."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.outcome import DownstreamUnavailable
from asyncfc_mcp.downstream.patience import Patience
from asyncfc_mcp.downstream.status import ConnectionState
from tests.bounds import bound_s
from tests.downstream.support import connected, odd
from tests.failures.support import quick, stands

pytestmark = pytest.mark.anyio


def events(logs: list[EventDict], name: str) -> list[EventDict]:
    return [line for line in logs if line["event"] == name]


async def refusal(connection: Connection) -> str:
    with pytest.raises(DownstreamUnavailable) as raised:
        await connection.call_tool("echo", {})
    return str(raised.value)


async def test_a_call_waits_for_a_server_that_is_starting_and_for_its_first_retries(tmp_path: Path) -> None:
    go = tmp_path / "go"
    server = odd("starts_when", str(go))

    async def call() -> None:
        await connection.call_tool("echo", {})

    with anyio.fail_after(20):
        async with connected(server, patience=Patience(delay_s=lambda _: 0.05, breaker_attempts=1000)) as connection:
            await stands(connection, ConnectionState.WAITING)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                go.touch()


async def test_after_some_failures_in_a_row_calls_fail_at_once_and_say_when_it_is_tried_again(tmp_path: Path) -> None:
    with capture_logs() as logs, anyio.fail_after(20):
        async with connected(odd("starts_when", str(tmp_path / "go")), patience=quick(3)) as connection:
            said = await refusal(connection)
            tries = connection.status.attempts
            began = time.monotonic()
            for _ in range(100):
                await refusal(connection)
            took_s = time.monotonic() - began
            status = connection.status
    assert "its process exited with code 3" in said
    assert "the call was not sent; it is tried again in " in said
    assert tries == status.attempts == 3
    assert status.fails_fast
    assert took_s < bound_s(10)
    (opened,) = events(logs, "server_breaker_opened")
    assert (opened["server"], opened["attempts"]) == ("odd", 3)


async def test_the_next_try_decides_for_all_calls_that_come_meanwhile(tmp_path: Path) -> None:
    go = tmp_path / "go"
    answers: list[str | None] = []

    async def call() -> None:
        answers.append((await connection.call_tool("echo", {})).text)

    with capture_logs() as logs, anyio.fail_after(20):
        patience = quick(3, pause_when_open_s=0.5)
        async with connected(odd("starts_when", str(go)), patience=patience) as connection:
            await refusal(connection)
            go.write_text("0.5")
            await stands(connection, ConnectionState.CONNECTING)
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(call)
            assert not connection.status.fails_fast
    assert answers == ["{}"] * 3
    assert len(events(logs, "server_breaker_opened")) == len(events(logs, "server_breaker_closed")) == 1


async def test_a_failed_try_fails_the_calls_that_came_meanwhile_at_once(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with anyio.fail_after(20):
        patience = quick(2, pause_when_open_s=0.3)
        async with connected(odd("starts_when", str(go)), patience=patience, start_timeout_s=19) as connection:
            await refusal(connection)
            await stands(connection, ConnectionState.CONNECTING)
            await refusal(connection)
            assert connection.status.attempts >= 3


async def test_a_server_that_never_starts_is_given_up_once_and_for_good(tmp_path: Path) -> None:
    server = odd("starts_when", str(tmp_path / "go"), restart_limit=4)
    with capture_logs() as logs, anyio.fail_after(20):
        async with connected(server, patience=quick(3, pause_when_open_s=0.02)) as connection:
            await stands(connection, ConnectionState.FAILED)
            with anyio.move_on_after(0.3) as nothing_happens:
                await stands(connection, ConnectionState.CONNECTING)
            assert nothing_happens.cancelled_caught
            said = await refusal(connection)
            status = connection.status
    assert (status.attempts, status.is_given_up) == (4, True)
    assert "it was given up after 4 failures in a row; the call was not sent; a call in " in said
    (given_up,) = events(logs, "server_given_up")
    assert given_up["attempts"] == 4


async def test_a_call_tries_a_given_up_server_again_once_in_a_while(tmp_path: Path) -> None:
    go = tmp_path / "go"
    patience = quick(1, called_try_s=2.0)
    with anyio.fail_after(20):
        async with connected(odd("starts_when", str(go), restart_limit=1), patience=patience) as connection:
            await stands(connection, ConnectionState.FAILED)
            await refusal(connection)
            assert connection.status.attempts == 1
            go.touch()
            with anyio.fail_after(5):
                while connection.status.retry_in_s:  # noqa: ASYNC110 - it is time that is waited for
                    await anyio.sleep(0.01)
            assert (await connection.call_tool("echo", {})).text == "{}"
            assert not connection.status.is_given_up


async def test_a_server_that_is_up_only_briefly_each_time_is_given_up() -> None:
    with capture_logs() as logs, anyio.fail_after(20):
        async with connected(odd("dies_once_ready", restart_limit=3), patience=quick(9)) as connection:
            await stands(connection, ConnectionState.FAILED)
            assert connection.status.attempts == 3
            assert "exited with code 5" in await refusal(connection)
    assert len(events(logs, "server_given_up")) == 1


async def test_a_server_that_was_up_for_a_while_starts_again_with_a_clean_slate() -> None:
    patience = Patience(steady_s=0.0, delay_s=lambda _: 0.02)
    with anyio.fail_after(20):
        async with connected(odd(restart_limit=2), patience=patience) as connection:
            for _ in range(4):
                await connection.call_tool("echo", {})
                with pytest.raises(Exception, match="connection to server"):
                    await connection.call_tool("die", {})
            assert (await connection.call_tool("echo", {})).text == "{}"
