"""What servers ask of their user in the middle of a call."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from asyncfc_mcp import Gateway
from asyncfc_mcp.embedding.asking import Elicit
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


async def fails(_: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("not today")


async def talks(_: dict[str, Any]) -> Any:
    return {"action": "perhaps", "content": {"password": "s3cret"}}


@pytest.mark.parametrize("elicit", [fails, talks])
async def test_a_program_that_fails_to_answer_declines_and_nothing_else_ends(
    elicit: Elicit, caplog: pytest.LogCaptureFixture
) -> None:
    with anyio.fail_after(bound_s(60)):
        async with Gateway(document(), elicit=elicit) as gateway:
            for call in (gateway.call, gateway.model_call):
                said = await call("ask", ASK)
                assert json.loads(said.text.splitlines()[0])["result"] == {"action": "decline"}
            assert (await gateway.call("echo", {"text": "alive"})).text == "alive"
    assert caplog.text.count("question_declined") == 2
    assert "s3cret" not in caplog.text


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
