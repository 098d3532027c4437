"""await_future, get_future, cancel_future and list_futures."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from tests.harness import FREE, running, text_of, toy

pytestmark = pytest.mark.anyio

SERVER = toy(tools=dict.fromkeys(("hold", "echo", "record", "steps", "hold_and_fail", "large", "picture"), FREE))


async def test_await_gives_one_result_in_the_shape_of_an_inline_one() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.named("picture")
        result = await gateway.call("await_future", futures=[token])
        assert [block.type for block in result.content] == ["image"]


async def test_await_keeps_the_error_of_one_future() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold_and_fail", key="a", message="broken")
        await gateway.call("release", key="a")
        result = await gateway.call("await_future", futures=[token])
        assert result.is_error
        assert text_of(result).startswith("broken")


async def test_await_of_several_has_a_header_each_and_is_no_error() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        good = await gateway.named("echo", text="fine")
        bad = await gateway.token("hold_and_fail", key="a", message="broken")
        await gateway.call("release", key="a")
        result = await gateway.call("await_future", futures=[good, bad])
        assert not result.is_error
        text = text_of(result)
        assert f"=== {good} (toy: echo) resolved ===\nfine" in text
        assert f"=== {bad} (toy: hold_and_fail) failed ===\nbroken" in text


async def test_await_any_returns_with_the_first() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        slow = await gateway.token("hold", key="slow")
        fast = await gateway.token("hold", key="fast")
        await gateway.call("release", key="fast")
        text = await gateway.text("await_future", futures=[slow, fast], mode="any")
        assert "held fast" in text
        assert f"Unsettled: {slow}" in text


async def test_await_that_times_out_is_no_error_and_says_what_is_pending_and_why() -> None:
    async with running({"toy": toy()}, inline_wait_s=0) as gateway:
        first = await gateway.token("hold", key="a")
        second = await gateway.token("echo", text="x")
        result = await gateway.call("await_future", futures=[first, second], timeout_s=0.1)
        assert not result.is_error
        assert f"{first} (toy: hold) running" in text_of(result)
        assert f"{second} (toy: echo) pending: waits behind {first}" in text_of(result)


async def test_await_never_waits_longer_than_the_client_allows() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0, await_cap_s=0.2) as gateway:
        token = await gateway.token("hold", key="a")
        assert "after 0.2 s" in await gateway.text("await_future", futures=[token], timeout_s=1000)


@pytest.mark.parametrize("spelling", ["{t}", '["{t}"]', "`{t}`", " <{t}> ", "{t},{t}", "{u}"])
async def test_await_understands_tokens_however_a_model_writes_them(spelling: str) -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.named("echo", text="fine")
        futures = spelling.format(t=token, u="fut_" + token.removeprefix("fut_").upper())
        assert await gateway.text("await_future", futures=futures) == "fine"


async def test_await_of_a_part_gives_the_part() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.named("record", count=2)
        assert await gateway.text("await_future", futures=[f"{token}/items/1/id"]) == "item-1"


async def test_await_without_futures_waits_for_all_that_is_unsettled() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        await gateway.token("hold", key="a")
        await gateway.token("hold", key="b")
        texts: list[str] = []

        async def wait() -> None:
            texts.append(await gateway.text("await_future", futures=[]))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            for key in "ab":
                await gateway.call("release", key=key, scope="elsewhere")
        assert "held a" in texts[0]
        assert "held b" in texts[0]


async def test_await_without_futures_says_whose_result_it_is_even_of_one() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        texts: list[str] = []

        async def wait() -> None:
            texts.append(await gateway.text("await_future"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await gateway.call("release", key="a", scope="elsewhere")
        assert texts[0].splitlines() == [f"=== {token} (toy: hold) resolved ===", "held a"]


async def test_await_without_anything_unsettled_says_so() -> None:
    async with running() as gateway:
        assert await gateway.text("await_future") == "Nothing is unsettled."


async def test_cancelling_an_await_does_not_cancel_the_call() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        with anyio.move_on_after(0.1):
            await gateway.client.call_tool("await_future", {"futures": [token], "timeout_s": 20})
        await gateway.call("release", key="a")
        assert await gateway.value(token) == "held a"


async def test_progress_reaches_the_call_and_the_await() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("steps", key="a")
        await gateway.call("started", key="a")
        assert "3 of 3 (step 3)" in await gateway.text("get_future", future=token)
        inline: list[float] = []

        async def note_inline(progress: float, total: float | None, message: str | None) -> None:
            inline.append(progress)

        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                await gateway.client.call_tool("steps", {"key": "b", "_wait_s": 10}, progress_callback=note_inline)

            tasks.start_soon(call)
            await gateway.call("started", key="b")
            await gateway.call("release", key="b")
        assert inline == [1, 2, 3]


async def test_an_await_of_several_tells_how_many_have_settled() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        tokens = [await gateway.token("hold", key=key) for key in "ab"]
        for key in "ab":
            await gateway.call("release", key=key)
        seen: list[str | None] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            seen.append(message)

        await gateway.client.call_tool("await_future", {"futures": tokens}, progress_callback=note)
        assert seen == ["1 of 2 settled", "2 of 2 settled"]


async def test_get_future_tells_the_state_without_waiting() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        assert await gateway.text("get_future", future=token) == f"{token} (toy: hold) running"
        await gateway.call("release", key="a")
        await gateway.value(token)
        assert await gateway.text("get_future", future=token) == f"{token} (toy: hold) resolved\nheld a"


async def test_get_future_gives_a_part_by_path_and_by_characters() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.named("record", count=2)
        await gateway.value(token)
        assert (await gateway.text("get_future", future=token, path="/items/0/id")).endswith("\nitem-0")
        text = await gateway.text("get_future", future=token, offset=1, limit=7)
        assert text.endswith('\n"items"')
        assert "Characters 1 to 8 of" in text


async def test_a_large_value_is_given_in_parts() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.named("large", size=50_000)
        await gateway.value(token)
        text = await gateway.text("get_future", future=token)
        assert "Characters 0 to 20000 of 50000." in text


async def test_cancel_stops_a_pending_call_at_once() -> None:
    async with running({"toy": toy()}, inline_wait_s=0) as gateway:
        await gateway.token("hold", key="a")
        second = await gateway.token("put", key="k", value="v")
        assert f"{second} (toy: put) cancelled" in await gateway.text("cancel_future", futures=[second])
        await gateway.call("release", key="a")
        await gateway.text("await_future")
        assert await gateway.text("state", _wait_s=5) == "{}"


async def test_cancel_reaches_the_server_and_keeps_the_labels_for_the_grace() -> None:
    async with running({"toy": toy(cancel_grace_s=3)}, inline_wait_s=0) as gateway:
        first = await gateway.token("hold", key="a")
        second = await gateway.token("echo", text="after")
        assert "cancelling" in await gateway.text("cancel_future", futures=[first], reason="not needed")
        assert "pending" in await gateway.text("get_future", future=second)
        assert await gateway.value(second) == "after"
        assert await gateway.text("cancelled", _wait_s=5) != "0"
        text = await gateway.value(first)
        assert "cancelled" in text
        assert "not needed" in text


async def test_a_call_that_was_given_up_and_forgotten_does_not_time_out() -> None:
    broken: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    server = toy(cancel_grace_s=0.05, timeout_s=1, tools={"hold": FREE})
    async with running({"toy": server}, inline_wait_s=0, ttl_s=0.1) as gateway:
        await gateway.call("cancel_future", futures=[await gateway.token("hold", key="a")])
        with anyio.fail_after(10):
            while len(gateway.app.gateway.table):
                await anyio.lowlevel.checkpoint()
        # whose time is over after that of the first
        assert "timed_out" in await gateway.text("hold", key="b", _wait_s=10)
    assert not broken


async def test_a_server_that_answers_a_cancelled_call_is_heard() -> None:
    async with running({"toy": toy(cancel_grace_s=10)}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        await gateway.call("cancel_future", futures=[token])
        await gateway.call("release", key="a")
        assert await gateway.value(token) == "held a"


async def test_cancelling_what_has_settled_changes_nothing() -> None:
    async with running({"toy": SERVER}, inline_wait_s=0) as gateway:
        token = await gateway.named("echo", text="fine")
        await gateway.value(token)
        assert "resolved already: unchanged" in await gateway.text("cancel_future", futures=[token])
        assert await gateway.value(token) == "fine"


async def test_list_tells_states_and_servers_that_do_not_start() -> None:
    servers = {"toy": SERVER, "gone": {"command": "no-such-command-anywhere"}}
    async with running(servers, inline_wait_s=0) as gateway:
        await gateway.client.list_tools()
        token = await gateway.token("hold", key="a")
        text = await gateway.text("list_futures", state="unsettled")
        assert f"{token} (toy: hold) running" in text
        assert "Server gone is" in text
        assert "no-such-command-anywhere" in text


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("await_future", {"futures": 5}, "futures"),
        ("await_future", {"futures": ["fut_x"], "mode": "some"}, "mode"),
        ("await_future", {"futures": [], "timeout_s": -1}, "timeout_s"),
        ("get_future", {}, "future"),
        ("cancel_future", {"futures": []}, "futures"),
        ("list_futures", {"state": "odd"}, "state"),
    ],
)
async def test_a_bad_argument_is_named_with_what_is_allowed(tool: str, arguments: dict[str, Any], named: str) -> None:
    async with running() as gateway:
        result = await gateway.call(tool, **arguments)
        assert result.is_error
        assert named in text_of(result)
        assert "allowed" in text_of(result)
