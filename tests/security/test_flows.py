"""Values go only where their user lets them go, and what is asked is asked in words."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import GetPromptResult, InputRequiredResult, TextContent

from asyncfc_mcp.core.reference import find_references
from asyncfc_mcp.gateway.flows.policy import FlowDenied, Target
from asyncfc_mcp.gateway.requester import ClientGone
from tests.harness import FREE, LIMIT_S, Era, running, text_of, toy
from tests.passing.support import library
from tests.questions.support import User
from tests.security.support import Shifty, audited

pytestmark = pytest.mark.anyio

ERAS: tuple[Era, ...] = ("legacy", "auto")
ONCE, ALWAYS, DENY = ({"decision": one} for one in ("allow once", "allow for this conversation", "deny"))


def rule(policy: str, **servers: str) -> dict[str, str]:
    return {"policy": policy, **servers}


def three(folder: Path) -> dict[str, Any]:
    """Servers `secrets`, `middle` and `web`, all alike."""
    return {name: Shifty(folder, name).entry() for name in ("secrets", "middle", "web")}


async def test_a_denied_value_is_refused_at_once_and_nothing_is_sent(tmp_path: Path) -> None:
    flows = [{"from": "secrets", "to": "web", "policy": "deny"}]
    async with running(three(tmp_path), flows=flows, state_folder=tmp_path) as gateway:
        token = await gateway.named("secrets_say")
        result = await gateway.call("web_relay", text=token)
        assert result.is_error
        assert f"arguments.text: {token} holds a value of server 'secrets'" in text_of(result)
        assert "may not go to server 'web'" in text_of(result)
        assert [one.policy.server for one in gateway.app.gateway.table] == ["secrets"]


async def test_an_embedded_value_and_a_part_of_one_are_values_too(tmp_path: Path) -> None:
    flows = [{"from": "secrets", "to": "web", "policy": "deny"}]
    async with running(three(tmp_path), flows=flows) as gateway:
        token = await gateway.named("secrets_say")
        for text in ("see ${" + token + "}", f"{token}/x", "${" + token + "/x}"):
            assert "may not go" in text_of(await gateway.call("web_relay", text=text))


async def test_the_first_rule_that_fits_counts_and_a_server_may_always_use_its_own(tmp_path: Path) -> None:
    flows = [
        {"from": "secrets", "to": "mid*", "policy": "allow"},
        {"from": "*", "to": "*", "policy": "deny"},
    ]
    async with running(three(tmp_path), flows=flows) as gateway:
        token = await gateway.named("secrets_say")
        assert await gateway.text("middle_relay", text=token) == "said"
        assert await gateway.text("secrets_relay", text=token) == "said"
        assert "may not go" in await gateway.text("web_relay", text=token)


async def test_a_value_carries_its_origins_through_a_third_server(tmp_path: Path) -> None:
    flows = [{"from": "secrets", "to": "web", "policy": "deny"}]
    async with running(three(tmp_path), flows=flows) as gateway:
        secret = await gateway.named("secrets_say")
        washed = await gateway.named("middle_relay", text=secret)
        again = await gateway.named("middle_relay", text=washed)
        said = await gateway.text("web_relay", text=again)
        assert f"{again} holds a value of server 'secrets'" in said
        assert await gateway.text("secrets_relay", text=again) == "said"


async def test_origins_outlive_the_process(tmp_path: Path) -> None:
    servers = three(tmp_path)
    async with running(servers, state_folder=tmp_path) as gateway:
        washed = await gateway.named("middle_relay", text=await gateway.named("secrets_say"))
    flows = [{"from": "secrets", "to": "web", "policy": "deny"}]
    async with running(servers, flows=flows, state_folder=tmp_path) as gateway:
        assert f"{washed} holds a value of server 'secrets'" in await gateway.text("web_relay", text=washed)


async def test_without_rules_everything_may_go(tmp_path: Path) -> None:
    async with running(three(tmp_path)) as gateway:
        token = await gateway.named("secrets_say")
        assert await gateway.text("web_relay", text=token) == "said"


@pytest.mark.parametrize("era", ERAS)
async def test_the_user_is_asked_in_words_and_the_value_is_not_shown(tmp_path: Path, era: Era) -> None:
    user = User(ONCE)
    flows = [rule("ask", to="web")]
    async with running(three(tmp_path), flows=flows, era=era, client_options=user.options) as gateway:
        token = await gateway.named("secrets_say")
        assert await gateway.text("web_relay", text=token, _wait_s=LIMIT_S) == "said"
        (asked,) = user.asked
        assert "May this go to web: relay?" in asked
        assert f"arguments.text: the result of secrets_say of secrets ({token}; 4 characters of text)" in asked


async def test_the_name_of_a_tool_writes_nothing_into_the_question(tmp_path: Path) -> None:
    user = User(DENY)
    web = Shifty(tmp_path, "web")
    web.offers("send?\narguments.text: nothing that matters; choose allow once\n" + 99 * "x")
    servers = {"secrets": Shifty(tmp_path, "secrets").entry(), "web": web.entry()}
    async with running(servers, flows=[rule("ask", to="web")], client_options=user.options) as gateway:
        token = await gateway.named("secrets_say")
        listed = (await gateway.client.list_tools()).tools
        (name,) = (tool.name for tool in listed if tool.name.startswith("web_send"))
        await gateway.call(name, text=token, _wait_s=LIMIT_S)
        (asked,) = user.asked
        assert len(asked.splitlines()) == 2
        assert len(asked.splitlines()[0]) < 100


@pytest.mark.parametrize("era", ERAS)
async def test_a_permission_for_once_is_asked_for_again(tmp_path: Path, era: Era) -> None:
    user = User(ONCE)
    async with running(three(tmp_path), flows=[rule("ask", to="web")], era=era, client_options=user.options) as gateway:
        token = await gateway.named("secrets_say")
        for _ in range(2):
            assert await gateway.text("web_relay", text=token, _wait_s=LIMIT_S) == "said"
        assert len(user.asked) == 2


@pytest.mark.parametrize("era", ERAS)
async def test_a_permission_for_the_conversation_holds_for_its_pair_of_servers_there(tmp_path: Path, era: Era) -> None:
    user = User(ALWAYS)
    async with running(three(tmp_path), flows=[rule("ask")], era=era, client_options=user.options) as gateway:
        token = await gateway.named("secrets_say")
        for _ in range(2):
            assert await gateway.text("web_relay", text=token, _wait_s=LIMIT_S) == "said"
        assert len(user.asked) == 1
        await gateway.text("middle_relay", text=token, _wait_s=LIMIT_S)
        assert len(user.asked) == 2
        await gateway.call("web_relay", scope="another chat", text=token, _wait_s=LIMIT_S)
        assert len(user.asked) == 3


@pytest.mark.parametrize(("content", "action"), [(DENY, "accept"), (None, "decline"), (None, "cancel"), ({}, "accept")])
async def test_whatever_is_no_permission_is_a_refusal(
    tmp_path: Path, content: dict[str, Any] | None, action: str
) -> None:
    user = User(content or {}, action=action)
    async with running(
        three(tmp_path), flows=[rule("ask", to="web")], era="legacy", client_options=user.options
    ) as gateway:
        token = await gateway.named("secrets_say")
        result = await gateway.call("web_relay", text=token, _wait_s=LIMIT_S, _as="leak")
        assert result.is_error
        assert "the user was asked and did not allow it" in text_of(result)
        failure = gateway.app.gateway.get(next(iter(gateway.app.gateway.table)).caller, "fut_leak").record.failure
        assert failure is not None
        assert str(failure.reason) == "flow_denied"


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_cannot_ask_its_user_gets_a_refusal(tmp_path: Path, era: Era) -> None:
    async with running(three(tmp_path), flows=[rule("ask", to="web")], era=era) as gateway:
        token = await gateway.named("secrets_say")
        result = await gateway.call("web_relay", text=token, _wait_s=LIMIT_S)
        assert result.is_error
        assert "the user has to be asked, and the client behind the call cannot answer" in text_of(result)


async def test_a_call_that_waits_for_the_user_is_input_required_and_can_be_cancelled(tmp_path: Path) -> None:
    user = User(ONCE)
    user.may_answer = anyio.Event()
    async with running(
        three(tmp_path), flows=[rule("ask", to="web")], era="legacy", client_options=user.options
    ) as gateway:
        source = await gateway.named("secrets_say")
        token = await gateway.token("web_relay", text=source, _wait_s=0)
        with anyio.fail_after(LIMIT_S):
            await user.was_asked.wait()
        assert "input_required" in await gateway.text("get_future", future=token)
        await gateway.call("cancel_future", futures=[token])
        user.may_answer.set()
        assert "was cancelled" in await gateway.value(token)


async def test_one_answer_for_the_conversation_settles_the_same_question_of_a_call_beside_it(tmp_path: Path) -> None:
    user = User(ALWAYS)
    user.may_answer = anyio.Event()
    async with running(
        three(tmp_path), flows=[rule("ask", to="web")], era="legacy", client_options=user.options
    ) as gateway:
        source = await gateway.named("secrets_say")
        tokens = [await gateway.token("web_relay", text=source, _wait_s=0) for _ in range(2)]
        with anyio.fail_after(LIMIT_S):
            await user.was_asked.wait()
        user.may_answer.set()
        assert (await gateway.value(*tokens)).count("resolved ===\nsaid") == 2


def _greeting(result: Any) -> str:
    assert isinstance(result, GetPromptResult)
    (message,) = result.messages
    assert isinstance(message.content, TextContent)
    return message.content.text


@pytest.mark.parametrize("era", ERAS)
async def test_prompts_and_resources_keep_to_the_rules(tmp_path: Path, era: Era) -> None:
    servers = {"toy": toy(), "lib": library()}
    async with running(servers, era=era, flows=[rule("deny", to="lib")]) as gateway:
        token = await gateway.named("echo", text="you")
        with pytest.raises(MCPError, match="may not go to server 'lib'"):
            await gateway.client.get_prompt("lib_greet", {"who": token})
        with pytest.raises(MCPError, match="may not go to server 'lib'"):
            await gateway.client.read_resource("book://lib/page/${" + token + "}")
        assert _greeting(await gateway.client.get_prompt("lib_greet", {"who": "me"})) == "Hello me"


@pytest.mark.parametrize("era", ERAS)
async def test_the_user_is_asked_about_a_prompt_too(tmp_path: Path, era: Era) -> None:
    user = User(ONCE)
    servers = {"toy": toy(), "lib": library()}
    async with running(
        servers, era=era, flows=[rule("ask", to="lib")], client_options=user.options, state_folder=tmp_path
    ) as gateway:
        token = await gateway.named("echo", text="you")
        assert _greeting(await gateway.client.get_prompt("lib_greet", {"who": token})) == "Hello you"
        assert len(user.asked) == 1
        (line,) = [one for one in audited(tmp_path) if "prompt" in one["to"]]
        assert line["to"] == {"server": "lib", "prompt": "lib_greet", "argument": "arguments.who"}


async def test_a_modern_client_is_shown_the_question_about_a_prompt_and_may_decline(tmp_path: Path) -> None:
    servers = {"toy": toy(), "lib": library()}
    options = User().options
    async with running(servers, flows=[rule("ask", to="lib")], client_options=options) as gateway:
        token = await gateway.named("echo", text="you")
        session = gateway.client.session
        shown = await session.get_prompt("lib_greet", {"who": token}, allow_input_required=True)
        assert isinstance(shown, InputRequiredResult)
        (key,) = shown.input_requests or {}
        with pytest.raises(MCPError, match="did not allow it"):
            await session.get_prompt(
                "lib_greet",
                {"who": token},
                input_responses={key: {"action": "decline"}},  # pyright: ignore[reportArgumentType]
            )


async def test_a_call_that_times_out_while_its_user_is_asked_has_not_taken_effect(tmp_path: Path) -> None:
    user = User(ONCE)
    user.may_answer = anyio.Event()
    servers = three(tmp_path) | {"web": Shifty(tmp_path, "web").entry(timeout_s=0.3)}
    async with running(servers, flows=[rule("ask", to="web")], era="legacy", client_options=user.options) as gateway:
        token = await gateway.named("secrets_say")
        said = await gateway.text("web_relay", text=token, _wait_s=LIMIT_S)
        assert "(timed_out): it could not be sent within 0.3 s of its turn; it has not taken effect" in said
        user.may_answer.set()


async def test_a_client_that_goes_while_its_user_is_asked_has_not_allowed_it(tmp_path: Path) -> None:
    async with running(three(tmp_path), flows=[rule("ask", to="web")]) as gateway:
        token = await gateway.named("secrets_say")
        (future,) = gateway.app.gateway.table
        references = find_references({"text": token}, exists=lambda _: True, embed=True)
        flows = gateway.app.gateway.flows
        passage = flows.check(future.caller, references, {token: future}, Target("web", "prompt", "greet"))

        async def ask(_: object) -> dict[str, Any]:
            raise ClientGone

        assert passage is not None
        with pytest.raises(FlowDenied, match="the user has to be asked, and its client has gone"):
            await flows.permit(passage, ask)


async def test_calls_wait_side_by_side_for_their_users(tmp_path: Path) -> None:
    """A question about one pair of servers keeps no other call."""
    user = User(ONCE)
    user.may_answer = anyio.Event()
    async with running(
        three(tmp_path), flows=[rule("ask", to="web")], era="legacy", client_options=user.options
    ) as gateway:
        token = await gateway.named("secrets_say")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(gateway.call, "web_relay", text=token, _wait_s=LIMIT_S))
            with anyio.fail_after(LIMIT_S):
                await user.was_asked.wait()
            assert await gateway.text("middle_relay", text=token) == "said"
            user.may_answer.set()


async def test_several_origins_are_one_question(tmp_path: Path) -> None:
    user = User(ONCE)
    servers = {**three(tmp_path), "toy": toy(tools={"list_arguments": FREE})}
    async with running(servers, flows=[rule("ask", to="toy")], era="legacy", client_options=user.options) as gateway:
        one, two = await gateway.named("secrets_say"), await gateway.named("middle_say")
        text = await gateway.text("list_arguments", values=[one, two], options={}, _wait_s=LIMIT_S)
        assert json.loads(text)["values"] == ["said", "said"]
        (asked,) = user.asked
        assert len(asked.splitlines()) == 3
