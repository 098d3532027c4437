"""Calls that a program waits for."""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from asyncfc_mcp import CallFailed, FutureState, GatewayError, UnknownTool, WaitTimedOut
from tests.embedding.support import LIMIT_S, document, opened, release, started
from tests.toy import PIXEL

pytestmark = pytest.mark.anyio

RECORD = {"items": [{"id": "item-0", "size": 0}]}


async def test_a_call_gives_all_that_the_tool_has_answered() -> None:
    async with opened() as gateway:
        result = await gateway.call("record", {"count": 1})
        assert result.structured == RECORD
        assert result.raw["structuredContent"] == RECORD
        assert not result.is_error
        assert str(result) == result.text == '{"items": [{"id": "item-0", "size": 0}]}'


async def test_content_that_is_no_text_is_in_the_blocks() -> None:
    async with opened() as gateway:
        picture = await gateway.call("picture")
        assert picture.content == [{"type": "image", "data": PIXEL, "mimeType": "image/png"}]
        assert picture.text == ""
        assert picture.structured is None


async def test_a_tool_that_fails_raises_with_what_it_said() -> None:
    async with opened() as gateway:
        with pytest.raises(CallFailed, match="no such page") as failed:
            await gateway.call("fail", {"message": "no such page"})
        assert failed.value.reason == "tool_error"
        assert failed.value.result is not None
        assert failed.value.result.is_error
        assert failed.value.result.text == "no such page"


async def test_a_server_that_refuses_the_request_raises_with_its_reason() -> None:
    async with opened() as gateway:
        with pytest.raises(CallFailed, match="not like this") as failed:
            await gateway.call("reject", {"message": "not like this"})
        assert failed.value.reason == "rpc_error"
        assert failed.value.result is None


async def test_a_tool_that_nobody_has_is_an_error_that_names_a_similar_one() -> None:
    async with opened() as gateway:
        with pytest.raises(UnknownTool, match="did you mean echo"):
            await gateway.call("ecko", {"text": "x"})


async def test_a_tool_that_its_server_has_dropped_is_said_to_be_gone(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    gone = {"name": "gone", "inputSchema": {"type": "object"}}
    answer: dict[str, list[str]] = {"content": []}
    script.write_text(json.dumps({"more_tools": [gone], "answer": answer}))
    shifty = Path(__file__).parents[1] / "security" / "servers" / "shifty.py"
    async with opened({"mcpServers": {"shifty": {"command": sys.executable, "args": [str(shifty), str(script)]}}}) as g:
        await g.call("shifty_gone")
        script.write_text(json.dumps({"answer": answer}))
        await g.call("shifty_relist")
        with suppress(UnknownTool):
            while True:  # until the list has been read again
                await g.call("shifty_gone")
        with pytest.raises(UnknownTool, match="server 'shifty' does not offer it any more"):
            await g.submit("shifty_gone")


async def test_a_tool_of_the_gateways_own_is_said_to_be_for_models() -> None:
    async with opened() as gateway:
        with pytest.raises(UnknownTool, match="await_future; it is for models: `model_call` calls it"):
            await gateway.submit("await_future", {"futures": []})


async def test_a_time_that_is_none_is_refused_before_the_call_is_made() -> None:
    async with opened() as gateway:
        with pytest.raises(ValueError, match="timeout_s is NaN"):
            await gateway.call("hold", {"key": "a"}, timeout_s=math.nan)
        assert gateway.futures() == ()


async def test_a_call_that_takes_too_long_goes_on_and_can_be_waited_for_again() -> None:
    async with opened() as gateway:
        with pytest.raises(WaitTimedOut, match=r"has not settled within 0.1 s \(running\)") as timed_out:
            await gateway.call("hold", {"key": "a"}, timeout_s=0.1)
        assert isinstance(timed_out.value, TimeoutError)
        assert isinstance(timed_out.value, GatewayError)
        await release(gateway, "a")
        assert (await timed_out.value.future.result(LIMIT_S)).text == "held a"


async def test_to_cancel_the_wait_of_a_call_cancels_the_call() -> None:
    async with opened() as gateway:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.call, "hold", {"key": "a"})
            await started(gateway, "a")
            tasks.cancel_scope.cancel()
        with anyio.fail_after(LIMIT_S):
            while (await gateway.call("cancelled")).text == "0":
                await anyio.lowlevel.checkpoint()


async def test_a_tool_in_sync_mode_waits_no_longer_than_the_program_wants() -> None:
    config = document()
    config["mcpServers"]["toy"]["asyncfc"]["tools"]["hold"] = {"mode": "sync", "reads": [], "writes": []}
    async with opened(config) as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        assert held.state is FutureState.RUNNING
        with pytest.raises(WaitTimedOut):
            await gateway.call("hold", {"key": "b"}, timeout_s=0.05)
        await release(gateway, "a")
        assert (await held.result(LIMIT_S)).text == "held a"


async def test_many_calls_at_once_each_get_their_own_answer() -> None:
    async with opened() as gateway:
        answers: dict[int, str] = {}

        async def echo(number: int) -> None:
            answers[number] = (await gateway.call("echo", {"text": f"number {number}"})).text

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(echo, number)
        assert answers == {number: f"number {number}" for number in range(50)}
