"""What servers ask of their user in the middle of a call."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from asyncfc_mcp import Gateway
from tests.bounds import bound_s
from tests.embedding.support import LIMIT_S, document, opened, release

pytestmark = pytest.mark.anyio

QUESTION = {
    "message": "Who are you?",
    "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
}
ASK: dict[str, Any] = {"method": "elicitation/create", "params": QUESTION}
ANSWER = {"action": "accept", "content": {"name": "Ada"}}


async def test_the_program_answers_for_the_call_that_it_waits_for() -> None:
    asked: list[dict[str, Any]] = []

    async def elicit(question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question)
        return ANSWER

    with anyio.fail_after(bound_s(60)):
        async with Gateway(document(), elicit=elicit) as gateway:
            assert json.loads((await gateway.call("ask", ASK)).text)["result"] == ANSWER
            future = await gateway.submit("ask", {**ASK, "gate": "a"})
            await release(gateway, "a")
            assert json.loads((await future.result(LIMIT_S)).text)["result"] == ANSWER
            told = await gateway.model_call("ask", {**ASK, "_wait_s": LIMIT_S})
            assert json.loads(told.text.splitlines()[0])["result"] == ANSWER
    assert [question["message"] for question in asked] == ["Who are you?"] * 3
    assert json.loads(json.dumps(asked[0])) == QUESTION


async def test_servers_are_told_whether_the_program_answers() -> None:
    async def elicit(_: dict[str, Any]) -> dict[str, Any]:
        return {"action": "decline"}

    async with Gateway(document(), elicit=elicit) as gateway:
        assert "elicitation" in json.loads((await gateway.call("claimed")).text)
    async with opened() as gateway:
        assert "elicitation" not in json.loads((await gateway.call("claimed")).text)


async def test_without_somebody_to_ask_the_server_hears_so() -> None:
    async with opened() as gateway:
        said = json.loads((await gateway.call("ask", ASK, timeout_s=LIMIT_S)).text)
        assert "result" not in said
        assert "error" in said
