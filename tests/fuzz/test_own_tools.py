"""The gateway's own tools, and `_as` and `_wait_s`, with arguments of every kind: a result or a documented refusal."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import MCPError
from mcp_types import CallToolResult

from tests.fuzz.budget import LIVES_S, examples
from tests.fuzz.hostile import TEXTS, TOKENS, among
from tests.fuzz.wire import WRITABLE
from tests.harness import FREE, LIMIT_S, GatewayClient, running, text_of, toy

pytestmark = pytest.mark.anyio

LIVE = ("fut_text", "fut_record", "fut_failed", "fut_picture", "fut_cancelled")


def part(token: str, path: str) -> str:
    return token + path


FUTURES: st.SearchStrategy[Any] = st.one_of(
    among(LIVE),
    st.builds(
        part,
        among(LIVE) | TOKENS,
        among(["/items/0/id", "/items", ".items[1]", "/no", "[0]", "/", "~", " ", ",fut_text"]) | TEXTS,
    ),
    TEXTS,
    WRITABLE,
)
MANY = FUTURES | st.lists(FUTURES, max_size=4) | st.lists(FUTURES, max_size=3).map(str)
AMOUNTS = among([0, 1, 0.01, -1, "0", "5", "1e999", "nan", True, None, 10**30, 2**63]) | WRITABLE
ARGUMENTS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "await_future": {"futures": MANY, "mode": among(["all", "any"]) | WRITABLE, "timeout_s": AMOUNTS},
    "get_future": {"future": FUTURES, "path": TEXTS | WRITABLE, "offset": AMOUNTS, "limit": AMOUNTS},
    "cancel_future": {"futures": MANY, "reason": TEXTS | WRITABLE},
    "list_futures": {"state": among(["unsettled", "running", "resolved"]) | WRITABLE},
}
NOTHING: dict[str, st.SearchStrategy[Any]] = {}


def calls_of(tool: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    arguments = st.fixed_dictionaries(NOTHING, optional={**ARGUMENTS[tool], "other": WRITABLE})
    return st.tuples(st.just(tool), arguments)


CALLS = st.sampled_from(sorted(ARGUMENTS)).flatmap(calls_of)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def gateway() -> AsyncGenerator[GatewayClient]:
    tools = dict.fromkeys(("echo", "record", "fail", "picture", "hold"), FREE)
    async with running({"toy": toy(tools=tools)}, lives_s=LIVES_S, await_cap_s=0.05, piggyback="off") as client:
        await client.call("echo", _as="text", text="plain")
        await client.call("record", _as="record", count=2)
        await client.call("fail", _as="failed", message="no")
        await client.call("picture", _as="picture")
        await client.call("hold", _as="cancelled", _wait_s=0, key="never")
        await client.call("cancel_future", futures="fut_cancelled")
        await client.settle(*LIVE)
        yield client
        token = await client.named("echo", text="still here")
        assert (await client.text("get_future", future=token)).endswith("still here")


async def answer(gateway: GatewayClient, tool: str, arguments: dict[str, Any]) -> CallToolResult | None:
    """A result, which is text or says what it is instead; None for a request that the protocol refuses."""
    try:
        with anyio.fail_after(LIMIT_S):
            result = await gateway.client.call_tool(tool, arguments)
    except MCPError as refusal:
        if refusal.error.code not in (-32602, -32600):
            raise
        return None
    assert isinstance(result, CallToolResult)
    assert result.content
    assert not result.is_error or text_of(result)
    return result


@examples(80)
@given(call=CALLS)
async def test_an_own_tool_answers_whatever_it_is_asked(
    gateway: GatewayClient, call: tuple[str, dict[str, Any]]
) -> None:
    tool, arguments = call
    await answer(gateway, tool, arguments)
    assert await gateway.text("get_future", future="fut_text", path="") == "fut_text (toy: echo) resolved\nplain"


@examples(30)
@given(wait=AMOUNTS, name=TEXTS | WRITABLE | st.just("text"), text=TEXTS | FUTURES)
async def test_a_call_answers_whatever_stands_in_our_own_arguments(
    gateway: GatewayClient, wait: Any, name: Any, text: Any
) -> None:
    arguments: dict[str, Any] = {"text": text, "_wait_s": wait}
    if name != "text":
        arguments["_as"] = f"{name}{next(NUMBERS)}" if isinstance(name, str) else name
    result = await answer(gateway, "echo", arguments)
    assert result is not None
    if isinstance(text, str) and "fut_" not in text and not result.is_error and not result.meta:
        assert text_of(result) == text
