"""How many requests may wait at once, and how much may wait for a client that does not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.gateway.questions import asking
from asyncfc_mcp.server import crowd, tools
from asyncfc_mcp.transports import sessions
from tests.bad_input.support import assert_unharmed, error_of, free_toy
from tests.harness import FREE, LIMIT_S, running
from tests.process.support import started, text_of
from tests.questions.support import FORM, User
from tests.security.support import Shifty
from tests.transports.support import place

pytestmark = pytest.mark.anyio

SMALL = """
import asyncfc_mcp.transports.pipe as pipe
pipe.MOST_WAITING_BYTES, pipe.MOST_LINE_BYTES = 500_000, 209_715
"""


async def test_more_awaits_of_one_conversation_than_may_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "MOST_AWAITING", 2)
    async with running({"toy": free_toy()}, inline_wait_s=0, store="memory") as gateway:
        token = await gateway.token("hold", key="a")
        async with anyio.create_task_group() as waiting:
            for _ in range(2):
                waiting.start_soon(gateway.value, token)
            await gateway.call("list_futures")
            message = error_of(await gateway.call("await_future", futures=[token]))
            assert message.startswith("await_future: 2 of these requests wait already")
            assert "futures takes a list" in message
            assert "Still unsettled" in await gateway.text("await_future", futures=[token], timeout_s=0, scope="other")
            await gateway.call("release", key="a")
        await assert_unharmed(gateway)


async def test_more_requests_than_may_be_answered_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "MOST_REQUESTS", 2)
    async with running({"toy": free_toy()}, inline_wait_s=0, store="memory") as gateway:
        token = await gateway.token("hold", key="a")
        async with anyio.create_task_group() as waiting:
            for _ in range(2):
                waiting.start_soon(gateway.value, token)
            await gateway.call("list_futures")  # they have come before it
            message = error_of(await gateway.call("echo", text="x"))
            assert message.startswith("not started: 2 requests are being answered already")
            with pytest.raises(MCPError, match="2 requests are being answered already"):
                await gateway.client.list_tools()
            monkeypatch.setattr(crowd, "MOST_REQUESTS", 10)
            await gateway.call("release", key="a")
        await assert_unharmed(gateway)


async def test_more_tokens_than_one_request_may_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "MOST_NAMED", 3)
    async with running({"toy": free_toy()}, store="memory") as gateway:
        message = error_of(await gateway.call("await_future", futures=["fut_x"] * 4))
        assert "at most 3 tokens at once" in message


async def test_a_client_that_does_not_read_is_not_read_from_and_loses_nothing(tmp_path: Path) -> None:
    text = "x" * 10_000
    async with started(tmp_path, {"toy": free_toy()}, settings={"inline_wait_s": 20}, prelude=SMALL) as gateway:
        await gateway.initialize()
        first = await gateway.start_call("echo", {"text": text})
        is_full, is_taken = anyio.Event(), anyio.Event()

        async def send_more() -> None:
            for _ in range(99):  # the last of them may not be taken either: that depends on who is faster
                await gateway.start_call("echo", {"text": text})
            await is_full.wait()
            for _ in range(60):
                await gateway.start_call("echo", {"text": text})
            is_taken.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_more)
            await gateway.logged("client_does_not_read")
            is_full.set()
            with anyio.move_on_after(1):
                await is_taken.wait()
            assert not is_taken.is_set(), "600 KB are more than the pipe holds, so somebody has read them"
            for number in range(first, first + 160):
                assert text in text_of(await gateway.answer(number))
        assert "still here" in await gateway.text("echo", text="still here")


async def test_a_message_longer_than_any_may_be_is_answered_and_not_kept(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": free_toy()}, prelude=SMALL) as gateway:
        await gateway.initialize()
        number = await gateway.start_call("echo", {"text": "x" * 400_000})
        error = (await gateway.answer(number))["error"]
        assert "at most 0.2 MB are taken" in error["message"]
        assert "still here" in await gateway.text("echo", text="still here")


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_more_sessions_than_may_be_open_are_refused(
    kind: Literal["http", "sse"], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place(kind, store="memory") as gateway:
        async with gateway.client("legacy") as first:
            monkeypatch.setattr(sessions, "MOST_SESSIONS", 1)
            async with httpx2.AsyncClient() as another:
                ask = another.post if kind == "http" else another.get
                with anyio.fail_after(LIMIT_S):
                    refusal = await ask(gateway.url)
            assert refusal.status_code == 503
            assert "1 sessions are open, which is the most" in refusal.text
            assert (await first.list_tools()).tools
        if kind == "http":
            async with gateway.client("auto") as modern:
                assert (await modern.list_tools()).tools


async def test_more_questions_than_may_be_open_are_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_OPEN", 1)
    user = User()
    user.may_answer = anyio.Event()
    server = free_toy()
    server["asyncfc"]["tools"] |= {"ask": FREE}
    settings: dict[str, Any] = {"inline_wait_s": 0, "store": "memory", "client_options": user.options}
    async with running({"toy": server}, era="legacy", **settings) as gateway:
        first = await gateway.token("ask", method="elicitation/create", params=FORM)
        with anyio.fail_after(LIMIT_S):
            await user.was_asked.wait()
        second = await gateway.named("ask", method="elicitation/create", params=FORM)
        assert "1 questions are open already" in await gateway.value(second)
        user.may_answer.set()
        assert "red" in await gateway.value(first)


async def test_names_that_collide_do_not_fill_the_list_of_futures(tmp_path: Path) -> None:
    first, second = Shifty(tmp_path, "a"), Shifty(tmp_path, "b")
    for one in (first, second):
        one.offers(*(f"tool{number}" for number in range(300)), "long" * 1_000)
    servers = {"a": first.entry(prefix=""), "b": second.entry(prefix="")}
    async with running(servers) as gateway:
        with anyio.fail_after(LIMIT_S):
            while "of that kind" not in (listed := await gateway.text("list_futures")):
                pass
    assert "tools 'say' of server 'a' and 'say' of server 'b' would both be called 'say'" in listed
    assert len(listed) < 20 * 500
