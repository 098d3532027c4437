"""Faults that reviewers found by trying, each kept from coming back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from structlog.testing import capture_logs

from asyncfc_mcp.gateway.answering import forgetting
from tests.harness import FREE, TOY, GatewayClient, running, text_of, toy

pytestmark = pytest.mark.anyio


async def side_by_side(gateway: GatewayClient, *calls: dict[str, Any]) -> list[str]:
    """Send calls at once, in this order; the texts of their answers."""
    texts = [""] * len(calls)

    async def call(position: int, arguments: dict[str, Any]) -> None:
        texts[position] = await gateway.text(**arguments)

    async with anyio.create_task_group() as tasks:
        for position, arguments in enumerate(calls):
            tasks.start_soon(call, position, arguments)
    return texts


async def test_calls_at_the_limit_come_in_one_by_one_without_a_stampede() -> None:
    server = toy(tools={"sleep": FREE})
    async with running({"toy": server}, inline_wait_s=0, max_unsettled=50, await_cap_s=15) as gateway:
        longest_s = 0.0
        is_over = anyio.Event()

        async def watch() -> None:
            nonlocal longest_s
            while not is_over.is_set():
                before = time.monotonic()
                await anyio.sleep(0.01)
                longest_s = max(longest_s, time.monotonic() - before)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await side_by_side(gateway, *[{"tool": "sleep", "seconds": 0.01} for _ in range(300)])
            is_over.set()
        assert longest_s < 5, "every waiter used to start a task for every unsettled future, again and again"


async def test_the_sweep_leaves_a_result_that_is_about_to_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "SWEEP_S", 0.001)
    async with running({"toy": toy(tools={"echo": FREE})}) as gateway:
        for _ in range(10):
            texts = await side_by_side(gateway, *[{"tool": "echo", "text": "x", "_wait_s": 5} for _ in range(30)])
            assert set(texts) == {"x"}


async def test_a_value_that_expires_while_a_call_waits_for_room_costs_that_call_only() -> None:
    server = toy(tools=dict.fromkeys(("echo", "sleep"), FREE))
    async with running({"toy": server}, ttl_s=0.2, max_unsettled=1, inline_wait_s=0, await_cap_s=5) as gateway:
        token = await gateway.named("echo", text="old")
        await gateway.token("sleep", seconds=1)
        result = await gateway.call("echo", text=token, _wait_s=5)
        assert result.is_error
        assert f"{token} is not known" in text_of(result)
        assert await gateway.text("echo", text="still here", _wait_s=5) == "still here"


async def test_a_name_means_the_call_of_its_own_chat_even_when_that_comes_later() -> None:
    async with running({"toy": toy(tools={"echo": FREE})}, inline_wait_s=0) as gateway:
        await gateway.call("echo", text="of the other chat", _as="page", scope="a")
        use, _ = await side_by_side(
            gateway,
            {"tool": "echo", "text": "fut_page", "scope": "b", "_wait_s": 5},
            {"tool": "echo", "text": "of this chat", "_as": "page", "scope": "b", "_wait_s": 5},
        )
        assert use == "of this chat"


async def test_a_name_that_looks_like_a_mistyped_token_is_waited_for() -> None:
    async with running({"toy": toy(tools={"echo": FREE})}, inline_wait_s=0) as gateway:
        use, _ = await side_by_side(
            gateway,
            {"tool": "echo", "text": "fut_list_documents", "_wait_s": 5},
            {"tool": "echo", "text": "all of them", "_as": "list_documents", "_wait_s": 5},
        )
        assert use == "all of them"


async def test_a_write_that_waits_for_a_name_keeps_its_place_before_a_later_one() -> None:
    tools = {"put": {"writes": ["db/{key}"]}, "echo": FREE}
    async with running({"toy": toy(tools=tools)}, inline_wait_s=0) as gateway:
        await side_by_side(
            gateway,
            {"tool": "put", "key": "k", "value": "fut_first", "_wait_s": 5},
            {"tool": "put", "key": "k", "value": "second", "_wait_s": 5},
            {"tool": "echo", "text": "first", "_as": "first", "_wait_s": 5},
        )
        assert await gateway.text("get", key="k", _wait_s=5) == "second"


async def test_an_await_waits_for_a_name_of_the_same_message() -> None:
    async with running({"toy": toy(tools={"echo": FREE})}, inline_wait_s=0) as gateway:
        awaited, _ = await side_by_side(
            gateway,
            {"tool": "await_future", "futures": ["fut_later"]},
            {"tool": "echo", "text": "here", "_as": "later", "_wait_s": 5},
        )
        assert awaited == "here"


async def test_a_pending_result_of_a_structured_tool_fits_its_output_schema() -> None:
    server = toy(structured=True, tools=dict.fromkeys(("record", "hold"), FREE))
    async with running({"toy": server}, inline_wait_s=0) as gateway:
        await gateway.client.list_tools()
        await gateway.token("hold", key="a", _as="gate")
        result = await gateway.call("record", count="${fut_gate}", _as="r")
        assert result.structured_content is not None
        assert result.structured_content["token"] == "fut_r"


async def test_an_await_of_all_is_about_the_own_scope_and_leaves_others_untold() -> None:
    async with running({"toy": toy(tools={"hold": FREE, "echo": FREE})}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a", scope="b")
        assert await gateway.text("await_future", scope="a") == "Nothing is unsettled."
        await gateway.call("release", key="a", scope="c")
        assert "held a" in await gateway.text("await_future", futures=[token], scope="a")
        result = await gateway.call("echo", text="x", scope="b", _wait_s=5)
        assert [one["token"] for one in (result.meta or {})["asyncfc/delivered"]] == [token]


async def test_a_large_poisoned_family_is_delivered() -> None:
    server = toy(tools=dict.fromkeys(("hold_and_fail", "echo"), FREE))
    async with running({"toy": server}, inline_wait_s=0) as gateway:
        root = await gateway.token("hold_and_fail", key="a", message="no")
        for _ in range(150):
            await gateway.token("echo", text=root)
        (future,) = [one for one in gateway.app.gateway.table if one.token == root]
        await gateway.call("release", key="a", scope="elsewhere")
        await future.settled.wait()
        result = await gateway.call("echo", text="x", _wait_s=5)
        assert len((result.meta or {})["asyncfc/delivered"]) == 151
        assert "and 130 more" in text_of(result)


async def test_labels_go_by_what_the_server_gets() -> None:
    tools = {"list_arguments": {"writes": ["db/{values}"]}, "hold": {"writes": ["db/{key}"]}}
    async with running({"toy": toy(tools=tools)}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        text = text_of(await gateway.call("list_arguments", values='["a", "b"]', options={}))
        assert f"behind {token}" in text


async def test_a_call_of_a_server_that_is_down_says_that_it_was_not_sent(tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    script = (
        f"import os, runpy, sys; os.path.exists({str(flag)!r}) and sys.exit(3); "
        f"runpy.run_path({str(TOY)!r}, run_name='__main__')"
    )
    servers = {"toy": {"command": sys.executable, "args": ["-c", script], "asyncfc": {"prefix": ""}}}
    async with running(servers, state_folder=tmp_path) as gateway:
        assert len((await gateway.client.list_tools()).tools) > 4
    flag.touch()
    async with running(servers, state_folder=tmp_path) as gateway:
        text = await gateway.text("echo", text="x", _wait_s=0.3)
        assert "for its server toy, which is not connected" in text
        assert "it has not been sent" in text
        assert "still running" not in text


async def test_a_blocked_destructive_call_does_not_freeze_the_model() -> None:
    async with running({"toy": toy(cancel_grace_s=0.1)}, inline_wait_s=0, await_cap_s=30) as gateway:
        first = await gateway.token("hold", key="a")
        began = time.monotonic()
        assert f"behind {first}" in text_of(await gateway.call("destroy", key="b"))
        assert time.monotonic() - began < 10


async def test_a_call_that_the_client_cancelled_is_not_reported_as_news() -> None:
    server = toy(cancel_grace_s=0.1, tools=dict.fromkeys(("hold", "echo"), FREE))
    async with running({"toy": server}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold", key="a")
        await gateway.call("cancel_future", futures=[token])
        await gateway.value(token)
        result = await gateway.call("echo", text="x", _wait_s=5)
        assert "asyncfc/delivered" not in (result.meta or {})


async def test_an_inline_failure_names_no_token_that_is_gone() -> None:
    async with running({"toy": toy(tools={"record": FREE, "add": FREE})}) as gateway:
        token = await gateway.named("record", count=1)
        result = await gateway.call("add", a=token, b=1, _wait_s=5)
        assert result.is_error
        assert "fut_add_" not in text_of(result)
        assert token in text_of(result)


async def test_a_path_of_nine_hundred_segments_is_a_label_like_any_other() -> None:
    tools = {"echo": {"reads": ["fs/{text:path}"]}}
    async with running({"toy": toy(tools=tools)}) as gateway:
        assert await gateway.text("echo", text="/a" * 900, _wait_s=5) == "/a" * 900
        assert await gateway.text("echo", text="/b", _wait_s=5) == "/b"


async def test_a_late_answer_does_not_change_what_was_said_of_a_timed_out_call() -> None:
    server = toy(timeout_s=0.2, cancel_grace_s=20, tools=dict.fromkeys(("hold_and_fail",), FREE))
    async with running({"toy": server}, inline_wait_s=0) as gateway:
        token = await gateway.token("hold_and_fail", key="a", message="late text")
        first = await gateway.value(token)
        assert "timed_out" in first
        await gateway.call("release", key="a")
        (future,) = [one for one in gateway.app.gateway.table if one.token == token]
        with anyio.fail_after(10):
            while not future.record.has_ended:
                await anyio.lowlevel.checkpoint()
        assert (await gateway.value(token)).startswith(f"{first}\nIts server answered ")
        assert future.record.state == "failed"


async def test_values_over_the_budget_are_forgotten_oldest_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "SWEEP_S", 0.01)
    async with running({"toy": toy(tools={"large": FREE})}, max_kept_mb=1) as gateway:
        tokens = [await gateway.named("large", size=400_000) for _ in range(5)]
        with anyio.fail_after(10):
            while len(gateway.app.gateway.table) > 2:
                await anyio.lowlevel.checkpoint()
        assert (await gateway.call("await_future", futures=[tokens[0]])).is_error
        assert len(await gateway.value(tokens[-1])) == 400_000


async def test_silent_scopes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "SWEEP_S", 0.01)
    monkeypatch.setattr("asyncfc_mcp.gateway.answering.delivery.IDLE_S", 0.05)
    async with running({"toy": toy(tools={"echo": FREE})}) as gateway:
        for number in range(20):
            await gateway.call("echo", text="x", scope=f"chat{number}")
        with anyio.fail_after(10):
            while gateway.app.gateway.delivery.scopes_known:
                await anyio.lowlevel.checkpoint()


async def test_settings_of_a_tool_that_is_not_there_are_warned_of() -> None:
    with capture_logs() as logs:
        async with running({"toy": toy(tools={"ecko": FREE})}) as gateway:
            await gateway.client.list_tools()
    assert [one["tools"] for one in logs if one["event"] == "unknown_tools_configured"] == [("ecko",)]


async def test_a_call_whose_token_cannot_be_kept_is_withdrawn_and_the_gateway_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running({"toy": toy(tools={"hold": FREE, "echo": FREE})}, inline_wait_s=0) as gateway:

        async def full_disk(store: object, row: object) -> None:
            raise OSError("disk is full")

        with monkeypatch.context() as patched:
            patched.setattr("asyncfc_mcp.store.memory.MemoryStore.put", full_disk)
            with pytest.raises(MCPError, match="its log says why"):
                await gateway.call("hold", key="a")
        assert await gateway.text("echo", text="on", _wait_s=5) == "on"
        (future,) = [one for one in gateway.app.gateway.table if one.tool_name == "hold"]
        assert future.record.is_answered
        assert future.cancel_requested.is_set()
