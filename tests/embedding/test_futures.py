"""Futures in the hands of a program: passed on, looked at, waited for, cancelled."""

from __future__ import annotations

import asyncio
import json

import anyio
import pytest

from asyncfc_mcp import CallFailed, Future, FutureState, GatewayError, Progress, UnknownToken, WaitTimedOut
from tests.embedding.support import LIMIT_S, opened, release, started

pytestmark = pytest.mark.anyio


async def test_submit_does_not_wait_for_the_call() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        assert not held.is_settled
        assert held.state is FutureState.RUNNING
        assert (held.tool, held.server) == ("hold", "toy")
        assert held.token.startswith("fut_hold_")
        await release(gateway, "a")
        assert (await held.result(LIMIT_S)).text == "held a"
        assert held.state is FutureState.RESOLVED


async def test_a_result_can_be_read_again() -> None:
    async with opened() as gateway:
        said = await gateway.submit("echo", {"text": "again"})
        assert [(await said.result(LIMIT_S)).text for _ in range(3)] == ["again"] * 3


async def test_to_await_a_future_gives_its_result() -> None:
    async with opened() as gateway:
        said = [await gateway.submit("echo", {"text": text}) for text in ("one", "two")]
        assert [(await one).text for one in said] == ["one", "two"]
        assert [one.text for one in await asyncio.gather(*said)] == ["one", "two"]
        with pytest.raises(CallFailed, match="broken"):
            await (await gateway.submit("fail", {"message": "broken"}))


async def test_asyncio_that_gives_up_a_wait_leaves_the_call_alone() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(held, 0.01)
        assert held.state is FutureState.RUNNING
        await release(gateway, "a")
        assert (await held).text == "held a"


async def test_a_part_of_a_future_stands_for_a_part_of_its_value() -> None:
    async with opened() as gateway:
        record = await gateway.submit("record", {"count": 3})
        assert record / "items/1/id" == record / "items" / 1 / "id" == f"{record}/items/1/id"
        said = await gateway.submit("echo", {"text": record / "items/1/id"})
        assert (await said.result(LIMIT_S)).text == "item-1"
        assert (await gateway.call("add", {"a": record / "items" / 2 / "size", "b": 5})).text == "7"


async def test_futures_may_stand_anywhere_in_the_arguments() -> None:
    async with opened() as gateway:
        one, record = await gateway.submit("echo", {"text": "one"}), await gateway.submit("record", {"count": 1})
        deep = {"record": record / "items", "one": [(one,)]}
        arguments = {"values": (one, "two"), "options": {"deep": deep}}
        said = json.loads((await gateway.call("list_arguments", arguments)).text)
        items = [{"id": "item-0", "size": 0}]
        assert said == {"values": ["one", "two"], "options": {"deep": {"record": items, "one": [["one"]]}}}
        assert arguments == {"values": (one, "two"), "options": {"deep": deep}}


async def test_inside_a_longer_text_a_future_is_embedded() -> None:
    async with opened() as gateway:
        name, record = await gateway.submit("echo", {"text": "Ada"}), await gateway.submit("record", {"count": 1})
        said = await gateway.call("echo", {"text": f"{name.embedded} has {(record / 'items/0/id').embedded}"})
        assert said.text == "Ada has item-0"
        with pytest.raises(GatewayError, match="stands inside a longer text"):
            await gateway.call("echo", {"text": f"Dear {name}!"})


async def test_a_future_can_have_a_name_of_its_own() -> None:
    async with opened() as gateway:
        page = await gateway.submit("echo", {"text": "named"}, name="page")
        assert page.token == "fut_page"
        assert (await gateway.call("echo", {"text": "fut_page"})).text == "named"
        with pytest.raises(GatewayError, match="choose another name"):
            await gateway.submit("echo", {"text": "other"}, name="page")


async def test_a_call_that_is_not_taken_in_leaves_nothing_behind() -> None:
    async with opened(inline_wait_s=0.05) as gateway:
        told = await gateway.model_call("hold", {"key": "a", "_as": "mine"})
        with pytest.raises(GatewayError, match="choose another name"):
            await gateway.submit("echo", {"text": "x"}, name="mine")
        with pytest.raises(UnknownToken):
            await gateway.submit("echo", {"text": "fut_nobody_knows"})
        assert [one.token for one in gateway.futures()] == [told.token]
        await release(gateway, "a")
        assert await gateway.futures()[0].wait(LIMIT_S)
        assert "held a" in (await gateway.model_call("echo", {"text": "x", "_wait_s": LIMIT_S})).text


async def test_it_says_why_it_waits() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        said = await gateway.submit("echo", {"text": held})
        assert said.state is FutureState.PENDING
        assert said.why_it_waits == f"for the value of {held}"
        await release(gateway, "a")
        assert await said.wait(LIMIT_S)
        assert said.why_it_waits == ""


async def test_it_says_how_far_it_is() -> None:
    async with opened() as gateway:
        steps = await gateway.submit("steps", {"key": "a"})
        await started(gateway, "a")
        assert steps.progress == Progress(3, 3, "step 3")
        await release(gateway, "a")
        await steps.result(LIMIT_S)


async def test_wait_says_whether_it_has_settled_and_never_raises_for_a_failure() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        assert not await held.wait(0)
        failed = await gateway.submit("fail", {"message": "broken"})
        assert await failed.wait(LIMIT_S)
        assert failed.failure is not None
        assert failed.failure.reason == "tool_error"
        assert held.failure is None


async def test_a_wait_that_times_out_or_is_cancelled_leaves_the_call_alone() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        with pytest.raises(WaitTimedOut) as timed_out:
            await held.result(0.01)
        assert timed_out.value.future is held
        with anyio.move_on_after(0.01) as given_up:
            await held.result()
        assert given_up.cancelled_caught
        assert held.state is FutureState.RUNNING
        await release(gateway, "a")
        assert (await held.result(LIMIT_S)).text == "held a"


async def test_cancelling_a_call_that_waits_ends_it_at_once() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        said = await gateway.submit("echo", {"text": held})
        said.cancel("not needed any more")
        with pytest.raises(CallFailed, match="not needed any more") as failed:
            await said.result(LIMIT_S)
        assert failed.value.reason == "cancelled"
        assert said.state is FutureState.CANCELLED


async def test_cancelling_a_running_call_asks_its_server_to_stop() -> None:
    async with opened(cancel_grace_s=0.05) as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        await started(gateway, "a")
        held.cancel()
        assert held.state is FutureState.CANCELLING
        assert await held.wait(LIMIT_S)
        assert held.state is FutureState.CANCELLED
        assert (await gateway.call("cancelled")).text == "1"


async def test_a_callback_of_the_loop_may_cancel_and_list() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        said = await gateway.submit("echo", {"text": held})
        listed: list[Future] = []
        asyncio.get_running_loop().call_soon(said.cancel)
        asyncio.get_running_loop().call_soon(lambda: listed.extend(gateway.futures()))
        assert await said.wait(LIMIT_S)
        assert said.state is FutureState.CANCELLED
        assert listed == [held, said]


async def test_cancelling_what_has_settled_changes_nothing() -> None:
    async with opened() as gateway:
        said = await gateway.submit("echo", {"text": "done"})
        await said.wait(LIMIT_S)
        said.cancel()
        assert (await said.result()).text == "done"


async def test_what_needs_the_value_of_a_failed_future_names_it() -> None:
    async with opened() as gateway:
        failed = await gateway.submit("fail", {"message": "broken"})
        with pytest.raises(CallFailed, match=f"it needs the value of {failed}, which failed: broken") as poisoned:
            await gateway.call("echo", {"text": failed})
        assert poisoned.value.reason == "poisoned"
        assert poisoned.value.failure.cause == failed.token


async def test_futures_can_be_listed_and_found_by_token() -> None:
    async with opened() as gateway:
        one, two = await gateway.submit("echo", {"text": "one"}), await gateway.submit("hold", {"key": "a"})
        assert gateway.futures() == (one, two)
        assert await gateway.future(str(two)) == two
        assert len({one, two, await gateway.future(two.token)}) == 2
        with pytest.raises(UnknownToken, match=f"Your live tokens: {one}, {two}"):
            await gateway.future("fut_nobody_knows")


async def test_a_call_that_was_waited_for_leaves_no_future_behind() -> None:
    async with opened() as gateway:
        await gateway.call("echo", {"text": "x"})
        assert gateway.futures() == ()


async def test_calls_without_labels_keep_their_order_when_they_are_submitted_one_after_another() -> None:
    async with opened() as gateway:
        appended = [await gateway.submit("append", {"key": "k", "value": one, "delay_s": 0.05}) for one in "abc"]
        assert (await appended[-1].result(LIMIT_S)).text == "abc"


async def test_calls_without_labels_overlap_when_they_are_submitted_side_by_side() -> None:
    async with opened() as gateway:
        steps: list[Future] = await asyncio.gather(*(gateway.submit("steps", {"key": key}) for key in "ab"))
        await started(gateway, "a")
        await started(gateway, "b")
        for key in "ab":
            await release(gateway, key)
        assert [(await one.result(LIMIT_S)).text for one in steps] == ["held a", "held b"]
