"""More than the gateway wants to hold: refused in words, and nothing grows without bound."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import anyio
import psutil
import pytest
import structlog

from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.gateway.answering.turns import Wishes
from asyncfc_mcp.gateway.caller import Caller
from tests.bad_input.support import assert_unharmed, error_of, free_toy
from tests.bounds import bound_s
from tests.harness import LIMIT_S, GatewayClient, running

pytestmark = pytest.mark.anyio

CALLER = Caller("local", "local")
"""Whom the harness's client is taken for."""
MANY = 10_000
LIMIT_OF_MANY_S = 20
KIB_A_CALL = 40
"""What a call may keep: its record, its future, its task and its request downstream."""


@pytest.fixture
def quiet(default_logs: None) -> None:
    """No log lines below errors: forty thousand of them would be most of what is measured."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def limited(**settings: Any) -> Any:
    return running({"toy": free_toy()}, max_unsettled=3, await_cap_s=0.2, **settings)


async def _held(gateway: GatewayClient, count: int, **more: Any) -> list[str]:
    return [await gateway.token("hold", key="a", _wait_s=0, **more) for _ in range(count)]


async def test_a_call_over_the_limit_is_refused_in_words_and_not_started() -> None:
    async with limited() as gateway:
        tokens = await _held(gateway, 3)
        message = error_of(await gateway.call("put", key="b", value="c"))
        assert message.startswith("not started: 3 futures are unsettled already")
        assert "max_unsettled" in message
        assert "await_future" in message
        assert "cancel_future" in message
        await gateway.client.call_tool("cancel_future", {"futures": tokens[:1]})
        assert await gateway.text("list_futures", state="unsettled")


async def test_our_own_tools_work_at_the_limit() -> None:
    async with limited(cancel_grace_s=0.1) as gateway:
        tokens = await _held(gateway, 3)
        assert "Still unsettled" in await gateway.text("await_future", futures=tokens, timeout_s=0)
        assert tokens[0] in await gateway.text("get_future", future=tokens[0])
        listed = await gateway.text("list_futures")
        assert all(token in listed for token in tokens)
        await gateway.call("cancel_future", futures=tokens)
        await gateway.settle()
        await assert_unharmed(gateway)


async def test_a_call_at_the_limit_starts_as_soon_as_another_settles() -> None:
    async with running({"toy": free_toy(cancel_grace_s=0.05)}, max_unsettled=3, await_cap_s=10) as gateway:
        tokens = await _held(gateway, 3)
        texts: list[str] = []

        async def call() -> None:
            texts.append(await gateway.text("echo", text="my turn"))

        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await gateway.call("cancel_future", futures=tokens[:1])
        assert texts == ["my turn"]


async def test_the_limit_is_for_each_scope() -> None:
    async with limited() as gateway:
        await _held(gateway, 3)
        assert (await gateway.call("echo", text="hi", scope="another")).is_error is False


@pytest.mark.usefixtures("quiet")
async def test_ten_thousand_outstanding_calls_cost_little_and_all_settle() -> None:
    settings: dict[str, Any] = {
        "inline_wait_s": 0,
        "max_unsettled": MANY + 10,
        "piggyback": "off",
        "cancel_grace_s": 0.1,
    }
    async with running({"toy": free_toy()}, **settings) as gateway:
        await gateway.text("echo", text="warm", _wait_s=5)
        before_bytes = psutil.Process(os.getpid()).memory_info().rss
        with anyio.fail_after(bound_s(LIMIT_OF_MANY_S)):
            await gateway.token("hold", key="gate", _as="gate")
            await _send_many(gateway, MANY)
            grown_kib = (psutil.Process(os.getpid()).memory_info().rss - before_bytes) / 1024 / MANY
            assert _unsettled(gateway) == MANY + 1
            await gateway.call("cancel_future", futures=["fut_gate"])
            await gateway.app.gateway.wait(CALLER, gateway.app.gateway.futures(CALLER), "all", bound_s(LIMIT_S))
            assert _unsettled(gateway) == 0
        assert grown_kib < KIB_A_CALL
        await _assert_answers(gateway)


@pytest.mark.usefixtures("quiet")
async def test_two_thousand_calls_released_together_all_run() -> None:
    settings: dict[str, Any] = {"inline_wait_s": 0, "max_unsettled": MANY, "piggyback": "off"}
    async with running({"toy": free_toy()}, **settings) as gateway:
        with anyio.fail_after(bound_s(LIMIT_OF_MANY_S)):
            await gateway.token("hold", key="gate", _as="gate")
            await _send_many(gateway, 2_000)
            await gateway.call("release", key="gate", _wait_s=5)
            futures = gateway.app.gateway.futures(CALLER)
            await gateway.app.gateway.wait(CALLER, futures, "all", bound_s(LIMIT_OF_MANY_S))
        assert {str(one.record.state) for one in futures} == {"resolved"}
        await _assert_answers(gateway)


@pytest.mark.usefixtures("quiet")
async def test_what_is_said_of_ten_thousand_futures_is_bounded_in_size_and_time() -> None:
    settings: dict[str, Any] = {"inline_wait_s": 0, "max_unsettled": MANY + 10, "piggyback": "off"}
    async with running({"toy": free_toy()}, **settings) as gateway:
        with anyio.fail_after(bound_s(LIMIT_OF_MANY_S)):
            await gateway.token("hold", key="gate", _as="gate")
            await _send_many(gateway, MANY)
            start = time.monotonic()
            listed = await gateway.text("list_futures")
            unknown = error_of(await gateway.call("get_future", future="fut_nobody"))
            took_s = time.monotonic() - start
            waited = await gateway.text("await_future", futures=[], timeout_s=0)
        assert len(listed) < 20_000
        assert len(unknown) < 2_000
        assert took_s < bound_s(3)
        assert len(waited) < 40_000


def test_the_default_limit_is_the_documented_one() -> None:
    assert GatewaySettings.model_validate({}).max_unsettled == 1000


async def _send_many(gateway: GatewayClient, count: int) -> None:
    """Calls that all wait for one value, each under a name of its own, in the gateway and not over the wire."""
    tool = gateway.app.gateway.pool.catalog.find("echo")
    assert tool is not None

    async def call(number: int) -> None:
        await gateway.app.gateway.call(CALLER, tool, {"text": "fut_gate"}, Wishes(wait_s=0, token=f"fut_n{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(call, number)


async def _assert_answers(gateway: GatewayClient) -> None:
    assert await gateway.text("echo", text="hi", _wait_s=5) == "hi"
    assert _unsettled(gateway) == 0


def _unsettled(gateway: GatewayClient) -> int:
    mine = gateway.app.gateway.futures(CALLER)
    return sum(not one.record.is_settled for one in mine)
