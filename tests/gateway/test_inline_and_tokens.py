"""When a call answers with its value and when with a token."""

from __future__ import annotations

import json
import re
import time

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ToolsListChanged
from mcp_types import ToolListChangedNotification

from tests.bounds import PAUSE_S, VALUE_WITHIN_S, bound_s
from tests.harness import FREE, LIMIT_S, Era, running, text_of, toy

pytestmark = pytest.mark.anyio

FREE_HOLD = {"hold": FREE, "echo": FREE, "large": FREE, "sleep": FREE}


async def test_a_fast_call_answers_with_its_value() -> None:
    async with running(inline_wait_s=VALUE_WITHIN_S) as gateway:
        result = await gateway.call("echo", text="hello")
        assert text_of(result) == "hello"
        assert "asyncfc/future" not in (result.meta or {})


async def test_a_slow_call_answers_with_a_token_and_its_value_can_be_awaited() -> None:
    async with running(inline_wait_s=0.05) as gateway:
        token = await gateway.token("hold", key="a")
        assert token.startswith("fut_hold_")
        await gateway.call("release", key="a")
        assert await gateway.value(token) == "held a"


async def test_a_value_can_be_read_again_and_again() -> None:
    async with running(inline_wait_s=0.05) as gateway:
        token = await gateway.token("hold", key="a")
        await gateway.call("release", key="a")
        for _ in range(3):
            assert await gateway.value(token) == "held a"


async def test_a_token_is_in_hand_soon_after_the_inline_wait() -> None:
    async with running(inline_wait_s=0.3) as gateway:
        began = time.monotonic()
        await gateway.token("hold", key="a")
        # The bound is wide, because the machine may be busy; benchmarks/overlap.py measures it.
        assert 0.3 <= time.monotonic() - began < bound_s(2) + PAUSE_S


async def test_the_mode_async_gives_a_token_at_once() -> None:
    async with running({"toy": toy(mode="async", tools=FREE_HOLD)}, inline_wait_s=30) as gateway:
        assert await gateway.token("hold", key="a")


async def test_wait_s_zero_gives_a_token_at_once() -> None:
    async with running({"toy": toy(tools=FREE_HOLD)}, inline_wait_s=30) as gateway:
        assert await gateway.token("hold", key="a", _wait_s=0)


async def test_wait_s_waits_longer_than_the_inline_wait() -> None:
    async with running({"toy": toy(tools=FREE_HOLD)}, inline_wait_s=0) as gateway:
        assert await gateway.text("sleep", seconds=0.2, _wait_s=10) == "slept 0.2"


async def test_wait_s_given_as_text_is_understood() -> None:
    async with running({"toy": toy(tools=FREE_HOLD)}, inline_wait_s=0) as gateway:
        assert await gateway.text("sleep", seconds=0.2, _wait_s="10") == "slept 0.2"


async def test_calls_of_one_step_share_the_inline_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    # however busy the machine is, each call comes soon after the answer before it
    monkeypatch.setattr("asyncfc_mcp.gateway.answering.delivery.SAME_STEP_S", LIMIT_S)
    async with running({"toy": toy(tools=FREE_HOLD)}, inline_wait_s=2) as gateway:
        began = time.monotonic()
        for key in "abcd":
            await gateway.token("hold", key=key)
        assert time.monotonic() - began < bound_s(6), "four calls one after another would wait 8 s"


async def test_a_later_step_has_an_inline_wait_of_its_own() -> None:
    async with running({"toy": toy(tools=FREE_HOLD)}, inline_wait_s=4) as gateway:
        await gateway.token("hold", key="a")
        await anyio.sleep(0.15)
        assert text_of(await gateway.call("sleep", seconds=0.1)) == "slept 0.1"


async def test_a_call_that_is_known_to_be_blocked_does_not_wait() -> None:
    async with running(inline_wait_s=VALUE_WITHIN_S) as gateway:
        await gateway.token("hold", key="a", _wait_s=0)
        began = time.monotonic()
        text = text_of(await gateway.call("echo", text="x"))
        assert time.monotonic() - began < VALUE_WITHIN_S - 3
        assert "waits behind fut_hold_" in text
        assert "write of everything" in text


async def test_a_destructive_tool_waits_up_to_the_cap_of_the_client() -> None:
    async with running({"toy": toy(tools={"destroy": FREE})}, inline_wait_s=0, await_cap_s=5) as gateway:
        answers: list[str] = []

        async def destroy() -> None:
            answers.append(await gateway.text("destroy", key="d"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(destroy)
            await gateway.call("started", key="d")
            await gateway.call("release", key="d")
        assert answers == ["held d"]


async def test_a_pending_result_says_what_a_model_must_know() -> None:
    async with running(inline_wait_s=0) as gateway:
        result = await gateway.call("hold", key="a")
        assert result.meta is not None
        token = result.meta["asyncfc/future"]["token"]
        assert result.meta["asyncfc/future"]["state"] == "running"
        text = text_of(result)
        for needed in (token, "hold", "do not guess", f'await_future(["{token}"])', "later tool results"):
            assert needed in text
        assert len(text) < 600


async def test_a_long_inline_result_ends_with_its_token() -> None:
    async with running({"toy": toy(tools=FREE_HOLD)}) as gateway:
        *_, last = (await gateway.text("large", size=3000)).splitlines()
        (token,) = re.findall(r'write "(fut_large_\w+)" as the argument', last)
        assert await gateway.value(token) == "x" * 3000


async def test_a_short_inline_result_has_no_token_line() -> None:
    async with running() as gateway:
        result = await gateway.call("large", size=1999)
        assert text_of(result) == "x" * 1999


async def test_structured_content_is_dropped_where_the_text_says_it() -> None:
    async with running() as gateway:
        result = await gateway.call("record", count=2)
        assert result.structured_content is None
        assert [item["id"] for item in json.loads(text_of(result))["items"]] == ["item-0", "item-1"]


async def test_structured_true_keeps_both() -> None:
    async with running({"toy": toy(structured=True)}) as gateway:
        result = await gateway.call("record", count=1)
        assert result.structured_content == {"items": [{"id": "item-0", "size": 0}]}


async def test_an_inline_error_of_the_tool_stays_an_error() -> None:
    async with running(inline_wait_s=VALUE_WITHIN_S) as gateway:
        result = await gateway.call("fail", message="no such thing")
        assert result.is_error
        assert text_of(result) == "no such thing"


async def test_an_inline_json_rpc_error_stays_one() -> None:
    async with running(inline_wait_s=VALUE_WITHIN_S) as gateway:
        with pytest.raises(MCPError, match="not that") as caught:
            await gateway.call("reject", message="not that")
        assert caught.value.error.code == -32602
        assert caught.value.error.data == {"toy": True}


async def test_an_unknown_tool_is_an_error_that_the_model_can_act_on() -> None:
    async with running() as gateway:
        result = await gateway.call("ecko")
        assert result.is_error
        assert text_of(result) == "Unknown tool: ecko; did you mean echo?"


@pytest.mark.parametrize("prefix", ["toy", "machines-in-the-room-behind-the-kitchen"])
async def test_a_tool_without_its_prefix_is_found_also_where_its_name_here_was_shortened(prefix: str) -> None:
    async with running({"toy": toy(prefix=prefix)}, inline_wait_s=VALUE_WITHIN_S) as gateway:
        listed = [one.name for one in (await gateway.client.list_tools()).tools]
        assert (f"{prefix}_echo" in listed) == (prefix == "toy")
        meant = re.fullmatch("Unknown tool: echo; did you mean (.+)\\?", text_of(await gateway.call("echo")))
        assert meant
        assert text_of(await gateway.call(meant[1], text="hello")) == "hello"


async def test_an_image_arrives_as_it_is() -> None:
    async with running(inline_wait_s=VALUE_WITHIN_S) as gateway:
        result = await gateway.call("picture")
        assert [block.type for block in result.content] == ["image"]


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_both_eras_of_clients_are_served(era: Era) -> None:
    async with running(era=era, inline_wait_s=0.05) as gateway:
        token = await gateway.token("hold", key="a")
        await gateway.call("release", key="a")
        assert await gateway.value(token) == "held a"


async def test_a_sync_tool_waits_for_its_value_and_never_gives_a_token() -> None:
    async with running({"toy": toy(mode="sync", tools=FREE_HOLD)}, inline_wait_s=0, await_cap_s=0.1) as gateway:
        assert await gateway.text("sleep", seconds=0.4) == "slept 0.4"


async def test_a_sync_call_whose_turn_does_not_come_is_withdrawn() -> None:
    tools = {"hold": {"mode": "async"}, "echo": {"mode": "sync"}}
    async with running({"toy": toy(tools=tools)}, await_cap_s=0.2) as gateway:
        token = await gateway.token("hold", key="a")
        result = await gateway.call("echo", text="x")
        assert result.is_error
        assert token in text_of(result)
        assert "withdrawn" in text_of(result)


async def test_meta_says_which_server_a_tool_comes_from() -> None:
    async with running({"one": toy(prefix=None), "two": toy(prefix="second")}) as gateway:
        tools = {tool.name: tool for tool in (await gateway.client.list_tools()).tools}
        assert tools["one_echo"].meta == {"asyncfc/tool": {"server": "one", "name": "echo"}}
        assert tools["second_echo"].meta == {"asyncfc/tool": {"server": "two", "name": "echo"}}


async def test_the_list_is_the_same_every_time_and_starts_with_our_tools() -> None:
    async with running() as gateway:
        names = [[tool.name for tool in (await gateway.client.list_tools()).tools] for _ in range(2)]
        assert names[0] == names[1]
        assert names[0][:4] == ["await_future", "get_future", "cancel_future", "list_futures"]


async def test_a_tool_that_appears_is_announced_to_a_client_of_the_handshake_era() -> None:
    send, announced = anyio.create_memory_object_stream[object](10)

    async def note(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            await send.send(message)

    with send, announced:
        async with running(era="legacy", message_handler=note) as gateway:
            before = len((await gateway.client.list_tools()).tools)
            await gateway.call("change_tools")
            with anyio.fail_after(LIMIT_S):
                # the very first listing is announced as well
                while len((await gateway.client.list_tools()).tools) == before:
                    await announced.receive()


async def test_a_tool_that_appears_is_announced_to_a_client_that_listens() -> None:
    async with running() as gateway:
        before = len((await gateway.client.list_tools()).tools)
        async with gateway.client.listen(tools_list_changed=True) as events:
            await gateway.call("change_tools")
            with anyio.fail_after(LIMIT_S):
                async for event in events:
                    assert isinstance(event, ToolsListChanged)
                    break
        assert len((await gateway.client.list_tools(cache_mode="bypass")).tools) == before + 1
