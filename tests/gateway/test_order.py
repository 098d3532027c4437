"""Which calls overlap and which keep their order, end to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from asyncfc_mcp.gateway.answering.delivery import LONGEST_HOLD_S, QUIET_S
from asyncfc_mcp.gateway.answering.turns import Wishes
from asyncfc_mcp.gateway.caller import Caller
from tests.harness import FREE, LIMIT_S, GatewayClient, running, text_of, toy

pytestmark = pytest.mark.anyio


async def test_calls_sent_side_by_side_run_side_by_side() -> None:
    async with running(inline_wait_s=5) as gateway:
        answers: list[str] = []

        async def hold(key: str) -> None:
            answers.append(await gateway.text("hold", key=key))

        async with anyio.create_task_group() as tasks:
            for key in "abc":
                tasks.start_soon(hold, key)
            for key in "abc":
                await gateway.call("started", key=key)
            for key in "abc":
                await gateway.call("release", key=key)
        assert sorted(answers) == ["held a", "held b", "held c"]


async def _take_token(gateway: GatewayClient, key: str, arrived_at: float | None = None) -> None:
    """What a request for a `hold` without a wait does once it has been read."""
    tool = gateway.app.pool.catalog.find("hold")
    assert tool is not None
    await gateway.app.gateway.call(
        Caller("local", "local"), tool, {"key": key}, Wishes(wait_s=0), arrived_at=arrived_at
    )


def _standing_still_once() -> Callable[..., Any]:
    """Holds up the event loop for longer than tokens are held back, the first time that it is called."""
    rest = [4 * QUIET_S]
    return lambda *_: time.sleep(rest.pop()) if rest else None


async def test_calls_that_could_not_be_seen_while_one_was_taken_in_run_beside_it() -> None:
    async with running() as gateway:
        gateway.app.gateway.runner.greet(_standing_still_once())
        async with anyio.create_task_group() as tasks:
            for key in "ab":
                tasks.start_soon(_take_token, gateway, key)
        for key in "ab":
            await gateway.call("started", key=key)


@pytest.mark.parametrize("ends", [0.7, 0.9, 1.1, 1.3, 4])
async def test_calls_that_could_not_be_seen_while_a_token_was_held_back_run_beside_it(ends: float) -> None:
    async with running() as gateway:
        read_at = time.monotonic()

        async def read_later() -> None:
            while time.monotonic() < read_at + QUIET_S / 2:
                await anyio.lowlevel.checkpoint()
            time.sleep(max(0.0, read_at + ends * QUIET_S - time.monotonic()))  # noqa: ASYNC251  on purpose
            for _ in range(3):  # and some more until it is there: the first request of a connection takes four
                await anyio.lowlevel.checkpoint()
            await _take_token(gateway, "b")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_take_token, gateway, "a", read_at)
            tasks.start_soon(read_later)
        for key in "ab":
            await gateway.call("started", key=key)


async def test_a_call_that_has_been_read_keeps_tokens_back_until_it_is_there() -> None:
    async with running() as gateway:
        delivery = gateway.app.gateway.delivery
        delivery.expect_call("the request for b")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_take_token, gateway, "a")
            enough = time.monotonic() + 4 * QUIET_S
            while time.monotonic() < enough:
                await anyio.lowlevel.checkpoint()
            await _take_token(gateway, "b", delivery.take_expected_call("the request for b"))
        for key in "ab":
            await gateway.call("started", key=key)


async def test_a_token_leaves_a_gateway_that_is_busy_with_the_calls_of_others() -> None:
    turn_s = QUIET_S
    turns = 0

    async def be_busy() -> None:
        nonlocal turns
        while True:
            turns += 1
            time.sleep(turn_s)  # noqa: ASYNC251  on purpose
            await anyio.lowlevel.checkpoint()

    async with running() as gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(be_busy)
        await _take_token(gateway, "a")
        tasks.cancel_scope.cancel()
    assert turns < LONGEST_HOLD_S / turn_s / 2


async def test_a_token_leaves_although_calls_of_its_scope_go_on_and_on() -> None:
    async with running({"toy": toy(tools={"echo": FREE})}) as gateway:
        echo = gateway.app.pool.catalog.find("echo")
        assert echo is not None
        async with anyio.create_task_group() as tasks:

            async def go_on() -> None:
                async with anyio.create_task_group() as calls:
                    while True:
                        calls.start_soon(
                            gateway.app.gateway.call, Caller("local", "local"), echo, {"text": ""}, Wishes(wait_s=0)
                        )
                        await anyio.sleep(QUIET_S / 2)

            tasks.start_soon(go_on)
            with anyio.fail_after(LIMIT_S):
                await _take_token(gateway, "a")
            tasks.cancel_scope.cancel()


async def test_assumed_writes_sent_one_after_another_keep_their_order() -> None:
    async with running(inline_wait_s=0) as gateway:
        first = await gateway.token("hold", key="a")
        second = await gateway.token("hold", key="b")
        assert "behind " + first in await gateway.text("get_future", future=second)
        await gateway.call("release", key="a")
        await gateway.value(first)
        await gateway.call("started", key="b")
        await gateway.call("release", key="b")
        assert await gateway.value(second) == "held b"


async def test_declared_labels_let_calls_of_different_state_overlap() -> None:
    async with running({"toy": toy(tools={"hold": {"writes": ["db/{key}"]}})}, inline_wait_s=0) as gateway:
        for key in "ab":
            await gateway.token("hold", key=key)
        for key in "ab":
            await gateway.call("started", key=key)
        third = await gateway.call("hold", key="a")
        assert "write of db/a" in text_of(third)


async def test_an_isolated_server_does_not_wait_for_others() -> None:
    servers = {"one": toy(prefix=None, isolated=True), "two": toy(prefix=None, isolated=True)}
    async with running(servers, inline_wait_s=0) as gateway:
        await gateway.token("one_hold", key="a")
        await gateway.token("two_hold", key="a")
        await gateway.call("two_started", key="a")


async def test_two_chats_over_one_process_do_not_wait_for_each_other() -> None:
    async with running(inline_wait_s=0) as gateway:
        await gateway.token("hold", key="a", scope="chat1")
        await gateway.token("hold", key="b", scope="chat2")
        for key in "ab":
            await gateway.call("started", key=key)


async def test_a_write_behind_a_failed_one_is_stopped_and_says_why() -> None:
    async with running(inline_wait_s=0) as gateway:
        first = await gateway.token("hold_and_fail", key="a", message="disk full")
        second = await gateway.token("put", key="k", value="v")
        await gateway.call("release", key="a")
        result = await gateway.call("await_future", futures=[second])
        assert result.is_error
        assert "unseen_failure" in text_of(result)
        assert first in text_of(result)
        assert "disk full" in text_of(result)
        assert await gateway.text("state", _wait_s=5) == "{}"


async def test_a_write_behind_a_failed_one_may_be_let_run() -> None:
    async with running(inline_wait_s=0, on_unseen_failure="run") as gateway:
        await gateway.token("hold_and_fail", key="a", message="disk full")
        second = await gateway.token("put", key="k", value="v")
        await gateway.call("release", key="a", scope="elsewhere")
        assert await gateway.value(second) == "k is v"


async def test_concurrency_bounds_what_runs_at_once() -> None:
    async with running({"toy": toy(concurrency=2, tools={"hold": FREE})}, inline_wait_s=0) as gateway:
        for key in "ab":
            await gateway.token("hold", key=key)
        third = await gateway.token("hold", key="c")
        assert "2 of 2" in await gateway.text("get_future", future=third)


async def test_strict_order_keeps_side_by_side_calls_in_order() -> None:
    async with running(inline_wait_s=0, order="strict") as gateway:
        texts: list[str] = []

        async def hold(key: str) -> None:
            texts.append(text_of(await gateway.call("hold", key=key)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold, "a")
            tasks.start_soon(hold, "b")
        assert sum("still running" in text for text in texts) == 1
        assert sum("waits behind" in text for text in texts) == 1
