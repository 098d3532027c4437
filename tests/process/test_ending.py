"""However it is asked to end: all work is cancelled, and 1.5 s later no process of ours is left."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import CONNECTION_CLOSED

from tests.bounds import bound_s
from tests.downstream.support import ODD
from tests.harness import FREE, toy
from tests.process.support import ENDS_WITHIN_S, LIMIT_S, RawGateway, alive, started
from tests.process.test_serving import gated

pytestmark = pytest.mark.anyio

NPM = os.environ.get("ASYNCFC_TEST_NPM", "")
HELD = toy(tools={"hold": FREE, "large": FREE})


def end_of_input(gateway: RawGateway) -> None:
    gateway.close_stdin()


def terminate(gateway: RawGateway) -> None:
    gateway.signal(signal.SIGTERM)


def interrupt(gateway: RawGateway) -> None:
    gateway.signal(signal.SIGINT)


Ending = Callable[[RawGateway], None]
every_ending = pytest.mark.parametrize("end", [end_of_input, terminate, interrupt])


def stubborn(pids: Path) -> dict[str, Any]:
    """A child that ignores end of file and SIGTERM, and has a child that does so too."""
    return {"command": sys.executable, "args": [str(ODD), "stubborn", str(pids)], "asyncfc": {"prefix": "stubborn"}}


@every_ending
async def test_it_ends_cleanly_when_nothing_runs(tmp_path: Path, end: Ending) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        await gateway.initialize()
        await gateway.request("tools/list")
        assert len(gateway.family()) == 3  # the gateway, the toy and their guardian
        end(gateway)
        assert await gateway.ended() == 0


@every_ending
async def test_a_child_that_ignores_everything_goes_with_its_own_child(tmp_path: Path, end: Ending) -> None:
    pids = tmp_path / "pids"
    async with started(tmp_path, {"stubborn": stubborn(pids), "toy": toy()}) as gateway:
        await gateway.initialize()
        await gateway.request("tools/list")
        assert {int(pid) for pid in pids.read_text().split()} < {one.pid for one in gateway.family()}
        end(gateway)
        assert await gateway.ended() == 0


@every_ending
async def test_running_and_waiting_calls_do_not_hold_it(tmp_path: Path, end: Ending) -> None:
    async with started(tmp_path, {"toy": HELD}, settings={"inline_wait_s": 0.05}) as gateway:
        await gateway.initialize()
        held = await gateway.token("hold", key="a")
        await gateway.token("echo", text=held)
        await gateway.start_call("await_future", {"futures": []})
        await gateway.start_call("hold", {"key": "b", "_wait_s": 20})
        await gateway.text("started", key="b")
        gateway.family()
        end(gateway)
        assert await gateway.ended() == 0


@every_ending
async def test_a_server_that_is_still_starting_does_not_hold_it(tmp_path: Path, end: Ending) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    async with started(tmp_path, {"gated": gated(gate)}) as gateway:
        await gateway.initialize()
        await gateway.start_request("tools/list")
        with anyio.fail_after(LIMIT_S):
            while len(gateway.family()) < 2:  # noqa: ASYNC110  nothing tells when a child appears
                await anyio.sleep(0.01)
        end(gateway)
        assert await gateway.ended() == 0


@every_ending
async def test_a_client_that_does_not_read_does_not_hold_it(tmp_path: Path, end: Ending) -> None:
    async with started(tmp_path, {"toy": HELD}, "--log-level", "debug") as gateway:
        await gateway.initialize()
        await gateway.request("tools/list")
        for _ in range(20):
            await gateway.start_call("large", {"size": 1_000_000})
        await gateway.logged("future_settled")
        gateway.family()
        end(gateway)
        assert await gateway.ended() == 0


async def test_a_call_whose_turn_has_not_come_is_told_that_the_connection_closes(tmp_path: Path) -> None:
    slow = toy(tools={"hold": {"timeout_s": 0.2}}, cancel_grace_s=60)
    async with started(tmp_path, {"toy": slow}, settings={"on_unseen_failure": "run"}) as gateway:
        await gateway.initialize()
        assert "timed_out" in await gateway.text("hold", key="a", _wait_s=20)
        # the server may still be at it, so nothing else begins; and no task of a call is left
        behind = await gateway.start_call("echo", {"text": "behind", "_as": "behind", "_wait_s": 20})
        assert "pending" in await gateway.text("await_future", futures=["fut_behind"], timeout_s=0)
        terminate(gateway)
        assert (await gateway.answer(behind))["error"]["code"] == CONNECTION_CLOSED
        assert await gateway.ended() == 0
        assert "request_broke" not in await gateway.stderr()


async def test_it_ends_when_the_client_stops_listening_and_speaking(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": HELD}) as gateway:
        await gateway.initialize()
        gateway.family()
        gateway.close_stdout()
        await gateway.start_call("large", {"size": 1_000_000})
        assert await gateway.ended() == 0


async def test_it_ends_in_the_time_that_is_promised(tmp_path: Path) -> None:
    took_s: list[float] = []
    for number in range(3):  # a busy machine may hold up one of them
        folder = tmp_path / str(number)
        folder.mkdir()
        async with started(folder, {"stubborn": stubborn(folder / "pids"), "toy": toy()}) as gateway:
            await gateway.initialize()
            await gateway.request("tools/list")
            gateway.family()
            start = time.monotonic()
            terminate(gateway)
            assert await gateway.ended() == 0
            took_s.append(time.monotonic() - start)
    assert min(took_s) < bound_s(ENDS_WITHIN_S)


async def test_further_signals_change_nothing(tmp_path: Path) -> None:
    async with started(tmp_path, {"stubborn": stubborn(tmp_path / "pids")}) as gateway:
        await gateway.initialize()
        await gateway.request("tools/list")
        gateway.family()
        terminate(gateway)
        await gateway.logged("stopping")
        async with anyio.create_task_group() as tasks:

            async def signal_on_and_on() -> None:
                while True:
                    interrupt(gateway)
                    terminate(gateway)
                    await anyio.sleep(0.05)

            tasks.start_soon(signal_on_and_on)
            assert await gateway.ended() == 0
            tasks.cancel_scope.cancel()


async def test_answers_that_are_ready_are_written_before_it_ends(tmp_path: Path) -> None:
    # in memory: an answer that names its token is ready only once that is stored
    async with started(tmp_path, {"toy": HELD}, "--log-level", "debug", settings={"store": "memory"}) as gateway:
        await gateway.initialize()
        number = await gateway.start_call("large", {"size": 3_000_000, "_wait_s": LIMIT_S})
        await gateway.logged("future_settled")
        gateway.close_stdin()
        assert len((await gateway.answer(number))["result"]["content"][0]["text"]) == 3_000_000


async def test_children_of_a_killed_gateway_see_the_end_of_their_input(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        await gateway.initialize()
        await gateway.request("tools/list")
        children = [one for one in gateway.family() if one.pid != gateway.pid]
        gateway.signal(signal.SIGKILL)
        with anyio.fail_after(LIMIT_S):
            while alive(children):  # noqa: ASYNC110  it is no child of ours, so nothing tells
                await anyio.sleep(0.01)


@pytest.mark.real
@pytest.mark.skipif(not NPM, reason="ASYNCFC_TEST_NPM does not name a folder with node_modules")
@every_ending
async def test_npx_and_server_everything_below_it_are_gone(tmp_path: Path, end: Ending) -> None:
    npx = {"command": "npx", "args": ["--prefix", NPM, "--no-install", "mcp-server-everything"]}
    async with started(tmp_path, {"everything": npx}) as gateway:
        await gateway.initialize()
        assert len((await gateway.request("tools/list"))["result"]["tools"]) > 10
        family = gateway.family()
        assert len(family) > 2
        end(gateway)
        assert await gateway.ended() == 0
