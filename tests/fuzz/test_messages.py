"""A gateway between a client and servers that say anything: each request is answered once, and nobody else suffers."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bad_input.support import crooked, free_toy, pushy
from tests.fuzz.budget import examples
from tests.fuzz.hostile import among
from tests.fuzz.test_framing import LINES
from tests.fuzz.wire import ANSWERS, NOTIFICATIONS, REQUESTS, WRITABLE, Conversation
from tests.harness import FREE
from tests.process.support import Json, started

pytestmark = pytest.mark.anyio

SERVER_METHODS = (
    *("notifications/message", "notifications/progress", "notifications/cancelled", "notifications/tools/list_changed"),
    *("notifications/resources/updated", "notifications/prompts/list_changed", "notifications/tasks/status"),
    *("elicitation/create", "sampling/createMessage", "roots/list", "ping", "nope"),
)
SAID_BY_SERVERS: st.SearchStrategy[Any] = st.one_of(
    ANSWERS,
    st.fixed_dictionaries({"method": among(SERVER_METHODS)}, optional={"params": WRITABLE}),
    st.fixed_dictionaries({"method": among(SERVER_METHODS), "id": st.integers(0, 99)}, optional={"params": WRITABLE}),
)


RESULT_KEYS = (
    "content",
    "structuredContent",
    "isError",
    "resultType",
    "inputRequests",
    "requestState",
    "_meta",
    "task",
)
BLOCKS = st.dictionaries(
    among(["type", "text", "data", "mimeType", "resource", "uri", "annotations", "_meta"]),
    among(["text", "image", "resource", "resource_link", "audio"]) | WRITABLE,
    max_size=4,
)


def asking_for_something(result: Any) -> Any:
    """A result that asks for nothing means: come again later; which is no fault, and takes minutes."""
    said = cast("Json", result) if isinstance(result, dict) else {}
    is_blank = said.get("resultType") == "input_required" and not said.get("inputRequests")
    return {**said, "inputRequests": {"q": None}} if is_blank else cast("object", result)


RESULTS = (
    WRITABLE
    | st.dictionaries(
        among(RESULT_KEYS),
        among([True, False, "complete", "input_required", "task"]) | st.lists(BLOCKS, max_size=3) | WRITABLE,
        max_size=4,
    )
).map(asking_for_something)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["legacy", "modern"])
async def conversation(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncGenerator[Conversation]:
    """With one process over one connection, which have to live through all of this."""
    servers: dict[str, Any] = {
        "toy": free_toy(),
        "crooked": crooked(tools={"answer": FREE}),
        "pushy": pushy(),
        "stranger": {"command": sys.executable, "args": ["-c", "raise SystemExit"]},
    }
    settings = {"input_timeout_s": 0.2, "inline_wait_s": 0.2, "await_cap_s": 0.2}
    async with started(tmp_path_factory.mktemp("gateway"), servers, settings=settings) as process:
        talk = Conversation(process, is_modern=request.param == "modern")
        await talk.begin()
        yield talk
        await talk.assert_unharmed()
        process.close_stdin()
        assert await process.exit_code() == 0
        assert await process.rest() == []


@examples(30)
@given(requests=st.lists(REQUESTS, min_size=1, max_size=8), others=st.lists(NOTIFICATIONS | ANSWERS, max_size=4))
async def test_every_request_is_answered_once(
    conversation: Conversation, requests: list[Json], others: list[Json]
) -> None:
    expected: list[str] = []
    for request in requests:
        expected.append(await conversation.ask(request))
        if others:
            await conversation.say(others.pop())
    await conversation.settle(expected)


@examples(30)
@given(lines=st.lists(LINES.map(lambda line: line.replace(b"\n", b" ")), max_size=6), request=REQUESTS)
async def test_lines_of_any_kind_leave_the_next_request_its_answer(
    conversation: Conversation, lines: list[bytes], request: Json
) -> None:
    for line in lines:
        if b"initialize" not in line:
            await conversation.say_line(line)
    await conversation.settle([await conversation.ask(request)])


@examples(25)
@given(lines=st.lists(SAID_BY_SERVERS | LINES.map(lambda line: line.decode("utf-8", "replace")), max_size=4))
async def test_whatever_a_server_says_its_call_and_those_of_others_are_answered(
    conversation: Conversation, lines: list[Any]
) -> None:
    written = [line if isinstance(line, str) else json.dumps({"jsonrpc": "2.0", **line}) for line in lines]
    said = [line.replace("\n", " ") for line in written]
    mine = await conversation.call("pushy_emit", lines=said, _wait_s=5)
    name = f"x{next(NUMBERS)}"
    other = await conversation.call("echo", text="x", _as=name)
    await conversation.settle([mine, other])
    assert (await conversation.awaited(f"fut_{name}")).startswith("x")


@examples(30)
@given(result=RESULTS, tasks=st.booleans())
async def test_whatever_a_server_answers_is_a_result_or_an_error(
    conversation: Conversation, result: Any, tasks: bool
) -> None:
    named = {"_as": f"r{next(NUMBERS)}"} if tasks else {}
    expected = [await conversation.call("crooked_answer", result=json.dumps(result), **named)]
    if named:
        futures = [f"fut_{named['_as']}{part}" for part in ("", "/0", "/content/0/text", ".items[0]")]
        expected += [await conversation.call("await_future", futures=one) for one in futures]
    await conversation.settle(expected)
