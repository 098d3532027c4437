"""The same call sent again under `asyncfc/idempotencyKey`: one execution, and every sender is answered."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult

from asyncfc_mcp.gateway.intake.repeating import KEY_META_KEY, LONGEST_KEY
from tests.bounds import bound_s
from tests.harness import FREE, LIMIT_S, GatewayClient, running, text_of, toy
from tests.tasks.support import with_tasks

pytestmark = pytest.mark.anyio

KEY = "order-7f3c2a"
TOOLS = dict.fromkeys(("hold", "append", "echo"), FREE)


async def _send(client: GatewayClient, tool: str, arguments: dict[str, Any], key: Any = KEY) -> CallToolResult:
    with anyio.fail_after(bound_s(LIMIT_S)):
        return await client.client.call_tool(tool, arguments, meta={KEY_META_KEY: key})


def _token(result: CallToolResult) -> str:
    assert result.meta is not None
    return result.meta["asyncfc/future"]["token"]


APPEND = {"key": "k", "value": "x", "_wait_s": LIMIT_S}


async def test_a_call_that_was_answered_inline_is_answered_so_again() -> None:
    async with running() as client:
        answers = [await _send(client, "append", APPEND) for _ in range(3)]
        assert [text_of(answer) for answer in answers] == ["x", "x", "x"]
        assert await client.text("get", key="k") == "x"


async def test_a_structured_result_comes_again_in_the_same_shape() -> None:
    async with running({"toy": toy(structured=True)}) as client:
        answers = [await _send(client, "record", {"count": 2, "_wait_s": LIMIT_S}) for _ in range(2)]
        assert answers[0].structured_content == answers[1].structured_content
        assert answers[0].structured_content is not None


async def test_a_failure_comes_again_and_is_not_tried_again() -> None:
    async with running() as client:
        failing = {**APPEND, "fails": True}
        answers = [await _send(client, "append", failing) for _ in range(2)]
        assert [answer.is_error for answer in answers] == [True, True]
        assert text_of(answers[0]) == text_of(answers[1])


async def test_a_call_that_was_answered_with_a_token_gives_the_same_token_and_then_its_value() -> None:
    async with running({"toy": toy(tools=TOOLS)}) as client:
        hold = {"key": "a", "_wait_s": 0}
        held = _token(await _send(client, "hold", hold))
        assert _token(await _send(client, "hold", hold)) == held
        await client.call("release", key="a")
        assert await client.value(held) == "held a"
        assert text_of(await _send(client, "hold", hold)).startswith("held a")


async def test_a_repeated_call_may_wait_for_longer_than_the_first() -> None:
    async with running({"toy": toy(tools=TOOLS)}) as client:
        _token(await _send(client, "hold", {"key": "a", "_wait_s": 0}))
        answers: list[CallToolResult] = []
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                answers.append(await _send(client, "hold", {"key": "a", "_wait_s": LIMIT_S}))

            tasks.start_soon(wait)
            await client.call("release", key="a")
        assert text_of(answers[0]).startswith("held a")


async def test_calls_sent_at_the_same_moment_are_one() -> None:
    async with running() as client:
        answers: list[str] = []

        async def send() -> None:
            answers.append(text_of(await _send(client, "append", APPEND)))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(send)
        assert answers == ["x"] * 20
        assert await client.text("get", key="k") == "x"


async def test_a_call_of_the_same_name_finds_itself_by_its_key() -> None:
    async with running({"toy": toy(tools=TOOLS)}) as client:
        named = {"key": "a", "_wait_s": 0, "_as": "mine"}
        assert [_token(await _send(client, "hold", named)) for _ in range(2)] == ["fut_mine", "fut_mine"]
        await client.call("release", key="a")


async def test_another_call_under_a_used_key_is_refused() -> None:
    async with running() as client:
        await _send(client, "append", APPEND)
        for tool, arguments in (("append", {**APPEND, "value": "y"}), ("echo", {"text": "x"})):
            refused = await _send(client, tool, arguments)
            assert refused.is_error
            assert "another tool or with other arguments" in text_of(refused)
            assert KEY not in text_of(refused)
        assert await client.text("get", key="k") == "x"


async def test_another_key_is_another_call() -> None:
    async with running() as client:
        texts = [text_of(await _send(client, "append", APPEND, key)) for key in ("one", "two", "one")]
        assert texts == ["x", "xx", "x"]


@pytest.mark.parametrize(
    ("key", "fact"),
    [(7, "is no text"), (["a"], "is no text"), ("", "is empty"), ("k" * (LONGEST_KEY + 1), "has 201 characters")],
)
async def test_what_cannot_be_a_key_is_refused(key: Any, fact: str) -> None:
    async with running() as client:
        refused = await _send(client, "append", APPEND, key)
        assert refused.is_error
        assert fact in text_of(refused)
        assert await client.text("get", key="k") == "nothing"


async def test_a_key_of_any_characters_is_taken() -> None:
    async with running() as client:
        for key in ("k" * LONGEST_KEY, "ключ \u0000 \U0001f511", " "):
            assert text_of(await _send(client, "echo", {"text": "x"}, key)) == "x"


async def test_a_call_that_was_cancelled_by_its_client_stays_so() -> None:
    async with running({"toy": toy(tools=TOOLS)}) as client:
        hold = {"key": "a", "_wait_s": 0}
        held = _token(await _send(client, "hold", hold))
        await client.call("cancel_future", futures=[held])
        await client.value(held)
        assert "cancelled" in text_of(await _send(client, "hold", hold))


async def test_a_call_that_never_reached_its_server_gives_its_key_back() -> None:
    async with running(
        {"toy": toy(tools={**TOOLS, "put": {"mode": "sync", "writes": ["x"]}, "steps": {"writes": ["x"]}})},
        await_cap_s=4,
    ) as client:
        await client.call("steps", key="a", _wait_s=0)
        put = {"key": "k", "value": "v"}
        withdrawn = await _send(client, "put", put)
        assert withdrawn.is_error
        await client.call("release", key="a")
        await client.call("await_future", futures=[])
        assert text_of(await _send(client, "put", put)) == "k is v"


async def test_no_log_learns_the_key(logged: list[MutableMapping[str, Any]]) -> None:
    async with running() as client:
        await _send(client, "append", APPEND)
        await _send(client, "append", APPEND)
        assert KEY not in str(logged)


async def test_a_key_counts_for_all_scopes_of_its_user() -> None:
    async with running() as client:
        answers: list[str] = []
        for scope in ("one", "two"):
            with anyio.fail_after(bound_s(LIMIT_S)):
                meta: Any = {KEY_META_KEY: KEY, "asyncfc/scope": scope}
                answers.append(text_of(await client.client.call_tool("append", APPEND, meta=meta)))
        assert answers == ["x", "x"]


async def test_a_call_that_was_answered_with_a_task_is_answered_with_the_same_task() -> None:
    async with with_tasks(inline_wait_s=0) as client:
        params = {"name": "hold", "arguments": {"key": "a"}, "_meta": {KEY_META_KEY: KEY}}
        tasks = [await client.request("tools/call", params) for _ in range(2)]
        assert [task["resultType"] for task in tasks] == ["task", "task"]
        assert tasks[0]["taskId"] == tasks[1]["taskId"]
