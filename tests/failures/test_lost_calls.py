"""Calls whose server dies under them: repeated only where that is known to do no harm, and never said to be unsent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.bad_input.support import error_of, free_toy, odd
from tests.failures.support import child
from tests.harness import FREE, GatewayClient, running

pytestmark = pytest.mark.anyio

COUNTING = Path(__file__).parent / "servers" / "counting.py"


def counting(log: Path, *dies_on: str) -> dict[str, Any]:
    """A server that notes each start and call in a file, and dies in calls of these tools."""
    tools = dict.fromkeys(("read", "write", "repeat", "echo"), FREE)
    return {"command": sys.executable, "args": [str(COUNTING), str(log), *dies_on], "asyncfc": {"tools": tools}}


async def settled(gateway: GatewayClient, token: str) -> str:
    return error_of(await gateway.call("await_future", futures=[token]))


async def test_a_call_whose_server_is_killed_is_of_unknown_outcome_and_not_repeated(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with running({"c": counting(log, "write"), "toy": free_toy()}) as gateway:
        said = error_of(await gateway.call("c_write", _wait_s=10))
        assert "(outcome_unknown)" in said
        assert "may have taken effect: check before calling again" in said
        assert await gateway.text("c_echo", _wait_s=10) == "echo"
    assert log.read_text().split() == ["start", "write", "start", "echo"]


@pytest.mark.parametrize("tool", ["read", "repeat"])
async def test_a_call_that_may_be_repeated_is_made_three_times_in_all(tool: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with running({"c": counting(log, tool)}) as gateway:
        assert "(outcome_unknown)" in error_of(await gateway.call(f"c_{tool}", _wait_s=14))
    assert log.read_text().split() == ["start", tool] * 3 + (["start"] if log.read_text().endswith("start\n") else [])


async def test_a_call_that_may_be_repeated_succeeds_once_its_server_stays(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with running({"c": counting(log, "once")}) as gateway:
        assert await gateway.text("c_read", _wait_s=14) == "read"
    assert log.read_text().split() == ["start", "read", "start", "read"]


async def test_a_read_whose_server_does_not_come_back_is_of_unknown_outcome_and_not_called_unsent(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    server = counting(log, "read", "for_good")
    server["asyncfc"]["restart_limit"] = 1
    async with running({"c": server}) as gateway:
        said = error_of(await gateway.call("c_read", _wait_s=14))
        assert "(outcome_unknown)" in said
        assert "not sent" not in said
        again = error_of(await gateway.call("c_read", _wait_s=14))
        assert "(unavailable)" in again
        assert "was given up" in again
    assert log.read_text().split() == ["start", "read"]


async def test_a_call_that_never_reached_its_server_is_not_of_unknown_outcome(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.touch()
    entry = odd("starts_when", restart_limit=2)
    entry["args"].append(str(go))
    async with running({"odd": entry}) as gateway:
        assert await gateway.text("odd_echo", _wait_s=10) == "{}"
        go.unlink()
        await gateway.call("odd_die", _wait_s=10)
        said = error_of(await gateway.call("odd_echo", _wait_s=10))
        assert "(unavailable)" in said
        assert "the call was not sent; a call in " in said
        listed = await gateway.text("list_futures")
        assert "Server odd is failed: its process exited with code 3" in listed
        assert "it was given up after 2 failures in a row; a call in " in listed


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL there")
async def test_calls_in_flight_when_a_server_is_killed_settle_at_once_and_those_behind_them_run(
    tmp_path: Path,
) -> None:
    entry = odd("plain", tools={"never": FREE, "echo": {"reads": ["a"], "writes": []}})
    entry["args"].append(str(tmp_path))
    async with running({"odd": entry}) as gateway:
        tokens = [await gateway.token("odd_never", _wait_s=0) for _ in range(5)]
        child("odd.py", str(tmp_path)).kill()
        with anyio.fail_after(5):
            for token in tokens:
                assert "(outcome_unknown)" in await settled(gateway, token)
        assert await gateway.text("odd_echo", n=1, _wait_s=10) == '{"n": 1}'
