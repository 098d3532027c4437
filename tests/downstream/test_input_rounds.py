"""Modern servers that ask for input in the middle of a call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.outcome import DownstreamError, InputRefused, MalformedResult
from tests.downstream.support import connected, eras, seen_by

pytestmark = pytest.mark.anyio


class Answers:
    """Answers every question with its number."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    async def __call__(self, requests: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(requests)
        return {key: {"action": "accept", "content": {"round": len(self.asked)}} for key in requests}


def calls(seen: list[dict[str, Any]], tool: str) -> list[dict[str, Any]]:
    return [message for message in seen if message["method"] == "tools/call" and message["params"]["name"] == tool]


async def test_a_call_goes_round_until_its_result_is_complete() -> None:
    answers = Answers()
    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            outcome = await connection.call_tool("ask", {"a": 1}, on_input=answers, meta={"mine": True})
            rounds = calls(await seen_by(connection), "ask")
    first, second = {"action": "accept", "content": {"round": 1}}, {"action": "accept", "content": {"round": 2}}
    assert json.loads(outcome.text or "") == [{"who": first}, {"why": second, "where": second}]
    assert "resultType" not in outcome.result
    assert [list(requests) for requests in answers.asked] == [["who"], ["why", "where"]]
    assert answers.asked[0]["who"]["params"]["message"] == "Who?"
    assert len({message["id"] for message in rounds}) == 3
    assert [message["params"].get("requestState") for message in rounds] == [None, "first", json.dumps({"who": first})]
    assert [message["params"]["arguments"] for message in rounds] == [{"a": 1}] * 3
    assert [message["params"]["_meta"]["mine"] for message in rounds] == [True] * 3


async def test_a_server_that_asks_for_nothing_is_given_its_state_back() -> None:
    answers = Answers()
    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            outcome = await connection.call_tool("ask_state", {}, on_input=answers)
            rounds = calls(await seen_by(connection), "ask_state")
    assert (outcome.text, answers.asked) == ("done", [])
    assert [message["params"].get("requestState") for message in rounds] == [None, "1", "2"]
    assert not any("inputResponses" in message["params"] for message in rounds)


async def test_a_call_continues_one_that_asked_somebody_else() -> None:
    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            outcome = await connection.call_tool(
                "ask", {}, input_responses={"where": {"action": "decline"}}, request_state='"earlier"'
            )
    assert json.loads(outcome.text or "") == ["earlier", {"where": {"action": "decline"}}]


async def test_a_call_fails_when_there_is_nobody_to_ask() -> None:
    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            with pytest.raises(InputRefused, match="nobody to ask"):
                await connection.call_tool("ask", {})


async def test_a_call_fails_as_its_input_was_refused() -> None:
    async def refuse(_: Mapping[str, Any]) -> dict[str, Any]:
        raise InputRefused("the user is asleep")

    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            with pytest.raises(InputRefused, match="asleep"):
                await connection.call_tool("ask", {}, on_input=refuse, cancel_requested=CancelRequest())
            assert len(calls(await seen_by(connection), "ask")) == 1


async def test_a_call_that_is_cancelled_while_it_waits_for_input_ends_at_once() -> None:
    cancel = CancelRequest()

    async def never(_: Mapping[str, Any]) -> dict[str, Any]:
        cancel.set()
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            with pytest.raises(DownstreamError, match="cancelled while server 'eras' waited for input"):
                await connection.call_tool("ask", {}, on_input=never, cancel_requested=cancel)
            assert "notifications/cancelled" not in [message["method"] for message in await seen_by(connection)]


async def test_a_call_cancelled_together_with_its_answer_is_not_sent_again() -> None:
    cancel = CancelRequest()

    async def both(requests: Mapping[str, Any]) -> dict[str, Any]:
        cancel.set()
        return {key: {"action": "cancel"} for key in requests}

    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            with pytest.raises(DownstreamError, match="cancelled"):
                await connection.call_tool("hold_after_ask", {"key": "k"}, on_input=both, cancel_requested=cancel)


async def test_a_call_abandoned_while_it_waits_for_input_leaves_nothing_behind() -> None:
    asked = anyio.Event()

    async def never(_: Mapping[str, Any]) -> dict[str, Any]:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def call(connection: Connection) -> None:
        await connection.call_tool("ask", {}, on_input=never, cancel_requested=CancelRequest())

    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call, connection)
                await asked.wait()
                tasks.cancel_scope.cancel()
            assert connection.idle_s > 0


@pytest.mark.parametrize("tool", ["ask_nonsense", "ask_number"])
async def test_a_question_in_no_known_form_is_the_servers_fault(tool: str) -> None:
    with anyio.fail_after(20):
        async with connected(eras("modern")) as connection:
            with pytest.raises(MalformedResult, match="no known form"):
                await connection.call_tool(tool, {}, on_input=Answers())
