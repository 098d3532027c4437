"""Requests of the new surfaces that are none: each gets an error that says so, in both eras, over stdio and HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.bad_input.support import crooked, free_toy, nested, pushy
from tests.bad_input.wires import EVERYTHING, MODERN, PREFIX, WAYS, Place, Way, Wire, assert_unharmed, place, text_of
from tests.harness import FREE, LIMIT_S

pytestmark = pytest.mark.anyio

INVALID_PARAMS, METHOD_NOT_FOUND, NOT_FOUND, HEADER_MISMATCH = -32602, -32601, -32002, -32020
TASKS: dict[str, Any] = {"extensions": {f"{PREFIX}tasks": {}}}

Json = dict[str, Any]


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


@pytest.fixture
async def gateway(way: Way) -> AsyncGenerator[Place]:
    """It must be unharmed at the end."""
    servers = {"toy": free_toy(), "old": pushy(), "crooked": crooked(tools={"answer": FREE})}
    async with place(way.kind, servers, inline_wait_s=LIMIT_S) as one:
        yield one
        await assert_unharmed(one, way)


async def error(client: Wire, method: str, **params: Any) -> Json:
    return (await client.request(method, **params))["error"]


PROMPT = {"type": "ref/prompt", "name": "old_prompt"}
TEMPLATE = {"type": "ref/resource", "uri": "no://{such}"}
ARGUMENT = {"name": "a", "value": "b"}
WRONG: list[tuple[str, Json]] = [
    ("prompts/get", {}),
    ("prompts/get", {"name": 5}),
    ("prompts/get", {"name": ""}),
    ("prompts/get", {"name": "x" * 100_000}),
    ("prompts/get", {"name": "old_prompt", "arguments": "text"}),
    ("prompts/get", {"name": "old_prompt", "arguments": {"a": 5}}),
    ("prompts/get", {"name": "old_prompt", "arguments": {"a": "fut_nobody_8k2m4x7q"}}),
    ("resources/read", {}),
    ("resources/read", {"uri": 5}),
    ("resources/read", {"uri": ""}),
    ("resources/read", {"uri": "not a URI"}),
    ("resources/read", {"uri": "http://[::1"}),
    ("resources/read", {"uri": "x" * 1_000_000}),
    ("resources/read", {"uri": "future://"}),
    ("resources/read", {"uri": "future://fut_nobody"}),
    ("resources/read", {"uri": "future://" + "a/" * 10_000}),
    ("resources/read", {"uri": "pushy://${fut_nobody}/x"}),
    ("completion/complete", {"ref": 5, "argument": 5}),
    ("completion/complete", {"ref": {"type": "no such"}, "argument": ARGUMENT}),
    ("completion/complete", {"ref": TEMPLATE, "argument": ARGUMENT}),
    ("completion/complete", {"ref": {**PROMPT, "name": "nobody"}, "argument": ARGUMENT}),
    ("resources/list", {"cursor": "x"}),
    ("prompts/list", {"cursor": 5}),
    ("resources/templates/list", {"cursor": []}),
]
OF_ONE_ERA: list[tuple[str, Json]] = [
    ("resources/subscribe", {"uri": 5}),
    ("resources/subscribe", {"uri": "future://nobody"}),
    ("resources/unsubscribe", {}),
    ("logging/setLevel", {"level": "loud"}),
    ("logging/setLevel", {"level": []}),
    ("tasks/get", {"taskId": 5}),
    ("tasks/get", {"taskId": ""}),
    ("tasks/get", {"taskId": "x" * 5_000}),
    ("tasks/get", {"taskId": "fut_nobody_8k2m4x7q"}),
    ("tasks/update", {"taskId": "fut_nobody", "inputResponses": 5}),
    ("tasks/update", {"taskId": "fut_nobody", "inputResponses": {"a": 5}}),
    ("tasks/cancel", {"taskId": []}),
    ("tasks/list", {}),
    ("subscriptions/listen", {}),
    ("subscriptions/listen", {"notifications": 5}),
    ("subscriptions/listen", {"notifications": {"resourceSubscriptions": 5}}),
    ("subscriptions/listen", {"notifications": {"resourceSubscriptions": [5]}}),
    ("subscriptions/listen", {"notifications": {"resourceSubscriptions": [f"a://{n}" for n in range(2000)]}}),
    ("subscriptions/listen", {"notifications": {"taskIds": 5}}),
    ("subscriptions/listen", {"notifications": {"taskIds": [[]]}}),
    ("subscriptions/listen", {"notifications": {"taskIds": ["fut_x"] * 2000}}),
    ("no/such/method", {}),
    ("", {}),
    ("RESOURCES/READ", {"uri": "pushy://book"}),
]


async def test_wrong_parameters_are_refused(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        for method, params in WRONG:
            said = await error(client, method, **params)
            assert said["code"] in {INVALID_PARAMS, NOT_FOUND, HEADER_MISMATCH}, (method, params)
            assert said["message"]


async def test_what_only_one_era_has_is_refused_in_both_when_it_is_wrong(gateway: Place, way: Way) -> None:
    async with gateway.wire(way, capabilities={**EVERYTHING, **TASKS}) as client:
        for method, params in OF_ONE_ERA:
            said = await error(client, method, **params)
            codes = {INVALID_PARAMS, METHOD_NOT_FOUND, NOT_FOUND, HEADER_MISMATCH}
            assert said["code"] in codes, (method, params, said)
            assert said["message"]


REFUSED_META: list[Any] = [5, "text", [1], {"progressToken": [1]}, {"progressToken": {"a": 1}}]
IGNORED_META: list[Any] = [
    {"asyncfc/scope": 5},
    {"asyncfc/scope": []},
    {"asyncfc/scope": "x" * 1_000_000},
    {"asyncfc/future": {"token": "fut_made_up"}, "asyncfc/delivered": 5},
    {"example/huge": "x" * 1_000_000},
    {"example/deep": json.loads(nested(100))},
    {"traceparent": 5, "tracestate": [], "baggage": {}},
    {"": "", "no prefix": 1, "a/b/c": 2},
    {f"{PREFIX}serverInfo": 5, f"{PREFIX}subscriptionId": 5},
]


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
async def test_meta_that_is_none_is_refused_and_odd_meta_does_no_harm(gateway: Place, way: Way, method: str) -> None:
    params: Json = {
        "tools/call": {"name": "echo", "arguments": {"text": "x"}},
        "prompts/get": {"name": "old_prompt"},
        "resources/read": {"uri": "pushy://book"},
    }[method]
    async with gateway.wire(way) as client:
        await client.call("echo", text="the first request of a connection decides its era")
        for meta in REFUSED_META:
            said: Json = (
                {**params, "_meta": {**client.params({}).get("_meta", {}), **meta}}
                if isinstance(meta, dict)
                else {**params, "_meta": meta}
            )
            assert "error" in await client.exact(method, said), meta
        for meta in IGNORED_META:
            client.meta = meta
            assert "result" in await client.request(method, **params), str(meta)[:80]
        client.meta = {}


@pytest.mark.parametrize("way", [way for way in WAYS if way.is_modern], ids=str)
async def test_what_a_modern_request_says_of_itself_is_checked(gateway: Place, way: Way) -> None:
    params: Json = {"uri": "pushy://book"}
    wrong: list[Json] = [
        {f"{PREFIX}protocolVersion": "1999-01-01"},
        {f"{PREFIX}protocolVersion": 5},
        {f"{PREFIX}clientCapabilities": 5},
        {f"{PREFIX}clientCapabilities": {"elicitation": 5}},
        {f"{PREFIX}clientInfo": "text"},
    ]
    async with gateway.wire(way) as client:
        for said in wrong:
            client.meta = said
            assert (await client.request("resources/read", **params))["error"]["message"], said
        client.meta = {f"{PREFIX}logLevel": ["loud"]}
        assert (await client.request("resources/read", **params)).keys() & {"error", "result"}
        client.meta = {}
        assert MODERN in str(client.params({}))


@pytest.mark.parametrize("way", [way for way in WAYS if not way.is_modern], ids=str)
async def test_a_handshake_that_is_none_is_refused_and_another_version_is_offered(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        offered = await client.request(
            "initialize", protocolVersion="1999-01-01", capabilities={}, clientInfo={"name": "a", "version": "1"}
        )
        assert offered["result"]["protocolVersion"] == "2025-11-25" or "error" in offered


async def test_values_nested_too_deep_are_refused_everywhere(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        for levels in (150, 195):
            deep = json.loads(nested(levels))
            for method, params in (
                ("prompts/get", {"name": "old_prompt", "more": deep}),
                ("resources/read", {"uri": "pushy://book", "more": deep}),
                ("tools/call", {"name": "echo", "arguments": {"text": "x"}, "more": deep}),
            ):
                assert (await client.request(method, **params)).keys() & {"error", "result"}


async def test_text_that_is_not_unicode_costs_its_own_answer_alone(gateway: Place, way: Way) -> None:
    result = json.dumps({"content": [{"type": "text", "text": '{"part": "a\\ud800b"}'}]})
    async with gateway.wire(way) as client:
        token = await client.token("crooked_answer", result=result)
        await client.call("await_future", futures=[token])
        for refused in (
            await client.call("get_future", future=f"{token}/part"),
            await client.call("await_future", futures=[f"{token}/part"]),
            await client.call("crooked_answer", x=f"{token}/part", _wait_s=LIMIT_S),
        ):
            assert refused["result"]["isError"] is True
            assert "it holds text that is not Unicode" in text_of(refused)
        assert r"a\ud800b" in await client.text("get_future", future=token)
        assert text_of(await client.call("echo", text="x", _wait_s=LIMIT_S)).startswith("x")
