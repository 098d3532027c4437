"""Results that no server should give: an error that blames the server or a usable value, and never the end of us."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.support import assert_all_settle, crooked, free_toy
from tests.harness import FREE
from tests.process.support import RawGateway, started
from tests.process.support import text_of as answer_text

pytestmark = pytest.mark.anyio

MALFORMED = [
    "{}",
    "[]",
    "null",
    "5",
    '"text"',
    '{"content":null}',
    '{"content":"text"}',
    '{"content":[null]}',
    '{"content":["x"]}',
    '{"content":[{"type":"odd"}]}',
    '{"content":[{"text":"no type"}]}',
    '{"content":[{"type":"text","text":5}]}',
    '{"content":[{"type":"image"}]}',
    '{"content":[],"structuredContent":[1]}',
    '{"content":[],"_meta":5}',
    '{"content":[],"resultType":"task"}',
]
ODD_RESULTS = [
    '{"content":[],"structuredContent":{"a":NaN}}',
    '{"content":[],"structuredContent":{"a":1e999}}',
    '{"content":[],"a":1,"a":2}',
    '{"content":[],"isError":"yes"}',
    '{"content":[],"x":' + "9" * 400 + "}",
    json.dumps({"content": [{"type": "text", "text": "{" + '"a": ' + "9" * 5000 + "}"}]}),
    json.dumps({"content": [{"type": "text", "text": "\u2028\u0000\ufffe"}]}),
]
HALF_A_CHARACTER = json.dumps({"content": [{"type": "text", "text": json.dumps({"a": "\ud800"})}]})


@pytest.fixture
async def process(tmp_path: Path) -> AsyncGenerator[RawGateway]:
    servers = {"toy": free_toy(), "crooked": crooked(tools={"answer": FREE})}
    async with started(tmp_path, servers, settings={"inline_wait_s": 5}) as gateway:
        await gateway.initialize()
        await gateway.request("tools/list")
        yield gateway


async def test_a_malformed_result_is_an_error_that_blames_its_server(process: RawGateway) -> None:
    for number, result in enumerate(MALFORMED):
        answer = await process.call("crooked_answer", result=result, _as=f"bad{number}")
        text = json.dumps(answer)
        assert "the call may have taken effect" in text, result
        needs_it = await process.text("crooked_answer", x=f"fut_bad{number}")
        assert f"(poisoned): not started: it needs the value of fut_bad{number}" in needs_it
    await assert_all_settle(process)


async def test_an_odd_result_can_be_had_read_and_passed_on(process: RawGateway) -> None:
    for number, result in enumerate(ODD_RESULTS):
        token = f"fut_odd{number}"
        for answer in (
            await process.call("crooked_answer", result=result, _as=token),
            await process.call("get_future", future=token),
            await process.call("get_future", future=f"{token}/a"),
            await process.call("crooked_answer", x=token),
            await process.call("crooked_answer", x=f"{token}/a"),
            await process.call("echo", text=f"in a text: ${{{token}/a}}"),
        ):
            assert "result" in answer
    await assert_all_settle(process)


async def test_a_result_with_half_a_character_is_an_error(process: RawGateway) -> None:
    answer = await process.call("crooked_answer", result='{"content":[{"type":"text","text":"\\ud800"}]}')
    assert "the answer cannot be read" in json.dumps(answer)
    assert await process.text("echo", text="hi") == "hi"


@pytest.mark.parametrize(
    "how",
    [
        "get_future",
        "await_future",
        "argument",
        "embedded",
    ],
)
async def test_half_a_character_inside_a_text_value_does_not_end_the_gateway(process: RawGateway, how: str) -> None:
    await process.call("crooked_answer", result=HALF_A_CHARACTER, _as="half")
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "get_future": ("get_future", {"future": "fut_half/a"}),
        "await_future": ("await_future", {"futures": ["fut_half/a"]}),
        "argument": ("crooked_answer", {"x": "fut_half/a"}),
        "embedded": ("crooked_answer", {"x": "it says ${fut_half/a}"}),
    }
    tool, arguments = calls[how]
    answer = await process.call(tool, **arguments)
    assert "result" in answer or "error" in answer
    assert answer_text(await process.call("echo", text="hi")).startswith("hi")
