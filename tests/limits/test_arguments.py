"""How large arguments may be, as sent and after substitution, and how long rows of calls."""

from __future__ import annotations

import tracemalloc
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from tests.bad_input.support import assert_unharmed, error_of, free_toy
from tests.harness import LIMIT_S, GatewayClient, running
from tests.passing.support import library

pytestmark = pytest.mark.anyio

LIMIT = "0.01 MB, the limit (max_argument_mb)"
"""About ten thousand characters."""


def limited(**settings: Any) -> AbstractAsyncContextManager[GatewayClient]:
    return running({"toy": free_toy()}, inline_wait_s=0, piggyback="off", store="memory", **settings)


async def test_arguments_over_the_limit_are_not_sent() -> None:
    async with limited(max_argument_mb=0.01) as gateway:
        message = error_of(await gateway.call("echo", text="x" * 20_000))
        assert message.startswith(f"not sent: the arguments are larger than {LIMIT}")
        assert len(message) < 300
        assert "y" * 9_000 in await gateway.text("echo", text="y" * 9_000, _wait_s=LIMIT_S)
        await assert_unharmed(gateway)


async def test_many_small_arguments_count_like_one_large_one() -> None:
    async with limited(max_argument_mb=0.01) as gateway:
        assert LIMIT in error_of(await gateway.call("list_arguments", values=["x"] * 2_000, options={}))


async def test_a_value_that_makes_arguments_too_large_is_named() -> None:
    async with limited(max_argument_mb=0.01) as gateway:
        small = await gateway.named("echo", text="small")
        large = await gateway.named("large", size=20_000)
        message = error_of(await gateway.call("list_arguments", values=[small, large], options={}, _wait_s=LIMIT_S))
        assert f"arguments.values[1]: {large} cannot be used here" in message
        assert LIMIT in message
        await assert_unharmed(gateway)


async def test_the_same_value_in_many_places_counts_each_time() -> None:
    async with limited(max_argument_mb=0.01) as gateway:
        token = await gateway.named("large", size=4_000)
        values = [token] * 2
        assert "x" * 4_000 in await gateway.text("list_arguments", values=values, options={}, _wait_s=LIMIT_S)
        values = [token] * 3
        assert LIMIT in error_of(await gateway.call("list_arguments", values=values, options={}, _wait_s=LIMIT_S))


async def test_values_that_double_are_stopped_before_they_fill_the_memory() -> None:
    async with limited(max_argument_mb=1) as gateway:
        token = await gateway.token("echo", text="x" * 1_000)
        tracemalloc.start()
        try:
            for _ in range(40):
                token = await gateway.token("echo", text=f"${{{token}}}${{{token}}}")
            message = await gateway.value(token)
            _, most_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert "1 MB, the limit (max_argument_mb)" in message
        assert most_bytes < 40 * 2**20
        await assert_unharmed(gateway)


@pytest.mark.parametrize("text", ["x" * 20_000, "${fut_large}"], ids=["sent", "substituted"])
async def test_prompt_arguments_and_uris_over_the_limit_are_refused(text: str) -> None:
    servers = {"toy": free_toy(), "lib": library()}
    async with running(servers, max_argument_mb=0.01, inline_wait_s=0, store="memory") as gateway:
        await gateway.call("large", size=20_000, _as="large", _wait_s=LIMIT_S)
        prompt = (await gateway.client.list_prompts()).prompts[0].name
        with anyio.fail_after(LIMIT_S):
            with pytest.raises(MCPError) as refused:
                await gateway.client.get_prompt(prompt, {"who": text})
            assert LIMIT in str(refused.value)
            with pytest.raises(MCPError) as refused:
                await gateway.client.read_resource(f"book://lib/{text}")
            assert LIMIT in str(refused.value)


async def test_a_row_of_calls_over_the_limit_is_refused_and_says_what_to_await() -> None:
    async with limited(max_chain=3) as gateway:
        first = token = await gateway.token("hold", key="a", _wait_s=0)
        for _ in range(2):
            token = await gateway.token("echo", text=token)
        message = error_of(await gateway.call("list_arguments", values=[token, first], options={}))
        assert message.startswith("not started: 3 unsettled calls in a row")
        assert "max_chain" in message
        assert f"Await {token} with await_future" in message
        await gateway.call("release", key="a")
        assert await gateway.value(token) == "held a"
        assert await gateway.text("echo", text=token, _wait_s=LIMIT_S) == "held a"


async def test_a_row_that_settles_as_it_grows_may_go_on_for_ever() -> None:
    async with limited(max_chain=2) as gateway:
        token = await gateway.named("echo", text="on and on")
        for _ in range(10):
            token = await gateway.named("echo", text=token)
        assert await gateway.value(token) == "on and on"
