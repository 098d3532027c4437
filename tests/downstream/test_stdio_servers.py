from __future__ import annotations

import json
import time
from pathlib import Path

import anyio
import psutil
import pytest
from structlog.testing import capture_logs

from asyncfc_mcp.config.models import StdioEntry
from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.outcome import (
    DownstreamError,
    DownstreamLost,
    DownstreamUnavailable,
    MalformedResult,
    Outcome,
    ResultTooLarge,
    RpcError,
    UnsendableArguments,
)
from asyncfc_mcp.downstream.status import ConnectionState
from tests.bounds import PAUSE_S, bound_s
from tests.downstream.support import connected, entry, odd, reached, running

pytestmark = pytest.mark.anyio


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"a": value}
    return value


async def test_a_result_is_what_the_server_sent() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            outcome = await connection.call_tool("echo", {"a": None, "b": [1.5, "é"]})
    assert outcome.result["content"] == [{"type": "text", "text": '{"a": null, "b": [1.5, "\\u00e9"]}'}]
    assert outcome.result["extra"] == 2
    assert outcome.result["_meta"] == {"x": 1}


async def test_a_tool_error_is_an_outcome() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            assert (await connection.call_tool("fail", {})).is_error


async def test_an_rpc_error_keeps_its_code_and_data() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            with pytest.raises(RpcError) as raised:
                await connection.call_tool("refuse", {})
    assert (raised.value.code, raised.value.message, raised.value.data) == (-32000, "no", {"why": "because"})


async def test_rubbish_on_stdout_is_logged_and_ends_nothing() -> None:
    with capture_logs() as logs, anyio.fail_after(10):
        async with connected(odd("rubbish")) as connection:
            assert (await connection.call_tool("echo", {"a": 1})).text == '{"a": 1}'
    ignored = [line["line"] for line in logs if line["event"] == "server_stdout_ignored"]
    assert ignored[:2] == ["Starting server...", "[1,2]"]


async def test_a_server_that_exits_at_once_is_reported_and_tried_again() -> None:
    with anyio.fail_after(20):
        async with connected(odd("exits_at_once"), start_timeout_s=0.5) as connection:
            while connection.status.attempts < 2:
                await anyio.lowlevel.checkpoint()
            with pytest.raises(DownstreamUnavailable, match="exited with code 3"):
                await connection.call_tool("echo", {})
            status = connection.status
    assert "exited with code 3" in (status.message or "")


async def test_a_command_that_is_not_there_fails_without_the_wait() -> None:
    missing = entry("gone", StdioEntry(command="no-such-command-here", env={"PATH": "/nowhere", "SECRET": "hush"}))
    with anyio.fail_after(5):
        async with connected(missing) as connection:
            with pytest.raises(DownstreamUnavailable) as raised:
                await connection.call_tool("echo", {})
            await reached(connection, ConnectionState.FAILED)
    assert "'no-such-command-here'" in str(raised.value)
    assert "/nowhere" not in str(raised.value)
    assert "hush" not in str(raised.value)


async def test_a_missing_working_folder_is_named() -> None:
    missing = entry("gone", StdioEntry(command="python", cwd=Path("/no/such/folder")))
    with anyio.fail_after(5):
        async with connected(missing) as connection:
            with pytest.raises(DownstreamUnavailable, match="/no/such/folder"):
                await connection.call_tool("echo", {})


async def test_a_server_that_exits_in_a_call_loses_all_calls_at_once_and_comes_back() -> None:
    lost: list[str] = []

    with anyio.fail_after(15):
        async with connected(odd()) as connection:
            await connection.call_tool("echo", {})

            async def call(tool: str) -> None:
                with pytest.raises(DownstreamLost, match="may have taken effect"):
                    await connection.call_tool(tool, {})
                lost.append(tool)

            async with anyio.create_task_group() as tasks:
                for tool in ("never", "never", "die"):
                    tasks.start_soon(call, tool)
            start = time.monotonic()
            assert (await connection.call_tool("echo", {"again": 1})).text == '{"again": 1}'
    assert sorted(lost) == ["die", "never", "never"]
    assert time.monotonic() - start < bound_s(2) + PAUSE_S


async def test_twenty_megabytes_arrive_in_linear_time() -> None:
    with anyio.fail_after(20):
        async with connected(odd()) as connection:
            await connection.call_tool("echo", {})
            start = time.monotonic()
            outcome = await connection.call_tool("huge", {"size": 20_000_000})
            took = time.monotonic() - start
    assert outcome.size_bytes > 20_000_000
    assert took < bound_s(3)


@pytest.mark.parametrize("tool", ["huge", "huge_id_last"])
async def test_an_answer_over_the_limit_ends_the_call_only(tool: str) -> None:
    with anyio.fail_after(30):
        async with connected(odd()) as connection:
            with pytest.raises(ResultTooLarge, match="65 MB long, and the limit is 64 MB"):
                await connection.call_tool(tool, {"size": 65 * 2**20})
            assert (await connection.call_tool("echo", {})).text == "{}"


async def test_a_result_of_150_levels_works_and_a_deeper_one_is_an_error() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            assert (await connection.call_tool("deep", {"levels": 150})).has_structured
            with pytest.raises(RpcError, match="cannot be read"):
                await connection.call_tool("deep", {"levels": 5000})
            assert (await connection.call_tool("echo", {})).text == "{}"


async def test_arguments_of_150_levels_work_and_deeper_ones_are_refused() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            assert await connection.call_tool("echo", {"a": nested(150)})
            for levels in (200, 5000):
                with pytest.raises(UnsendableArguments, match="190 levels"):
                    await connection.call_tool("echo", {"a": nested(levels)})
            assert (await connection.call_tool("echo", {})).text == "{}"


async def test_arguments_of_a_megabyte_pass() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            outcome = await connection.call_tool("echo", {"a": "x" * 1_000_000})
    assert outcome.size_bytes > 1_000_000


@pytest.mark.parametrize(("tool", "kind"), [("malformed", MalformedResult), ("not_an_object", RpcError)])
async def test_a_malformed_result_is_a_clear_error(tool: str, kind: type[DownstreamError]) -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            with pytest.raises(kind) as raised:
                await connection.call_tool(tool, {})
    assert "not a list" not in str(raised.value)


async def test_a_call_that_never_ends_can_be_dropped_and_costs_nobody_else() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            with anyio.move_on_after(0.2) as scope:
                await connection.call_tool("never", {})
            assert scope.cancelled_caught
            assert (await connection.call_tool("echo", {})).text == "{}"


async def test_a_late_answer_after_a_cancellation_is_still_received() -> None:
    cancel = CancelRequest()
    outcomes: list[Outcome] = []

    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            await connection.call_tool("echo", {})

            async def call() -> None:
                outcomes.append(await connection.call_tool("late", {}, cancel_requested=cancel))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await connection.call_tool("echo", {})
                cancel.set()
    assert outcomes[0].text == "late: cancelled by the client"


async def test_a_server_that_ignores_cancellation_leaves_the_call_waiting() -> None:
    cancel = CancelRequest()

    async def cancel_once_sent() -> None:
        await connection.call_tool("echo", {})
        cancel.set()

    with anyio.fail_after(10):
        async with connected(odd()) as connection, anyio.create_task_group() as tasks:
            await connection.call_tool("echo", {})
            with anyio.move_on_after(0.5) as scope:
                tasks.start_soon(cancel_once_sent)
                await connection.call_tool("never", {}, cancel_requested=cancel)
            assert scope.cancelled_caught
            assert cancel.is_set()


async def test_a_call_that_was_cancelled_before_it_came_to_a_running_server_is_not_sent() -> None:
    cancel = CancelRequest()
    cancel.set()
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            await connection.call_tool("echo", {})
            with pytest.raises(DownstreamUnavailable, match="cancelled"):
                await connection.call_tool("never", {}, cancel_requested=cancel)


async def test_an_error_passes_through_a_cancellable_call() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            with pytest.raises(RpcError):
                await connection.call_tool("refuse", {}, cancel_requested=CancelRequest())


async def test_a_call_cancelled_before_it_was_sent_is_not_sent() -> None:
    cancel = CancelRequest()
    cancel.set()
    with anyio.fail_after(5):
        async with connected(odd("slow_start")) as connection:
            with pytest.raises(DownstreamUnavailable, match="cancelled"):
                await connection.call_tool("echo", {}, cancel_requested=cancel)


async def test_a_call_waits_for_a_server_that_starts_slowly() -> None:
    with anyio.fail_after(10):
        async with connected(odd("slow_start")) as connection:
            assert (await connection.call_tool("echo", {})).text == "{}"


async def test_a_call_gives_up_on_a_server_that_starts_too_slowly() -> None:
    with anyio.fail_after(10):
        async with connected(odd("slow_start"), start_timeout_s=0.1) as connection:
            with pytest.raises(DownstreamUnavailable, match="still starting"):
                await connection.call_tool("echo", {})


async def test_a_child_has_our_environment_its_own_and_the_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCFC_TEST_OURS", "ours")
    with anyio.fail_after(10):
        async with connected(odd(env={"OWN": "own"})) as connection:
            outcome = await connection.call_tool(
                "environment", {"keys": ["ASYNCFC_TEST_OURS", "OWN", "ASYNCFC_INSIDE"]}
            )
    assert json.loads(outcome.text or "") == {"ASYNCFC_TEST_OURS": "ours", "OWN": "own", "ASYNCFC_INSIDE": "1"}


async def test_stderr_is_logged_line_by_line_cut_and_escaped() -> None:
    with capture_logs() as logs, anyio.fail_after(10):
        async with connected(odd()) as connection:
            await connection.call_tool("stderr", {})
            await connection.call_tool("echo", {})
    lines = [line["line"] for line in logs if line["event"] == "server_stderr"]
    assert lines == ["\\x1b[31mred\\x07", "z" * 2000]


async def test_the_status_says_who_is_there() -> None:
    with anyio.fail_after(10):
        async with connected(odd()) as connection:
            await connection.call_tool("echo", {})
            status = connection.status
        assert connection.status.state is ConnectionState.CLOSED
    assert status.state is ConnectionState.READY
    assert (status.server_name, status.instructions, status.protocol_version) == ("odd", "Be odd.", "2025-11-25")


async def test_ending_takes_a_second_and_leaves_no_process(tmp_path: Path) -> None:
    files = [tmp_path / f"pids{number}" for number in range(3)]
    servers = [odd("stubborn", str(file), key=f"s{number}") for number, file in enumerate(files)]
    with anyio.fail_after(20):
        async with running([*servers, odd(key="good")]) as pool:
            for key in pool.statuses():
                await pool.connection(key).call_tool("echo", {})
            processes = [psutil.Process(int(pid)) for file in files for pid in file.read_text().split()]
            start = time.monotonic()
        took = time.monotonic() - start
    assert took < bound_s(1.1) + PAUSE_S
    assert len(processes) == 6
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


async def test_an_obedient_server_ends_at_end_of_file() -> None:
    took_s: list[float] = []
    with anyio.fail_after(30):
        for _ in range(3):  # a busy machine may hold up one of them
            async with running([odd()]) as pool:
                await pool.connection("odd").call_tool("echo", {})
                start = time.monotonic()
            took_s.append(time.monotonic() - start)
    assert min(took_s) < bound_s(0.5), "otherwise it would have been killed"
