"""Calls on a pipe, which do not go through the SDK's dispatcher: cancelled, sent twice, out of turn, cut off."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from mcp_types import CONNECTION_CLOSED

from asyncfc_mcp.gateway.answering import delivery, turns
from tests.bad_input.support import free_toy
from tests.bad_input.wires import LEGACY, WAYS, WHO, Place, Way, assert_unharmed, place, text_of
from tests.harness import LIMIT_S, toy
from tests.process.support import started

pytestmark = pytest.mark.anyio

BOTH_ERAS = pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "stdio"], ids=str)
MODERN = pytest.mark.parametrize("way", [way for way in WAYS if str(way) == "stdio-modern"], ids=str)


@pytest.fixture
async def gateway(way: Way) -> AsyncGenerator[Place]:
    """It must be unharmed at the end."""
    async with place("stdio", {"toy": free_toy()}, inline_wait_s=LIMIT_S) as one:
        yield one
        await assert_unharmed(one, way)


@BOTH_ERAS
async def test_a_cancelled_call_has_no_answer_and_its_server_hears_of_it(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        held = await client.start_call("hold", key="a", _wait_s=LIMIT_S)
        await client.value("started", key="a", _wait_s=LIMIT_S)
        await client.tell("notifications/cancelled", requestId=held)
        while json.loads(await client.value("cancelled", _wait_s=LIMIT_S)) == 0:
            pass
        await client.call("release", key="a", _wait_s=LIMIT_S)
        assert not client.has_answer(held)


@BOTH_ERAS
async def test_calls_under_one_id_are_all_answered(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        said: list[Any] = [("hold", {"key": "a"}), ("echo", {"text": "second"}), ("echo", {"text": "third"})]
        for tool, arguments in said:
            params = client.params({"name": tool, "arguments": {**arguments, "_wait_s": LIMIT_S}})
            await client.door.send({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": params}, {})
        await client.value("started", key="a", _wait_s=LIMIT_S)
        assert {text_of(await client.answer(77)) for _ in range(2)} == {"second", "third"}
        await client.call("release", key="a", _wait_s=LIMIT_S)
        assert "held a" in text_of(await client.answer(77))


@BOTH_ERAS
async def test_a_call_that_is_refused_as_it_comes_keeps_no_token_back(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (delivery, turns):
        monkeypatch.setattr(module, "LONGEST_HOLD_S", 10 * LIMIT_S)
    async with place("stdio", {"toy": toy()}) as one, one.wire(way) as client:
        assert "error" in await client.request("tools/call", arguments={})
        held = await client.token("hold", key="a")
        await client.call("release", key="a", _wait_s=LIMIT_S)
        assert await client.value("await_future", futures=[held]) == "held a"


@MODERN
async def test_each_request_counts_by_what_it_says_of_its_client(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        form: dict[str, Any] = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
        call: dict[str, Any] = {
            "name": "ask",
            "arguments": {"method": "elicitation/create", "params": form, "_wait_s": LIMIT_S},
        }
        for _ in range(2):
            client.capabilities = {}
            assert "cannot answer" in text_of(await client.request("tools/call", **call))
            client.capabilities = {"elicitation": {"form": {}}}
            asked = (await client.request("tools/call", **call))["result"]
            answers = {key: {"action": "decline"} for key in asked["inputRequests"]}
            state = asked["requestState"]
            said = await client.request("tools/call", **call, inputResponses=answers, requestState=state)
            assert "decline" in text_of(said)


async def test_what_comes_in_one_chunk_with_the_handshake_is_in_turn(tmp_path: Path) -> None:
    handshake = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": WHO}
    call = {"name": "echo", "arguments": {"text": "at once", "_wait_s": LIMIT_S}}
    async with started(tmp_path, {"toy": toy()}) as gateway:
        messages: list[Any] = [
            {"jsonrpc": "2.0", "id": "first", "method": "initialize", "params": handshake},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": "second", "method": "tools/call", "params": call},
        ]
        await gateway.send_line("\n".join(map(json.dumps, messages)).encode())
        assert (await gateway.answer("first"))["result"]["protocolVersion"] == LEGACY
        assert text_of(await gateway.answer("second")) == "at once"


async def test_a_call_before_the_handshake_is_refused(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        refused = await gateway.call("echo", text="too soon")
        assert "error" in refused
        await gateway.initialize()
        assert text_of(await gateway.call("echo", text="in time", _wait_s=LIMIT_S)) == "in time"


async def test_a_call_that_is_cut_off_by_the_end_is_told_so(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": free_toy()}) as gateway:
        await gateway.initialize()
        held = await gateway.start_call("hold", {"key": "a", "_wait_s": LIMIT_S})
        await gateway.call("started", key="a", _wait_s=LIMIT_S)
        gateway.close_stdin()
        assert (await gateway.answer(held))["error"]["code"] == CONNECTION_CLOSED
        assert await gateway.exit_code() == 0
