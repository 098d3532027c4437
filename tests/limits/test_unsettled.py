"""How many futures may be unsettled, in one conversation and in all: who waits, who comes in, and what is said."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

from asyncfc_mcp.gateway.intake import entrance
from tests.bad_input.support import assert_unharmed, error_of, free_toy
from tests.bounds import bound_s
from tests.harness import FREE, LIMIT_S, GatewayClient, running, text_of

pytestmark = pytest.mark.anyio


def limited(*, cap_s: float = LIMIT_S, **settings: Any) -> AbstractAsyncContextManager[GatewayClient]:
    server = free_toy(cancel_grace_s=0.05)
    server["asyncfc"]["tools"] |= {"append": FREE, "get": FREE}
    return running({"toy": server}, await_cap_s=cap_s, piggyback="off", store="memory", **settings)


async def held(gateway: GatewayClient, scope: str | None = None) -> str:
    return await gateway.token("hold", scope=scope, key="a", _wait_s=0)


async def test_a_call_over_the_limit_of_all_scopes_is_refused_in_words() -> None:
    async with limited(cap_s=2, max_unsettled_total=2) as gateway:
        tokens = [await held(gateway, scope) for scope in ("one", "two")]
        message = error_of(await gateway.call("echo", scope="three", text="x"))
        assert message.startswith("not started: 2 futures are unsettled already in all")
        assert "max_unsettled_total" in message
        assert "send this call again" in message
        await gateway.call("cancel_future", futures=tokens)
        await gateway.value(*tokens)
        await assert_unharmed(gateway)


async def test_a_scope_at_its_own_limit_keeps_no_other_out() -> None:
    async with limited(max_unsettled=1, max_unsettled_total=3) as gateway, anyio.create_task_group() as tasks:
        token = await held(gateway, "busy")
        waiting: list[str] = []
        for number in range(5):
            tasks.start_soon(_append, gateway, "busy", str(number), waiting)
        assert await gateway.text("echo", scope="quiet", text="at once", _wait_s=LIMIT_S) == "at once"
        assert waiting == []
        await gateway.call("cancel_future", futures=[token])


async def test_scopes_take_turns_at_the_limit_of_all_and_calls_of_one_come_in_order() -> None:
    async with limited(max_unsettled_total=1) as gateway:
        token = await held(gateway)
        done: list[str] = []
        async with anyio.create_task_group() as tasks:
            for scope, name in [("busy", "b1"), ("busy", "b2"), ("busy", "b3"), ("quiet", "q1"), ("other", "o1")]:
                tasks.start_soon(_append, gateway, scope, name, done)
                await _until_waiting(gateway)
            await gateway.call("cancel_future", futures=[token])
        assert await gateway.text("get", key="log", _wait_s=LIMIT_S) == "b1 q1 o1 b2 b3 "


async def test_a_call_that_waits_and_is_cancelled_gives_its_turn_away() -> None:
    async with limited(max_unsettled_total=1) as gateway:
        token = await held(gateway)
        gone, done = anyio.CancelScope(), list[str]()

        async def leave() -> None:
            with gone:
                await _append(gateway, "x", "gone", done)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave)
            await _until_waiting(gateway)
            tasks.start_soon(_append, gateway, "x", "stays", done)
            await _until_waiting(gateway)
            gone.cancel()
            await gateway.call("cancel_future", futures=[token])
        assert done == ["stays"]
        assert await gateway.text("get", key="log", _wait_s=LIMIT_S) == "stays "


async def test_more_calls_than_may_wait_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "MOST_WAITING_A_SCOPE", 2)
    async with limited(max_unsettled=1) as gateway, anyio.create_task_group() as tasks:
        token = await held(gateway)
        done: list[str] = []
        for name in ("one", "two"):
            tasks.start_soon(_append, gateway, None, name, done)
            await _until_waiting(gateway)
        message = error_of(await gateway.call("echo", text="one too many"))
        assert message.startswith("not started: 2 calls wait to be taken in already")
        await gateway.call("cancel_future", futures=[token])


async def test_hundreds_of_calls_at_both_limits_all_come_in() -> None:
    async with limited(max_unsettled=1, max_unsettled_total=50) as gateway:
        with anyio.fail_after(bound_s(LIMIT_S)):
            async with anyio.create_task_group() as tasks:
                for number in range(500):
                    tasks.start_soon(_echo, gateway, f"scope{number % 100}")
        await assert_unharmed(gateway)


async def _echo(gateway: GatewayClient, scope: str) -> None:
    assert await gateway.text("echo", scope=scope, text="x", _wait_s=LIMIT_S) == "x"


async def _append(gateway: GatewayClient, scope: str | None, name: str, done: list[str]) -> None:
    result = await gateway.call("append", scope=scope, key="log", value=f"{name} ", _wait_s=LIMIT_S, _as=name)
    assert not result.is_error, text_of(result)
    done.append(name)


async def _until_waiting(gateway: GatewayClient) -> None:
    """Requests of one client are taken in as they were sent: once a later one is answered, the earlier one waits."""
    await gateway.call("list_futures")
