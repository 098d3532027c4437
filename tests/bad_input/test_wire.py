"""Messages on the wire that are none, or are not what their method takes: each gets an answer, and nothing hangs."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.support import assert_process_unharmed, crooked, free_toy, nested
from tests.harness import FREE
from tests.process.support import RawGateway, started, text_of

pytestmark = pytest.mark.anyio

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[RawGateway]:
    """One process and one connection, which have to live through all of this."""
    servers = {"toy": free_toy(), "crooked": crooked(tools={"answer": FREE})}
    folder = tmp_path_factory.mktemp("gateway")
    async with started(folder, servers, settings={"inline_wait_s": 5}) as gateway:
        await gateway.initialize()
        yield gateway


@pytest.fixture
async def gateway(process: RawGateway) -> AsyncGenerator[RawGateway]:
    """The connection; it must be unharmed at the end of each test."""
    process.forget_answers()
    yield process
    await assert_process_unharmed(process)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", PARSE_ERROR),
        (b"hello", PARSE_ERROR),
        (b"\xff\xfe\x00", PARSE_ERROR),
        (b"{}}", PARSE_ERROR),
        (b"[]", INVALID_REQUEST),
        (b"5", INVALID_REQUEST),
        (b"null", INVALID_REQUEST),
        (b'"text"', INVALID_REQUEST),
        (b'{"jsonrpc":"2.0"}', INVALID_REQUEST),
        (b'[{"jsonrpc":"2.0","id":"a","method":"ping"}]', INVALID_REQUEST),
    ],
)
async def test_a_line_that_is_no_message_is_answered_without_an_id(gateway: RawGateway, line: bytes, code: int) -> None:
    await gateway.send_line(line)
    answer = await gateway.answer(None)
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    "rest",
    [
        '"method":5',
        '"method":null',
        '"method":"tools/call","params":[]',
        '"method":"tools/call","params":"text"',
        '"method":"tools/call","params":5',
    ],
)
async def test_a_message_of_the_wrong_shape_is_answered_under_its_id(gateway: RawGateway, rest: str) -> None:
    await gateway.send_line(f'{{"jsonrpc":"2.0","id":"mine",{rest}}}'.encode())
    assert (await gateway.answer("mine"))["error"]["code"] == INVALID_REQUEST


async def test_another_version_of_json_rpc_is_refused(gateway: RawGateway) -> None:
    await gateway.send({"jsonrpc": "1.0", "id": "mine", "method": "ping"})
    assert (await gateway.answer("mine"))["error"]["code"] == INVALID_REQUEST


@pytest.mark.parametrize("method", ["nope", "", "tools/calls", "TOOLS/CALL", "tools/call ", "notifications/cancelled"])
async def test_an_unknown_method_is_said_to_be_unknown(gateway: RawGateway, method: str) -> None:
    assert (await gateway.request(method))["error"]["code"] in (METHOD_NOT_FOUND, INVALID_PARAMS)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {}),
        ("tools/call", {"name": 5}),
        ("tools/call", {"name": None}),
        ("tools/call", {"arguments": {}}),
        ("tools/call", {"name": "echo", "arguments": [1]}),
        ("tools/call", {"name": "echo", "arguments": "text"}),
        ("tools/call", {"name": "echo", "arguments": {"text": "x"}, "_meta": 5}),
        ("tools/call", {"name": "echo", "arguments": {"text": "x"}, "_meta": {"progressToken": [1]}}),
        ("tools/list", {"cursor": 5}),
        ("initialize", {}),
        ("initialize", {"protocolVersion": 5}),
    ],
)
async def test_params_of_the_wrong_type_are_refused(gateway: RawGateway, method: str, params: dict[str, Any]) -> None:
    assert (await gateway.request(method, params))["error"]["code"] == INVALID_PARAMS


async def test_a_request_without_params_is_answered(gateway: RawGateway) -> None:
    await gateway.send({"jsonrpc": "2.0", "id": "mine", "method": "tools/call"})
    assert (await gateway.answer("mine"))["error"]["code"] == INVALID_PARAMS


async def test_an_unknown_tool_is_named(gateway: RawGateway) -> None:
    result = (await gateway.call("no_such_tool"))["result"]
    assert result["isError"] is True
    assert text_of({"result": result}) == "Unknown tool: no_such_tool; the list of tools names them all"


async def test_a_call_without_arguments_goes_to_its_server(gateway: RawGateway) -> None:
    assert text_of(await gateway.request("tools/call", {"name": "crooked_answer"})) == "{}"


async def test_what_a_schema_forbids_goes_to_its_server_to_judge(gateway: RawGateway) -> None:
    assert await gateway.text("crooked_answer", unexpected=[1, None]) == '{"unexpected": [1, null]}'


@pytest.mark.parametrize(
    "meta", [{"asyncfc/scope": 5}, {"asyncfc/scope": ""}, {"asyncfc/scope": "é" * 9_000}, {"x": None}]
)
async def test_odd_meta_is_taken(gateway: RawGateway, meta: dict[str, Any]) -> None:
    answer = await gateway.request("tools/call", {"name": "echo", "arguments": {"text": "hi"}, "_meta": meta})
    assert text_of(answer) == "hi"


@pytest.mark.parametrize(
    "message",
    [
        {"method": "notifications/cancelled", "params": {"requestId": []}},
        {"method": "notifications/cancelled", "params": {"requestId": "never sent"}},
        {"method": "notifications/cancelled"},
        {"method": "notifications/initialized"},
        {"method": "notifications/unheard_of", "params": {"a": 1}},
        {"method": "notifications/roots/list_changed"},
        {"id": "nobody asked", "result": {}},
        {"id": 1, "error": {"code": 1, "message": "no"}},
        {"id": None, "method": "ping"},
        {"id": {}, "method": "ping"},
    ],
)
async def test_what_needs_no_answer_harms_nothing(gateway: RawGateway, message: dict[str, Any]) -> None:
    await gateway.send({"jsonrpc": "2.0", **message})


async def test_two_requests_of_one_id_are_both_answered_or_refused(gateway: RawGateway) -> None:
    request = {"jsonrpc": "2.0", "id": "twice", "method": "tools/list"}
    await gateway.send(request)
    await gateway.answer("twice")
    await gateway.send(request)
    await gateway.answer("twice")


async def test_an_empty_line_is_nothing(gateway: RawGateway) -> None:
    for line in (b"", b"   ", b"\r"):
        await gateway.send_line(line)


async def test_a_line_end_of_another_system_is_taken(gateway: RawGateway) -> None:
    await gateway.send_line(b'{"jsonrpc":"2.0","id":"mine","method":"tools/list"}\r')
    assert "result" in await gateway.answer("mine")


async def test_a_last_line_without_its_end_is_taken(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": free_toy()}) as gateway:
        await gateway.initialize()
        number = await gateway.start_call("echo", {"text": "hi"})
        assert text_of(await gateway.answer(number)) == "hi"
        gateway.close_stdin()
        assert await gateway.exit_code() == 0


@pytest.mark.parametrize("text", [r"\ud800", r"\udfff\ud800", r"\ud83d x"])
async def test_half_a_character_is_refused_under_its_id(gateway: RawGateway, text: str) -> None:
    answer = await gateway.call_line("echo", f'{{"text":"{text}"}}')
    assert answer["error"]["code"] == PARSE_ERROR


@pytest.mark.parametrize("text", [r"\u0000", r"a\u0000b", r"\u2028", r"\uffff", r"\ud83c\udf89"])
async def test_every_whole_character_passes(gateway: RawGateway, text: str) -> None:
    answer = await gateway.call_line("echo", f'{{"text":"{text}"}}')
    assert text_of(answer) == json.loads(f'"{text}"')


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "9" * 400])
async def test_odd_numbers_get_an_answer(gateway: RawGateway, number: str) -> None:
    answer = await gateway.call_line("crooked_answer", f'{{"n":{number}}}')
    assert "result" in answer or "error" in answer


async def test_a_number_of_5000_digits_gets_an_answer(gateway: RawGateway) -> None:
    assert "error" in await _impatient(gateway, f'{{"n":{"9" * 5000}}}')


# Nesting


@pytest.mark.parametrize("levels", [1, 100, 150])
async def test_150_levels_of_arguments_pass(gateway: RawGateway, levels: int) -> None:
    answer = await gateway.call_line("crooked_answer", f'{{"deep":{nested(levels)}}}')
    assert json.loads(text_of(answer)) == json.loads(f'{{"deep":{nested(levels)}}}')


@pytest.mark.parametrize("levels", [151, 185, 189, 190, 191, 195, 196, 197, 198, 199, 200, 255, 256, 300, 500, 900])
async def test_deeper_arguments_get_an_answer(gateway: RawGateway, levels: int) -> None:
    answer = await gateway.call_line("crooked_answer", f'{{"deep":{nested(levels)}}}')
    if levels < 190:
        assert "isError" not in answer["result"]
    elif "error" in answer:
        assert answer["error"]["code"] == PARSE_ERROR
        assert "recursion limit" in answer["error"]["message"]
    else:
        assert "nest deeper than 190 levels; the call was not sent" in text_of(answer)


@pytest.mark.parametrize("levels", [1_000, 2_000, 100_000])
@pytest.mark.parametrize("shape", ["objects", "lists"])
async def test_arguments_as_deep_as_can_be_get_an_answer(gateway: RawGateway, levels: int, shape: str) -> None:
    value = nested(levels) if shape == "objects" else "[" * levels + "]" * levels
    assert (await _impatient(gateway, f'{{"deep":{value}}}'))["error"]["code"] == PARSE_ERROR


@pytest.mark.parametrize("levels", [100, 150, 190])
async def test_150_levels_of_a_result_pass(gateway: RawGateway, levels: int) -> None:
    result = f'{{"content":[],"structuredContent":{nested(levels)}}}'
    assert await gateway.text("crooked_answer", result=result) == nested(levels)


@pytest.mark.parametrize("levels", [*range(191, 201), 256, 300, 1_000, 2_000, 100_000])
async def test_a_deeper_result_is_a_result_or_an_error(gateway: RawGateway, levels: int) -> None:
    result = f'{{"content":[],"structuredContent":{nested(levels)}}}'
    answer = await gateway.call("crooked_answer", result=result)
    if "result" in answer:
        assert text_of(answer) == nested(levels)
    else:
        assert "the answer cannot be read" in answer["error"]["message"]
        assert "the call may have taken effect" in answer["error"]["message"]


@pytest.mark.parametrize("levels", [185, 195, 900, 990, 2_000, 100_000])
async def test_a_part_of_a_deep_text_is_a_result_or_an_error(gateway: RawGateway, levels: int) -> None:
    text = json.dumps({"content": [{"type": "text", "text": nested(levels)}]})
    await gateway.call("crooked_answer", result=text, _as=f"deep{levels}")
    for answer in (
        await gateway.call("get_future", future=f"fut_deep{levels}/a/a"),
        await gateway.call("await_future", futures=[f"fut_deep{levels}/a/a"]),
        await gateway.call("crooked_answer", x=f"fut_deep{levels}/a/a"),
        await gateway.call("crooked_answer", x=f"fut_deep{levels}"),
    ):
        assert text_of(answer)


async def _impatient(gateway: RawGateway, arguments: str) -> dict[str, Any]:
    """The answer to a call, or to the one after it: what is answered in order needs no time limit to be missed."""
    await gateway.send_line(
        f'{{"jsonrpc":"2.0","id":"deep","method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}'.encode()
    )
    await gateway.request("tools/list")
    answer = gateway.arrived("deep")
    assert answer is not None, "the call after it was answered, it was not"
    return answer
