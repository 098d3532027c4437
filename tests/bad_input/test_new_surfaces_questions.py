"""Questions for the user that go wrong: malformed, unanswered, answered with garbage, by others, or after the end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from tests.bad_input.support import free_toy, nested, pushy
from tests.bad_input.wires import WAYS, Place, Way, Wire, assert_unharmed, place, text_of
from tests.harness import FREE, LIMIT_S
from tests.questions.support import FORM, RED

pytestmark = pytest.mark.anyio

BRIEF_S = 0.5
ASK: dict[str, Any] = {"method": "elicitation/create", "params": FORM, "count": 1}
HANDSHAKES = pytest.mark.parametrize("way", [way for way in WAYS if not way.is_modern], ids=str)
MODERN = pytest.mark.parametrize("way", [way for way in WAYS if way.is_modern], ids=str)
over_pipes = pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "stdio"], ids=str)
every_way = pytest.mark.parametrize("way", WAYS, ids=str)

Json = dict[str, Any]


@pytest.fixture
async def gateway(way: Way) -> AsyncGenerator[Place]:
    """One behind which servers of both eras ask; it must be unharmed at the end, and no question open."""
    servers = {"toy": free_toy(), "old": pushy(), "new": pushy("modern")}
    async with place(way.kind, servers, inline_wait_s=LIMIT_S, input_timeout_s=BRIEF_S) as one:
        yield one
        await assert_unharmed(one, way)


async def heard(client: Wire) -> Json:
    """What the legacy server was last answered."""
    return json.loads(await client.value("old_heard"))[-1]


def rounds(*requests: Any) -> Json:
    """The arguments with which the modern server asks that, round after round."""
    return {"results": [{"resultType": "input_required", "inputRequests": one} for one in requests]}


def asking(**params: Any) -> Json:
    return {"method": "elicitation/create", "params": params or FORM}


# Malformed questions

OF_LEGACY_SERVERS: list[tuple[str, Any]] = [
    ("elicitation/create", {}),
    ("elicitation/create", {"mode": []}),
    ("elicitation/create", {"mode": {"a": 1}}),
    ("elicitation/create", {"mode": "form", "message": 5, "requestedSchema": 7}),
    ("elicitation/create", {"mode": "url"}),
    ("elicitation/create", {**FORM, "_meta": 5}),
    ("elicitation/create", {**FORM, "_meta": "text"}),
    ("sampling/createMessage", {}),
    ("sampling/createMessage", {"messages": 5, "tools": 5}),
    ("roots/list", {"_meta": [1]}),
    ("nobody/knows", {}),
    ("tools/call", {"name": "echo"}),
]


@over_pipes
@pytest.mark.parametrize(("method", "params"), OF_LEGACY_SERVERS)
async def test_a_malformed_question_of_a_legacy_server_is_refused_to_it(
    gateway: Place, way: Way, method: str, params: Any
) -> None:
    async with gateway.wire(way) as client:
        call = await client.start_call("old_ask_many", method=method, params=params, count=1)
        await refusing(client, call)
        assert (await heard(client))["error"]["message"]
        assert json.loads(text_of(await client.answer(call))) == {"result": 0, "error": 1}


async def refusing(client: Wire, call: int) -> None:
    """Refuse, as the client, whatever is asked until the call is answered."""
    while not client.has_answer(call):
        if client.asked:
            await client.reply(client.asked.pop(0)["id"], error={"code": -32602, "message": "no such thing"})
        await anyio.sleep(0.01)


OF_MODERN_SERVERS: list[tuple[Any, str]] = [
    (5, "asks for input in no known form"),
    ([1], "asks for input in no known form"),
    ({"a": 5}, "asks for something that is no request"),
    ({"a": {}}, "asks for something without a method"),
    ({"a": {"method": 5}}, "asks for something without a method"),
    ({"a": {"method": "no/such", "params": {}}}, "the client behind the call cannot answer no/such"),
    ({"a": {"method": "tools/call", "params": {}}}, "the client behind the call cannot answer tools/call"),
    ({"a": {"method": "elicitation/create", "params": [1]}}, "elicitation/create of the server is malformed"),
    ({"a": asking(), "b": 5}, "asks for something that is no request"),
]


@over_pipes
@pytest.mark.parametrize(("requests", "words"), OF_MODERN_SERVERS)
async def test_a_malformed_question_of_a_modern_server_fails_its_call(
    gateway: Place, way: Way, requests: Any, words: str
) -> None:
    async with gateway.wire(way) as client:
        answer = await client.call("new_rounds", **rounds(requests))
        assert answer["result"]["isError"] is True
        assert words in text_of(answer)
        assert client.asked == []


OF_PROMPTS: list[tuple[Any, str]] = [
    ([1], "asks for input in no known form"),
    ({"a": 5}, "asks for something that is no request"),
    ({"a": {}}, "asks for something without a method"),
    ({"a": {"method": "no/such"}}, "the client cannot answer no/such"),
    ({"a": {"method": "elicitation/create", "params": [1]}}, "elicitation/create of the server is malformed"),
]


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "stdio" and not way.is_modern], ids=str)
@pytest.mark.parametrize(("requests", "words"), OF_PROMPTS)
async def test_a_malformed_question_in_place_of_a_prompt_is_an_error(
    gateway: Place, way: Way, requests: Any, words: str
) -> None:
    async with gateway.wire(way) as client:
        answer = await client.request("prompts/get", name="new_prompt", arguments={"ask": json.dumps(requests)})
        assert words in answer["error"]["message"]
        assert client.asked == []


# Clients that do not answer, or not so that it can be used


@every_way
async def test_a_question_that_nobody_answers_fails_when_its_time_is_over(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        call = await client.start_call("old_ask_many", **ASK)
        if not way.is_modern:
            await client.question()
        await client.answer(call)
        await until_settled(gateway)
        assert (await heard(client))["error"]["message"] == f"nobody answered within {BRIEF_S:g} s"


async def until_settled(gateway: Place) -> None:
    for future in gateway.app.gateway.table:
        with anyio.fail_after(LIMIT_S):
            await future.settled.wait()


UNREADABLE: list[Json] = [
    {"result": None},
    {"result": "text"},
    {"result": [1]},
    {"error": None},
    {"error": {"code": "x"}},
    {},
]
NO_ANSWERS: list[Json] = [
    {"result": {}},
    {"result": {"action": "explode", "more": {"a": 1}}},
    {"result": {"action": "accept", "content": 5}},
    {"result": {"action": "accept", "_meta": 5}},
    {"result": {"model_dump": 1, "__class__": 2}},
    {"result": {"action": "accept", "content": json.loads(nested(150))}},
    {"error": {"code": -1, "message": "I will not"}},
    {"result": RED, "error": {"code": -1, "message": "I will not"}},
]


@HANDSHAKES
@pytest.mark.parametrize("said", [*UNREADABLE, *NO_ANSWERS], ids=lambda said: json.dumps(said)[:60])
async def test_what_is_no_answer_is_refused_to_the_server_and_harms_nobody(
    gateway: Place, way: Way, said: Json
) -> None:
    async with gateway.wire(way) as client:
        call = await client.start_call("old_ask_many", **ASK)
        asked = await client.question()
        await client.door.send({"jsonrpc": "2.0", "id": asked["id"], **said}, {})
        assert json.loads(text_of(await client.answer(call))) == {"result": 0, "error": 1}
        assert (await heard(client))["error"]["message"]


async def test_an_unreadable_answer_is_never_answered_under_an_id_of_the_clients_own() -> None:
    servers = {"toy": free_toy(), "old": pushy()}
    async with place("stdio", servers, inline_wait_s=LIMIT_S) as gateway, gateway.wire(WAYS[0]) as client:
        call = await client.start_call("old_ask_many", **ASK)
        asked = await client.question()
        # both sides count from one: the ids of their requests meet
        params: Json = {"name": "old_never", "arguments": {}}
        mine = {"jsonrpc": "2.0", "id": asked["id"], "method": "tools/call", "params": params}
        await client.door.send(mine, {})
        await client.reply(asked["id"], None)
        await client.answer(call)
        assert not client.has_answer(asked["id"])


@HANDSHAKES
async def test_only_the_first_of_two_answers_counts(gateway: Place, way: Way) -> None:
    gateway.app.gateway.questions.timeout_s = LIMIT_S
    async with gateway.wire(way) as client:
        call = await client.start_call("old_ask_many", **ASK)
        asked = await client.question()
        await client.reply(asked["id"], RED)
        await client.reply(asked["id"], {"action": "decline"})
        assert json.loads(text_of(await client.answer(call))) == {"result": 1, "error": 0}
        assert (await heard(client))["result"] == RED


NO_RESPONSES: list[Any] = [
    "text",
    [1],
    {"KEY": None},
    {"KEY": "text"},
    {"KEY": 5},
    {"KEY": {}},
    {"KEY": {"action": "x"}},
]


@MODERN
@pytest.mark.parametrize("responses", NO_RESPONSES, ids=json.dumps)
async def test_responses_of_the_wrong_shape_are_refused_and_may_be_sent_again(
    gateway: Place, way: Way, responses: Any
) -> None:
    gateway.app.gateway.questions.timeout_s = LIMIT_S
    async with gateway.wire(way) as client:
        key, shown = await shown_to(client)
        said = json.loads(json.dumps(responses).replace("KEY", key))
        refused = await again(client, shown, inputResponses=said)
        assert refused["error"]["code"] == -32602
        assert json.loads(text_of(await again(client, shown, inputResponses={key: RED}))) == {"result": 1, "error": 0}


@MODERN
@pytest.mark.parametrize("responses", [None, {}, {"another": RED}], ids=json.dumps)
async def test_a_client_that_leaves_the_answer_out_is_shown_the_question_again(
    gateway: Place, way: Way, responses: Any
) -> None:
    gateway.app.gateway.questions.timeout_s = LIMIT_S
    async with gateway.wire(way) as client:
        key, shown = await shown_to(client)
        once_more = await again(client, shown, inputResponses=responses)
        assert list(once_more["result"]["inputRequests"]) == [key]
        assert json.loads(text_of(await again(client, shown, inputResponses={key: RED}))) == {"result": 1, "error": 0}


async def shown_to(client: Wire) -> tuple[str, Json]:
    """Have the legacy server ask a modern client: the key of the question, and the result that showed it."""
    shown = (await client.call("old_ask_many", **ASK))["result"]
    (key,) = shown["inputRequests"]
    return key, shown


async def again(client: Wire, shown: Json, **more: Any) -> Json:
    said = {"name": "old_ask_many", "arguments": ASK, "requestState": shown["requestState"], **more}
    return await client.request("tools/call", **said)


# Questions and answers of others


@MODERN
async def test_a_request_state_that_was_used_is_of_no_further_use(gateway: Place, way: Way) -> None:
    gateway.app.gateway.questions.timeout_s = LIMIT_S
    async with gateway.wire(way) as client:
        key, shown = await shown_to(client)
        await again(client, shown, inputResponses={key: RED})
        replayed = await again(client, shown, inputResponses={key: {"action": "decline"}})
        assert replayed["result"]["isError"] is True
        assert "no longer open" in text_of(replayed)
        assert "send the call again" in text_of(replayed)
        assert (await heard(client))["result"] == RED


@MODERN
async def test_a_request_state_is_good_for_its_own_request_alone(gateway: Place, way: Way) -> None:
    gateway.app.gateway.questions.timeout_s = LIMIT_S
    async with gateway.wire(way) as client:
        key, shown = await shown_to(client)
        state = shown["requestState"]
        others: list[tuple[str, Json]] = [
            ("tools/call", {"name": "old_ask_many", "arguments": {**ASK, "count": 2}}),
            ("tools/call", {"name": "echo", "arguments": {"text": "x"}}),
            ("tools/call", {"name": "await_future", "arguments": {"futures": []}}),
            ("prompts/get", {"name": "old_prompt"}),
            ("resources/read", {"uri": "pushy://book"}),
        ]
        for method, params in others:
            refused = await client.request(method, **params, requestState=state, inputResponses={key: RED})
            assert refused["error"]["message"] == "Invalid or expired requestState"
        for made_up in (state[:-4] + "abcd", "v1.x", "", "x" * 100_000):
            assert "error" in await again(client, {"requestState": made_up}, inputResponses={key: RED})
        assert json.loads(text_of(await again(client, shown, inputResponses={key: RED}))) == {"result": 1, "error": 0}


@pytest.mark.parametrize("way", [way for way in WAYS if str(way) == "http-legacy"], ids=str)
async def test_a_session_cannot_answer_what_another_was_asked(gateway: Place, way: Way) -> None:
    gateway.app.gateway.questions.timeout_s = LIMIT_S
    async with gateway.wire(way) as client, gateway.wire(way) as stranger:
        call = await client.start_call("old_ask_many", **ASK)
        asked = await client.question()
        for guess in (asked["id"], str(asked["id"]), 0, 1, 2, "x"):
            await stranger.reply(guess, {"action": "decline"})
        await client.reply("nobody asked this", {"action": "decline"})
        await client.reply(asked["id"], RED)
        await client.answer(call)
        assert (await heard(client))["result"] == RED


# Clients that vanish, calls that end


@every_way
async def test_a_client_that_vanishes_in_the_middle_leaves_nothing_open(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        call = await client.start_call("old_ask_many", **ASK)
        await (client.answer(call) if way.is_modern else client.question())
    await assert_unharmed(gateway, way)


@every_way
async def test_a_question_of_a_client_that_vanished_goes_to_whoever_awaits_its_future(gateway: Place, way: Way) -> None:
    gateway.app.gateway.questions.timeout_s = LIMIT_S
    async with gateway.wire(way) as client:
        token = await client.token("old_ask_many", **ASK)
        call = await client.start_call("await_future", futures=[token])
        await (client.answer(call) if way.is_modern else client.question())
    async with gateway.wire(way) as client:
        call = await client.start_call("await_future", futures=[token])
        if way.is_modern:
            shown = (await client.answer(call))["result"]
            (key,) = shown["inputRequests"]
            said = {"name": "await_future", "arguments": {"futures": [token]}, "requestState": shown["requestState"]}
            answer = await client.request("tools/call", **said, inputResponses={key: RED})
        else:
            await client.reply((await client.question())["id"], RED)
            answer = await client.answer(call)
        assert json.loads(text_of(answer)) == {"result": 1, "error": 0}


@every_way
@pytest.mark.parametrize("ending", ["cancelled", "timed out"])
async def test_a_server_that_asks_when_its_call_has_ended_is_refused(way: Way, ending: str) -> None:
    old = pushy(cancel_grace_s=5)
    if ending == "timed out":
        old["asyncfc"]["tools"]["ask_when_cancelled"] = {**FREE, "timeout_s": 0.3}
    servers = {"toy": free_toy(), "old": old}
    async with place(way.kind, servers) as gateway:
        async with gateway.wire(way) as client:
            token = await client.token("old_ask_when_cancelled")
            if ending == "cancelled":
                await client.call("cancel_future", futures=[token])
            await client.call("await_future", futures=[token])
            await until_idle(gateway, "old")
            said = await client.value("old_heard", _wait_s=LIMIT_S)
            why = json.loads(said)[-1]["error"]["message"]
            assert "belongs to no running call" in why or "has ended or is being cancelled" in why
            assert client.asked == []
        await assert_unharmed(gateway, way)


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "http"], ids=str)
async def test_a_cancelled_calls_question_is_never_put_to_another_client(way: Way) -> None:
    servers = {"toy": free_toy(), "old": pushy(cancel_grace_s=LIMIT_S)}
    async with place(way.kind, servers) as gateway:
        scope = {"asyncfc/scope": "a name that nobody guesses"}
        async with gateway.wire(way, meta=scope) as client, gateway.wire(way) as stranger:
            running = await stranger.token("old_never", key="k")
            token = await client.token("old_ask_when_cancelled")
            await client.call("cancel_future", futures=[token])
            await client.call("await_future", futures=[token])
            awaited = await stranger.start_call("await_future", futures=[running])
            await stranger.value("old_release", key="k")
            assert text_of(await stranger.answer(awaited)).startswith("let go")
            assert stranger.asked == []
        await assert_unharmed(gateway, way)


async def until_idle(gateway: Place, server: str) -> None:
    """Wait until nothing is in flight on that server."""
    with anyio.fail_after(LIMIT_S):
        while not gateway.app.pool.connection(server).idle_s:  # noqa: ASYNC110  an end has no event
            await anyio.sleep(0.01)


@pytest.mark.parametrize("way", [way for way in WAYS if str(way) == "stdio-legacy"], ids=str)
async def test_a_question_is_withdrawn_when_the_call_ends_without_its_answer(gateway: Place, way: Way) -> None:
    line = json.dumps({"jsonrpc": "2.0", "id": "q", **asking()})
    gateway.app.gateway.questions.timeout_s = LIMIT_S
    async with gateway.wire(way) as client:
        assert await client.value("old_emit", lines=[line]) == "emitted"
        asked = await client.question()
        assert (await client.notified("notifications/cancelled"))["params"]["requestId"] == asked["id"]
        await client.reply(asked["id"], RED)
        assert "has ended" in (await heard(client))["error"]["message"]


@MODERN
async def test_the_answer_to_a_question_whose_call_has_ended_gets_the_value_of_the_call(
    gateway: Place, way: Way
) -> None:
    line = json.dumps({"jsonrpc": "2.0", "id": "q", **asking()})
    async with gateway.wire(way) as client:
        answer = (await client.call("old_emit", lines=[line]))["result"]
        if "inputRequests" in answer:
            (key,) = answer["inputRequests"]
            said = {"name": "old_emit", "arguments": {"lines": [line]}, "requestState": answer["requestState"]}
            answer = (await client.request("tools/call", **said, inputResponses={key: RED}))["result"]
        assert answer["content"][0]["text"] == "emitted"


@HANDSHAKES
async def test_a_thousand_questions_at_once_are_each_answered(way: Way) -> None:
    async with place(way.kind, {"toy": free_toy(), "old": pushy()}, inline_wait_s=LIMIT_S) as gateway:
        async with gateway.wire(way) as client:
            call = await client.start_call("old_ask_many", **{**ASK, "count": 1000})
            for _ in range(1000):
                await client.reply((await client.question())["id"], RED)
            assert json.loads(text_of(await client.answer(call))) == {"result": 1000, "error": 0}
        await assert_unharmed(gateway, way)


@MODERN
async def test_a_thousand_questions_that_are_left_open_end_with_their_time(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        assert (await client.call("old_ask_many", **{**ASK, "count": 1000}))["result"]["inputRequests"]
        await until_settled(gateway)
        answered = json.loads((await client.value("old_heard", _wait_s=LIMIT_S)).split("\n")[0])
        assert len(answered) == 1000
        assert {one["error"]["message"] for one in answered} == {f"nobody answered within {BRIEF_S:g} s"}
