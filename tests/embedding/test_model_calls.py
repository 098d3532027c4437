"""What a loop gives its model: tools, instructions and answers, just as through MCP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from mcp_types import TextContent

from asyncfc_mcp import WaitTimedOut
from asyncfc_mcp.server.instructions import RULES
from tests.embedding.support import LIMIT_S, opened, release

pytestmark = pytest.mark.anyio

LIAR = """
import json, sys

TOOL = {
    "name": "lie",
    "inputSchema": {"type": "object"},
    "outputSchema": {"type": "object", "properties": {"size": {"type": "integer"}}},
}
for request in map(json.loads, sys.stdin):
    match request["method"]:
        case "initialize":
            about = {"protocolVersion": request["params"]["protocolVersion"], "capabilities": {"tools": {}}}
            result = about | {"serverInfo": {"name": "liar", "version": "1"}}
        case "tools/list":
            result = {"tools": [TOOL]}
        case "tools/call":
            result = {"content": [{"type": "text", "text": "done"}], "structuredContent": {"size": "large"}}
        case _:
            result = None
    if "id" in request:
        answer = {"result": result} if result else {"error": {"code": -32601, "message": "unknown"}}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}), flush=True)
"""
OWN = ["await_future", "get_future", "cancel_future", "list_futures"]


async def test_a_model_is_shown_the_gateways_own_tools_and_those_of_the_servers() -> None:
    async with opened() as gateway:
        tools = {tool.name: tool for tool in await gateway.tools()}
        assert list(tools)[:4] == OWN
        assert tools["await_future"].server is None
        assert tools["echo"].server == "toy"
        assert {"text", "_wait_s", "_as"} == tools["echo"].input_schema["properties"].keys()
        assert "fut_ token" in tools["echo"].description
        assert tools["get"].annotations == {"readOnlyHint": True}


async def test_the_servers_tools_are_to_be_had_as_they_list_them() -> None:
    async with opened() as gateway:
        tools = {tool.name: tool for tool in await gateway.tools(wrapped=False)}
        assert not tools.keys() & set(OWN)
        assert tools["echo"].description == "The toy tool echo."
        assert tools["echo"].input_schema["properties"] == {"text": {"type": "string"}}


async def test_the_list_of_tools_follows_what_servers_add() -> None:
    async with opened() as gateway:
        before = {tool.name for tool in await gateway.tools()}
        await gateway.call("change_tools")
        while (now := {tool.name for tool in await gateway.tools()}) == before:
            pass
        assert len(now - before) == 1


async def test_a_model_is_taught_the_rules() -> None:
    async with opened() as gateway:
        await gateway.tools(wrapped=False)  # it waits longer for the servers than the instructions do
        said = await gateway.instructions()
        assert said.startswith(RULES)
        assert "toy: Play nicely." in said


async def test_a_fast_call_gives_the_model_its_value() -> None:
    async with opened(inline_wait_s=LIMIT_S) as gateway:
        answer = await gateway.model_call("echo", {"text": "hello"})
        assert (answer.text, answer.token, answer.is_error) == ("hello", None, False)


async def test_a_slow_call_gives_the_model_a_token_and_its_result_comes_later() -> None:
    async with opened(inline_wait_s=0.05) as gateway:
        pending = await gateway.model_call("hold", {"key": "a"})
        assert pending.text.startswith(f"{pending.token} stands for the result of hold. It is still running.")
        assert pending.token is not None
        await release(gateway, "a")
        assert await (await gateway.future(pending.token)).wait(LIMIT_S)
        carrier = await gateway.model_call("add", {"a": 1, "b": 2, "_wait_s": LIMIT_S})
        assert carrier.text.startswith("3\n---")
        assert f"{pending.token} (toy: hold) resolved:\nheld a" in carrier.text


async def test_what_the_program_has_read_is_not_attached_again() -> None:
    async with opened(inline_wait_s=0.05) as gateway:
        pending = await gateway.model_call("hold", {"key": "a"})
        await release(gateway, "a")
        await (await gateway.future(str(pending.token))).result(LIMIT_S)
        assert (await gateway.model_call("add", {"a": 1, "b": 2, "_wait_s": LIMIT_S})).text == "3"


async def test_what_the_program_itself_has_called_is_never_attached() -> None:
    async with opened() as gateway:
        held = await gateway.submit("hold", {"key": "a"})
        with pytest.raises(WaitTimedOut) as slow:
            await gateway.call("hold", {"key": "b"}, timeout_s=0.01)
        for key, future in {"a": held, "b": slow.value.future}.items():
            await release(gateway, key)
            assert await future.wait(LIMIT_S)
        assert (await gateway.model_call("add", {"a": 1, "b": 2, "_wait_s": LIMIT_S})).text == "3"


async def test_a_model_can_use_a_token_of_the_program_and_the_program_one_of_the_model() -> None:
    async with opened() as gateway:
        record = await gateway.submit("record", {"count": 1})
        told = await gateway.model_call("echo", {"text": record / "items/0/id", "_wait_s": LIMIT_S})
        assert told.text.startswith("item-0")
        await gateway.model_call("echo", {"text": "by the model", "_as": "said", "_wait_s": 0})
        assert (await gateway.call("echo", {"text": "fut_said"})).text == "by the model"


async def test_what_goes_wrong_is_for_the_model_to_read() -> None:
    async with opened() as gateway:
        failures = [
            await gateway.model_call("fail", {"message": "broken", "_wait_s": LIMIT_S}),
            await gateway.model_call("reject", {"message": "broken", "_wait_s": LIMIT_S}),
            await gateway.model_call("ecko", {"text": "broken"}),
            await gateway.model_call("echo", {"text": "fut_nobody_knows"}),
        ]
        assert all(failure.is_error for failure in failures)
        told = [failure.text.splitlines()[0] for failure in failures]
        assert told[:2] == ["broken", "broken"]
        assert told[2].startswith("Unknown tool: ecko; did you mean echo")
        assert "is not known" in told[3]


async def test_a_result_that_breaks_its_tools_promise_reaches_the_model_as_it_is(tmp_path: Path) -> None:
    server = tmp_path / "liar.py"
    server.write_text(LIAR, encoding="utf-8")
    liar: dict[str, Any] = {"command": sys.executable, "args": [server], "asyncfc": {"prefix": "", "mode": "sync"}}
    async with opened({"mcpServers": {"liar": liar}}) as gateway:
        answer = await gateway.model_call("lie")
        assert (answer.text, answer.structured, answer.is_error) == ("done", {"size": "large"}, False)


async def test_content_that_is_no_text_reaches_the_loop_too() -> None:
    async with opened() as gateway:
        picture = await gateway.model_call("picture", {"_wait_s": LIMIT_S})
        assert [block["type"] for block in picture.content] == ["image"]


async def test_the_answer_is_the_one_that_a_client_gets() -> None:
    async with opened() as gateway, gateway.client() as client:
        answer = await gateway.model_call("record", {"count": 300, "_wait_s": LIMIT_S, "_as": "one"})
        result = await client.call_tool("record", {"count": 300, "_wait_s": LIMIT_S, "_as": "two"})
        texts = [block.text for block in result.content if isinstance(block, TextContent)]
        assert answer.text.replace("fut_one", "fut_two") == "\n".join(texts)


async def test_loops_in_scopes_of_their_own_get_their_own_results_only() -> None:
    async with opened(inline_wait_s=0.05) as gateway:
        chats = [gateway.scope("chat 1"), gateway.scope("chat 2")]
        pending = [await chat.model_call("hold", {"key": str(number)}) for number, chat in enumerate(chats)]
        for number, chat in enumerate(chats):
            await release(gateway, str(number))
            assert [one.token for one in chat.futures()] == [pending[number].token]
            assert await chat.futures()[0].wait(LIMIT_S)
        for number, chat in enumerate(chats):
            carrier = await chat.model_call("echo", {"text": "x", "_wait_s": LIMIT_S})
            assert f"held {number}" in carrier.text
            assert f"held {1 - number}" not in carrier.text


async def test_calls_of_two_scopes_keep_no_order_among_each_other() -> None:
    async with opened() as gateway:
        steps = await gateway.scope("one").submit("steps", {"key": "a"})
        assert (await gateway.scope("two").call("echo", {"text": "at once"}, timeout_s=LIMIT_S)).text == "at once"
        assert not steps.is_settled
        assert (await gateway.scope("two").future(str(steps))).token == steps.token
        await release(gateway, "a")
        await steps.result(LIMIT_S)
