"""Answers that come after their call was given up: kept as what they are, and changing nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import TextResourceContents
from structlog.testing import capture_logs

from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.running.late import LateAnswers
from tests.bad_input.support import error_of, free_toy, odd
from tests.harness import FREE, LIMIT_S, Era, GatewayClient, running, toy

pytestmark = pytest.mark.anyio

HELD = {"hold": {**FREE, "timeout_s": 0.2}, "hold_and_fail": {**FREE, "timeout_s": 0.2}, "echo": FREE}


def impatient(**settings: Any) -> dict[str, dict[str, Any]]:
    """A toy whose `hold` times out at once, and whose labels are released soon after."""
    return {"toy": toy(tools=HELD, cancel_grace_s=0.1, **settings)}


def future_of(gateway: GatewayClient, token: str) -> Future:
    return gateway.app.gateway.get(Caller("local", "local"), token)


async def has_ended(future: Future) -> None:
    with anyio.fail_after(LIMIT_S):
        while not future.record.has_ended:  # noqa: ASYNC110 - nothing tells callers when labels are released
            await anyio.sleep(0.01)


async def is_late(future: Future) -> None:
    with anyio.fail_after(LIMIT_S):
        while future.late is None:  # noqa: ASYNC110 - nor of late answers
            await anyio.sleep(0.01)


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_an_answer_after_the_time_out_is_shown_behind_the_failure_which_stands(era: Era) -> None:
    async with running(impatient(), era=era) as gateway:
        token = await gateway.token("hold", key="a", _wait_s=0)
        assert "(timed_out)" in error_of(await gateway.call("await_future", futures=[token]))
        future = future_of(gateway, token)
        await has_ended(future)
        await gateway.call("release", key="a")
        await is_late(future)
        awaited = await gateway.call("await_future", futures=[token])
        for said in (error_of(awaited), error_of(await gateway.call("get_future", future=token))):
            failure, _, late = said.partition("Its server answered ")
            assert "(timed_out): it ran longer than 0.2 s; it may still take effect" in failure
            assert future.late_s is not None
            took = f"{future.late_s:.0f} s later"
            assert late == f"{took}, so it did take effect; what waited for it stays as it is:\nheld a"
        assert future.record.state == "failed"


async def test_an_answer_within_the_grace_is_late_as_well() -> None:
    async with running({"toy": toy(tools=HELD, cancel_grace_s=14)}) as gateway:
        token = await gateway.token("hold", key="a", _wait_s=0)
        await gateway.call("await_future", futures=[token])
        await gateway.call("release", key="a")
        future = future_of(gateway, token)
        await is_late(future)
        await has_ended(future)
        assert future.record.state == "failed"


async def test_a_late_answer_of_a_cancelled_call_is_kept() -> None:
    async with running({"toy": toy(tools={"hold": FREE}, cancel_grace_s=0.1)}) as gateway:
        token = await gateway.token("hold", key="a", _wait_s=0)
        await gateway.call("cancel_future", futures=[token])
        future = future_of(gateway, token)
        await has_ended(future)
        await gateway.call("release", key="a")
        await is_late(future)
        said = error_of(await gateway.call("await_future", futures=[token]))
        assert "was cancelled" in said
        assert said.endswith("held a")
        assert future.record.state == "cancelled"


async def test_a_late_failure_is_called_one() -> None:
    async with running(impatient()) as gateway:
        token = await gateway.token("hold_and_fail", key="a", message="no room", _wait_s=0)
        await gateway.call("await_future", futures=[token])
        await gateway.call("release", key="a")
        await is_late(future_of(gateway, token))
        said = error_of(await gateway.call("await_future", futures=[token]))
        assert "s later that it had failed" in said
        assert said.endswith("no room")


async def test_a_late_answer_frees_no_call_that_was_poisoned_and_stands_for_no_value() -> None:
    # the second call has come long before the first one times out
    held = toy(tools={**HELD, "hold": {**FREE, "timeout_s": 2}}, cancel_grace_s=0.1)
    async with running({"toy": held}) as gateway:
        token = await gateway.token("hold", key="a", _wait_s=0)
        before = await gateway.token("echo", text=token, _wait_s=0)
        await gateway.call("await_future", futures=[token, before])
        await gateway.call("release", key="a")
        await is_late(future_of(gateway, token))
        after = error_of(await gateway.call("echo", text=token, _wait_s=5))
        assert f"it needs the value of {token}" in after
        assert "(poisoned)" in error_of(await gateway.call("await_future", futures=[before]))


async def test_labels_are_released_after_the_grace_whether_or_not_an_answer_still_comes() -> None:
    tools: dict[str, Any] = {"hold": {"writes": ["a"], "timeout_s": 0.2}, "put": {"writes": ["a"]}}
    with capture_logs() as logs:
        async with running({"toy": toy(tools=tools, cancel_grace_s=0.1)}, on_unseen_failure="run") as gateway:
            token = await gateway.token("hold", key="a", _wait_s=0)
            assert await gateway.text("put", key="k", value="v", _wait_s=10) == "k is v"
            await gateway.call("release", key="a")
            await is_late(future_of(gateway, token))
    assert len([line for line in logs if line["event"] == "labels_released_early"]) == 1


async def test_a_late_answer_is_stored() -> None:
    async with running(impatient()) as gateway:
        token = await gateway.token("hold", key="a", _wait_s=0)
        await gateway.call("await_future", futures=[token])
        await gateway.call("release", key="a")
        future = future_of(gateway, token)
        await is_late(future)
        await anyio.wait_all_tasks_blocked()
        row = await gateway.app.gateway._store.get(future.call.future)  # pyright: ignore[reportPrivateUsage]
        assert row is not None
        assert json.dumps(row.late).count("held a") == 1
        assert row.result is None


async def test_of_too_many_open_requests_the_oldest_is_let_go() -> None:
    async with running(impatient()) as gateway:
        futures = [future_of(gateway, await gateway.token("hold", key=key, _wait_s=0)) for key in ("a", "b")]
        for future in futures:
            await has_ended(future)
        late = LateAnswers(gateway.app.gateway.table, most_awaited=1)
        for future in futures:
            late.wait_for(future)
        await gateway.call("release", key="a")
        await gateway.call("release", key="b")
        await is_late(futures[1])
        assert futures[0].late is None


async def test_a_call_that_was_cancelled_before_it_could_be_sent_leaves_nothing_open(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.touch()
    entry = odd("starts_when", cancel_grace_s=0.1, tools={"echo": FREE})
    entry["args"].append(str(go))
    async with running({"toy": free_toy(), "odd": entry}) as gateway:
        assert await gateway.text("odd_echo", _wait_s=10) == "{}"
        go.unlink()
        await gateway.call("odd_die", _wait_s=10)
        token = await gateway.token("odd_echo", n=1, _wait_s=0)
        with anyio.fail_after(LIMIT_S):
            while "which is not connected" not in await gateway.text("list_futures"):
                pass
        await gateway.call("cancel_future", futures=[token])
        assert "was cancelled" in error_of(await gateway.call("await_future", futures=[token]))
        future = future_of(gateway, token)
        await has_ended(future)
        assert future.late is None
        assert (await gateway.text("echo", text="beside", _wait_s=5)) == "beside"


async def test_the_resource_of_a_future_has_the_late_answer() -> None:
    async with running(impatient()) as gateway:
        token = await gateway.token("hold", key="a", _wait_s=0)
        await gateway.call("await_future", futures=[token])
        future = future_of(gateway, token)
        await has_ended(future)
        await gateway.call("release", key="a")
        await is_late(future)
        (content,) = (await gateway.client.read_resource(f"future://{token}")).contents
        assert isinstance(content, TextResourceContents)
        described = json.loads(content.text)
        assert described["failure"]["reason"] == "timed_out"
        assert described["late"]["content"] == [{"type": "text", "text": "held a"}]
        assert described["late"]["isError"] is False
