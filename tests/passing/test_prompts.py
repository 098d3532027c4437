"""Prompts and completions pass to the server that offers them, and its questions to the client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.client.context import ClientRequestContext
from mcp_types import (
    INVALID_PARAMS,
    ElicitRequestParams,
    ElicitResult,
    GetPromptResult,
    InputRequiredResult,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
)

from tests.harness import Era, GatewayClient, running, toy
from tests.passing.support import both_eras, library, refused, wire

pytestmark = pytest.mark.anyio


def said(result: Any) -> str:
    assert isinstance(result, GetPromptResult)
    (message,) = result.messages
    assert isinstance(message.content, TextContent)
    return message.content.text


async def name_of(gateway: GatewayClient, start: str) -> str:
    listed = await gateway.client.list_prompts()
    return next(prompt.name for prompt in listed.prompts if prompt.name.startswith(start))


@both_eras
async def test_a_prompt_is_got_from_its_server_under_its_own_name(era: Era) -> None:
    async with running({"b": library("b"), "a": library("a")}, era=era) as gateway:
        result = await gateway.client.get_prompt("a_greet", {"who": "you"})
    assert said(result) == "Hello you"
    assert wire(result)["_meta"]["example/tone"] == "warm"


@both_eras
async def test_an_unknown_prompt_is_refused(era: Era) -> None:
    async with running({"lib": library()}, era=era) as gateway, refused() as errors:
        await gateway.client.get_prompt("greet")
    assert errors[0].code == INVALID_PARAMS
    assert errors[0].message == "Unknown prompt: greet"


@both_eras
async def test_a_token_in_a_prompts_argument_stands_for_its_value(era: Era) -> None:
    async with running({"lib": library(), "toy": toy()}, era=era) as gateway:
        token = await gateway.named("record", count=2)
        result = await gateway.client.get_prompt("lib_greet", {"who": f"{token}/items/1/id"})
        embedded = await gateway.client.get_prompt("lib_greet", {"who": f"<${{{token}/items/0/size}}>"})
    assert said(result) == "Hello item-1"
    assert said(embedded) == "Hello <0>"


@both_eras
async def test_completions_go_to_the_server_of_the_prompt_or_template(era: Era) -> None:
    async with running({"b": library("b"), "a": library("a")}, era=era) as gateway:
        prompt = await gateway.client.complete(PromptReference(name="a_greet"), {"name": "who", "value": "y"})
        template = await gateway.client.complete(
            ResourceTemplateReference(uri="book://a/page/{number}"), {"name": "number", "value": "1"}
        )
        async with refused() as errors:
            await gateway.client.complete(ResourceTemplateReference(uri="book://none"), {"name": "x", "value": ""})
    assert prompt.completion.values == ["greet: y…"]
    assert template.completion.values == ["book://a/page/{number}: 1…"]
    assert errors[0].code == INVALID_PARAMS


async def test_a_question_of_a_modern_server_is_the_result_for_a_modern_client() -> None:
    async with running({"lib": library(era="modern")}) as gateway:
        session, name = gateway.client.session, await name_of(gateway, "lib_ask")
        asked = await session.get_prompt(name, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        requests = wire(asked)["inputRequests"]
        answers: Any = {"colour": ElicitResult(action="accept", content={"colour": "red"})}
        answered = await session.get_prompt(
            name, input_responses=answers, request_state=asked.request_state, allow_input_required=True
        )
    assert requests["colour"]["params"]["message"] == "Which colour?"
    assert json.loads(said(answered)) == {
        "answers": {"colour": {"action": "accept", "content": {"colour": "red"}}},
        "state": "asked once",
    }


async def test_a_question_of_a_modern_server_is_a_request_for_a_legacy_client() -> None:
    async def elicit(_: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert params.message == "Which colour?"
        return ElicitResult(action="accept", content={"colour": "blue"})

    options = {"elicitation_callback": elicit}
    async with running({"lib": library(era="modern")}, era="legacy", client_options=options) as gateway:
        result = await gateway.client.get_prompt(await name_of(gateway, "lib_ask"))
    assert json.loads(said(result)) == {
        "answers": {"colour": {"action": "accept", "content": {"colour": "blue"}}},
        "state": "asked once",
    }


async def test_a_legacy_client_that_takes_no_questions_gets_a_clear_error() -> None:
    async with running({"lib": library(era="modern")}, era="legacy") as gateway:
        name = await name_of(gateway, "lib_ask")
        async with refused() as errors:
            await gateway.client.get_prompt(name)
    assert "the client cannot answer elicitation/create" in errors[0].message
