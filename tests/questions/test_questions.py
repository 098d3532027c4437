"""What servers ask of the user in the middle of calls: by both kinds of servers, to both kinds of clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitCompleteNotification, InputRequiredResult

from tests.harness import FREE, LIMIT_S, Era, GatewayClient, running, text_of, toy
from tests.questions.support import FORM, RED, User, asking

pytestmark = pytest.mark.anyio

ERAS: tuple[Era, ...] = ("legacy", "auto")
FREE_ASK = {"ask": FREE, "hold": FREE, "ask_when_cancelled": FREE, "claimed": FREE}
SAMPLING = {"messages": [{"role": "user", "content": {"type": "text", "text": "Capital of France?"}}], "maxTokens": 5}


async def asked_of_legacy_server(gateway: GatewayClient, method: str, params: Mapping[str, Any], **more: Any) -> Any:
    return json.loads(await gateway.text("ask", method=method, params=params, **more))


@pytest.mark.parametrize("era", ERAS)
async def test_a_legacy_servers_form_reaches_the_user_of_a_waiting_call(era: Era) -> None:
    user = User()
    async with running(era=era, client_options=user.options) as gateway:
        assert await asked_of_legacy_server(gateway, "elicitation/create", FORM) == {"result": RED}
        assert user.asked == ["Which colour?"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_legacy_servers_url_reaches_the_user(era: Era) -> None:
    user = User()
    url = {"mode": "url", "message": "Sign in", "url": "https://example.org/x", "elicitationId": "e1"}
    async with running(era=era, client_options=user.options) as gateway:
        assert (await asked_of_legacy_server(gateway, "elicitation/create", url))["result"]["action"] == "accept"
        assert user.asked == ["Sign in"]


@pytest.mark.parametrize("era", ERAS)
async def test_sampling_and_roots_reach_the_client(era: Era) -> None:
    user = User()
    async with running(era=era, client_options=user.options) as gateway:
        sampled = await asked_of_legacy_server(gateway, "sampling/createMessage", SAMPLING)
        listed = await asked_of_legacy_server(gateway, "roots/list", {})
        assert sampled["result"]["content"]["text"] == "Paris"
        assert listed["result"]["roots"][0]["uri"] == "file:///project"
        assert user.asked == ["sampling", "roots"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_modern_servers_question_reaches_the_user(era: Era) -> None:
    user = User({"name": "Ada"})
    async with running({"asking": asking()}, era=era, client_options=user.options) as gateway:
        assert await gateway.text("greet") == "accept: Ada"
        assert user.asked == ["What is your name?"]


@pytest.mark.parametrize("era", ERAS)
async def test_several_rounds_of_a_modern_server_each_reach_the_user(era: Era) -> None:
    user = User({"a": "x", "b": "y"})
    async with running({"asking": asking()}, era=era, client_options=user.options) as gateway:
        assert json.loads(await gateway.text("quiz")) == ["x", "y"]
        assert user.asked == ["First?", "Second?"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_that_wants_nothing_but_its_state_back_gets_it(era: Era) -> None:
    async with running({"asking": asking()}, era=era, client_options=User().options) as gateway:
        assert await gateway.text("need_state_only") == "here you are"


@pytest.mark.parametrize("era", ERAS)
async def test_a_decline_reaches_the_server_as_it_is(era: Era) -> None:
    user = User(action="decline")
    async with running(era=era, client_options=user.options) as gateway:
        answer = await asked_of_legacy_server(gateway, "elicitation/create", FORM)
        assert answer["result"]["action"] == "decline"


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_cannot_answer_is_not_asked_and_the_server_is_told(era: Era) -> None:
    async with running(era=era) as gateway:
        answer = await asked_of_legacy_server(gateway, "elicitation/create", FORM)
        assert "cannot answer elicitation/create" in answer["error"]["message"]


@pytest.mark.parametrize("era", ERAS)
async def test_the_question_of_a_call_whose_token_is_out_comes_with_await_future(era: Era) -> None:
    user = User()
    async with running({"toy": toy(tools=FREE_ASK)}, era=era, client_options=user.options) as gateway:
        token = await gateway.token("ask", method="elicitation/create", params=FORM, gate="a", _wait_s=0)
        await gateway.call("started", key="a")
        await gateway.call("release", key="a")
        assert json.loads(await gateway.value(token)) == {"result": RED}
        assert user.asked == ["Which colour?"]


async def test_a_pending_question_shows_in_get_future() -> None:
    async with running({"toy": toy(tools=FREE_ASK)}, client_options=User().options) as gateway:
        token = await gateway.token("ask", method="elicitation/create", params=FORM, gate="a", _wait_s=0)
        await gateway.call("release", key="a")
        with anyio.fail_after(LIMIT_S):
            while "input_required" not in (said := await gateway.text("get_future", future=token)):
                pass
        assert 'waits for the user\'s answer: "Which colour?"; await_future asks for it' in said


async def test_an_open_legacy_session_is_asked_though_no_request_waits() -> None:
    user = User()
    async with running({"toy": toy(tools=FREE_ASK)}, era="legacy", client_options=user.options) as gateway:
        await gateway.token("ask", method="elicitation/create", params=FORM, gate="a", _wait_s=0)
        await gateway.call("release", key="a")
        with anyio.fail_after(LIMIT_S):
            await user.was_asked.wait()


async def test_a_modern_client_is_shown_the_question_as_a_result_with_sealed_state() -> None:
    async with running(client_options=User().options) as gateway:
        session = gateway.client.session
        arguments = {"method": "elicitation/create", "params": FORM}
        shown = await session.call_tool("ask", arguments, allow_input_required=True)
        assert isinstance(shown, InputRequiredResult)
        (key,) = shown.input_requests or {}
        assert key.startswith("elicitation_")
        assert shown.request_state is not None
        assert "fut_" not in shown.request_state
        result = await session.call_tool(
            "ask",
            arguments,
            input_responses={key: RED},  # pyright: ignore[reportArgumentType]
            request_state=shown.request_state,
        )
        assert isinstance(result, CallToolResult)
        assert json.loads(text_of(result)) == {"result": RED}


async def test_a_state_that_was_tampered_with_is_refused() -> None:
    async with running(client_options=User().options) as gateway:
        session = gateway.client.session
        arguments = {"method": "elicitation/create", "params": FORM}
        shown = await session.call_tool("ask", arguments, allow_input_required=True)
        assert isinstance(shown, InputRequiredResult)
        with pytest.raises(MCPError, match="requestState"):
            await session.call_tool("ask", arguments, request_state=f"{shown.request_state}x")
        with pytest.raises(MCPError, match="requestState"):
            await session.call_tool("ask", {**arguments, "gate": "other"}, request_state=shown.request_state)


async def test_answers_without_the_state_still_find_their_call() -> None:
    async with running({"asking": asking()}, client_options=User().options) as gateway:
        session = gateway.client.session
        await session.call_tool("greet", {}, allow_input_required=True)
        answers = {"name": {"action": "accept", "content": {"name": "Bob"}}}
        result = await session.call_tool("greet", {}, input_responses=answers)  # pyright: ignore[reportArgumentType]
        assert text_of(result) == "accept: Bob"
        assert len(gateway.app.gateway.table) == 0


async def test_answers_that_nobody_asked_for_go_to_the_server() -> None:
    async with running({"asking": asking()}, client_options=User().options) as gateway:
        answers = {"name": {"action": "accept", "content": {"name": "Eve"}}}
        result = await gateway.client.session.call_tool("greet", {}, input_responses=answers)  # pyright: ignore[reportArgumentType]
        assert text_of(result) == "accept: Eve"


async def test_a_late_answer_is_told_that_its_call_is_over() -> None:
    async with running(client_options=User().options, input_timeout_s=3) as gateway:
        session = gateway.client.session
        arguments = {"method": "elicitation/create", "params": FORM}
        shown = await session.call_tool("ask", arguments, allow_input_required=True)
        assert isinstance(shown, InputRequiredResult)
        (future,) = gateway.app.gateway.table
        with anyio.fail_after(LIMIT_S):
            await future.settled.wait()
        assert "nobody answered within 3 s" in json.dumps(future.outcome.result if future.outcome else None)
        with pytest.raises(MCPError, match="requestState"):
            await session.call_tool("ask", arguments, request_state=shown.request_state)


async def test_the_unanswered_question_of_a_modern_server_fails_its_call() -> None:
    async with running({"asking": asking()}, client_options=User().options, input_timeout_s=0.2) as gateway:
        await gateway.client.session.call_tool("greet", {}, allow_input_required=True)
        (future,) = gateway.app.gateway.table
        with anyio.fail_after(LIMIT_S):
            await future.settled.wait()
        assert future.record.failure is not None
        assert str(future.record.failure.reason) == "input_refused"


@pytest.mark.parametrize("era", ERAS)
async def test_whoever_waits_behind_a_question_is_shown_it(era: Era) -> None:
    user = User()
    async with running({"toy": toy(tools=FREE_ASK)}, era=era, client_options=user.options) as gateway:
        user.may_answer = anyio.Event()
        token = await gateway.token("ask", method="elicitation/create", params=FORM, gate="a", _wait_s=0)
        await gateway.call("release", key="a")
        user.may_answer.set()
        assert "red" in await gateway.text("echo", text=token, _wait_s=LIMIT_S)
        assert user.asked == ["Which colour?"]


async def test_calls_of_several_scopes_that_may_have_asked_are_not_asked() -> None:
    user = User()
    async with running({"toy": toy(tools=FREE_ASK)}, client_options=user.options) as gateway:
        await gateway.token("hold", key="other", scope="chat-2", _wait_s=0)
        answer = await asked_of_legacy_server(gateway, "elicitation/create", FORM, scope="chat-1")
        assert "several clients" in answer["error"]["message"]
        assert user.asked == []


async def test_a_client_that_cannot_answer_is_not_shown_the_question_of_anothers_call() -> None:
    user = User()
    async with running({"toy": toy(tools=FREE_ASK)}, era="legacy", client_options=user.options) as gateway:
        token = await gateway.token("ask", method="elicitation/create", params=FORM, gate="a", _wait_s=0)
        async with Client(gateway.app.handlers.server) as other, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(gateway.call, "release", key="a"))
            awaited = await other.call_tool("await_future", {"futures": [token]}, read_timeout_seconds=LIMIT_S)
            assert json.loads(text_of(awaited)) == {"result": RED}
        assert user.asked == ["Which colour?"]


@pytest.mark.parametrize("era", ERAS)
async def test_one_of_several_calls_of_a_scope_may_ask(era: Era) -> None:
    user = User()
    async with running({"toy": toy(tools=FREE_ASK)}, era=era, client_options=user.options) as gateway:
        await gateway.token("hold", key="other", _wait_s=0)
        assert await asked_of_legacy_server(gateway, "elicitation/create", FORM, _wait_s=LIMIT_S) == {"result": RED}


async def test_a_server_that_asks_after_its_call_was_cancelled_is_refused() -> None:
    user = User()
    async with running({"toy": toy(tools=FREE_ASK)}, era="legacy", client_options=user.options) as gateway:
        token = await gateway.token("ask_when_cancelled", key="a", _wait_s=0)
        await gateway.call("started", key="a")
        await gateway.call("cancel_future", futures=[token])
        await gateway.call("release", key="a")
        await gateway.call("started", key="late")
        assert user.asked == []


async def test_a_call_that_is_cancelled_takes_its_question_with_it() -> None:
    user = User()
    user.may_answer = anyio.Event()
    async with running({"toy": toy(tools=FREE_ASK)}, era="legacy", client_options=user.options) as gateway:
        token = await gateway.token("ask", method="elicitation/create", params=FORM, gate="a", _wait_s=0)
        await gateway.call("release", key="a")
        with anyio.fail_after(LIMIT_S):
            await user.was_asked.wait()
        await gateway.call("cancel_future", futures=[token])
        user.may_answer.set()
        assert "cancel" in await gateway.value(token)


@pytest.mark.parametrize("era", ERAS)
async def test_the_callers_own_capabilities_are_claimed_of_a_legacy_server(era: Era) -> None:
    async with running({"toy": toy(tools=FREE_ASK)}, era=era) as gateway:
        assert json.loads(await gateway.text("claimed")) == {}
    async with running({"toy": toy(tools=FREE_ASK)}, era=era, client_options=User().options) as gateway:
        assert set(json.loads(await gateway.text("claimed"))) == {"elicitation", "roots", "sampling"}


async def test_the_callers_own_capabilities_are_claimed_of_a_modern_server_on_each_request() -> None:
    async with running({"asking": asking()}) as gateway:
        assert set(json.loads(await gateway.text("claimed"))) == {"extensions"}
    async with running({"asking": asking()}, client_options=User().options) as gateway:
        assert {"elicitation", "roots", "sampling"} <= set(json.loads(await gateway.text("claimed")))


@pytest.mark.parametrize("era", ERAS)
async def test_a_waiting_call_gets_the_log_messages_of_its_server(era: Era) -> None:
    heard: list[Any] = []

    async def hear(params: Any) -> None:
        heard.append(params.data)

    options = {"logging_callback": hear, **({"log_level": "info"} if era == "auto" else {})}
    async with running(era=era, client_options=options) as gateway:
        assert await gateway.text("log_messages", level="info", data="working", count=2) == "said"
        with anyio.fail_after(LIMIT_S):
            while len(heard) < 2:
                await anyio.lowlevel.checkpoint()
        assert heard == ["working 0", "working 1"]


async def test_a_client_is_told_that_what_a_url_led_to_is_done() -> None:
    told: list[str] = []
    was_told = anyio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ElicitCompleteNotification):
            told.append(message.params.elicitation_id)
            was_told.set()

    async with running(era="legacy", message_handler=hear) as gateway:
        await gateway.call("complete_elicitation", elicitation="e1")
        with anyio.fail_after(LIMIT_S):
            await was_told.wait()
        assert told == ["e1"]
