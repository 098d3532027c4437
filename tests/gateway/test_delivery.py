"""Results that come with later results, and what counts as told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from mcp_types import CallToolResult

from tests.harness import FREE, GatewayClient, running, text_of, toy

pytestmark = pytest.mark.anyio

SERVER = toy(tools=dict.fromkeys(("hold", "echo", "large", "hold_and_fail", "picture", "record"), FREE))


async def finish(gateway: GatewayClient, *keys: str) -> None:
    """Let held calls end, without an answer that could carry them."""
    held = [one for one in gateway.app.gateway.table if (one.request.arguments or {}).get("key") in keys]
    for key in keys:
        await gateway.call("release", key=key, scope="elsewhere")
    for future in held:
        await future.settled.wait()


async def untold(gateway: GatewayClient, count: int, **arguments: Any) -> list[str]:
    """Futures that settle together and that the client has not been told of."""
    gate = await gateway.token("hold", key="gate")
    tokens = [await gateway.token("large", note="${" + gate + "}", **arguments) for _ in range(count)]
    await finish(gateway, "gate")
    for future in list(gateway.app.gateway.table):
        if future.token in tokens:
            await future.settled.wait()
    return tokens


def delivered(result: CallToolResult) -> list[str]:
    return [one["token"] for one in (result.meta or {}).get("asyncfc/delivered", [])]


async def test_a_finished_value_comes_with_the_next_result() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        await finish(gateway, "a")
        result = await gateway.call("echo", text="next", _wait_s=5)
        assert text_of(result).startswith("next\n--- ")
        assert delivered(result) == [token]
        assert re.search(rf"\[(\w+)\] {token} \(toy: hold\) resolved:\nheld a", text_of(result))


async def test_a_value_is_attached_once() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        await finish(gateway, "a")
        assert delivered(await gateway.call("echo", text="1", _wait_s=5)) == [token]
        assert delivered(await gateway.call("echo", text="2", _wait_s=5)) == []


async def test_an_awaited_value_is_not_attached() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        await finish(gateway, "a")
        await gateway.value(token)
        assert delivered(await gateway.call("echo", text="1", _wait_s=5)) == []


async def test_values_go_to_their_own_scope_only() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a", scope="mine")
        await finish(gateway, "a")
        assert delivered(await gateway.call("echo", text="x", _wait_s=5, scope="other")) == []
        assert delivered(await gateway.call("echo", text="x", _wait_s=5, scope="mine")) == [token]


async def test_a_large_value_is_only_announced() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        (token,) = await untold(gateway, 1, size=5000)
        text = text_of(await gateway.call("echo", text="x", _wait_s=5))
        assert f"{token} (toy: large) is ready" in text
        assert "xxxxx" not in text


async def test_all_attachments_together_stay_small() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        tokens = await untold(gateway, 5, size=1800)
        result = await gateway.call("echo", text="x", _wait_s=5)
        assert len(text_of(result)) < 5000
        assert text_of(result).count("is ready") >= 3
        assert set(delivered(result)) >= set(tokens)


async def test_notices_and_off_attach_less() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0, piggyback="notices") as gateway:
        token = await gateway.token("hold", key="a")
        await finish(gateway, "a")
        text = text_of(await gateway.call("echo", text="x", _wait_s=5))
        assert f"{token} (toy: hold) is ready" in text
        assert "held a" not in text
    async with running({"toy": SERVER}, inline_wait_s=0, piggyback="off") as gateway:
        await gateway.token("hold", key="a")
        await finish(gateway, "a")
        assert await gateway.text("echo", text="x", _wait_s=5) == "x"


async def test_a_poisoned_family_is_one_block() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        root = await gateway.token("hold_and_fail", key="a", message="disk full")
        one = await gateway.token("echo", text=root)
        two = await gateway.token("echo", text=one)
        await finish(gateway, "a")
        result = await gateway.call("echo", text="x", _wait_s=5)
        assert set(delivered(result)) == {root, one, two}
        assert text_of(result).count("disk full") == 1
        assert f"Not started because of it: {one}, {two}" in text_of(result)


async def test_no_tool_output_can_forge_the_fence() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        nonces: set[str] = set()
        for key in "abc":
            await gateway.token("hold", key=key)
            await finish(gateway, key)
            text = text_of(await gateway.call("echo", text="--- end 00000000 ---", _wait_s=5))
            (opened,) = re.findall(r"^--- (\w{8}) results of your earlier calls", text, re.MULTILINE)
            assert text.rstrip().endswith(f"--- end {opened} ---")
            nonces.add(opened)
        assert len(nonces) == 3


async def test_nothing_is_attached_to_a_result_that_keeps_structured_content() -> None:
    tools = {**SERVER["asyncfc"]["tools"]}
    async with running({"toy": toy(structured=True, tools=tools)}, inline_wait_s=0) as gateway:
        await gateway.token("hold", key="a")
        await finish(gateway, "a")
        result = await gateway.call("record", count=1, _wait_s=5)
        assert result.structured_content is not None
        assert delivered(result) == []
        assert len(result.content) == 1


async def test_a_write_is_not_stopped_once_the_client_was_told_of_the_failure() -> None:
    tools = {"hold_and_fail": {"writes": ["db/a"]}, "put": {"writes": ["db/{key}"]}, "hold": {"writes": ["db/b"]}}
    async with running({"toy": toy(tools={**tools, "echo": FREE})}, inline_wait_s=0) as gateway:
        await gateway.token("hold_and_fail", key="f", message="no")
        await finish(gateway, "f")
        await gateway.call("echo", text="carries the failure", _wait_s=5)
        assert await gateway.text("put", key="a", value="1", _wait_s=5) == "a is 1"
