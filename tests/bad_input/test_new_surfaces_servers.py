"""Servers that talk too much, talk nonsense or say nothing, while a client calls, reads and watches."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from tests.bad_input.support import crooked, free_toy, odd, pushy
from tests.bad_input.wires import WAYS, Place, Way, assert_unharmed, place, text_of
from tests.harness import LIMIT_S

pytestmark = pytest.mark.anyio

MANY = 5_000
UPDATED = "notifications/resources/updated"
every_way = pytest.mark.parametrize("way", WAYS, ids=str)
over_pipes = pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "stdio"], ids=str)

Json = dict[str, Any]


@pytest.fixture
async def gateway(way: Way) -> AsyncGenerator[Place]:
    """One in front of servers of both eras; it must be unharmed at the end."""
    servers = {"toy": free_toy(), "old": pushy(), "new": pushy("modern")}
    async with place(way.kind, servers, inline_wait_s=LIMIT_S) as one:
        yield one
        await assert_unharmed(one, way)


def notification(method: str, params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params})


# What is none

MALFORMED: list[tuple[str, Any]] = [
    ("notifications/message", None),
    ("notifications/message", {}),
    ("notifications/message", {"level": "loud", "data": 1}),
    ("notifications/message", {"level": [], "data": 1}),
    ("notifications/message", {"level": {"a": 1}, "data": 1}),
    ("notifications/message", {"level": "info"}),
    ("notifications/message", {"level": "info", "data": 1, "logger": 5}),
    ("notifications/progress", {"progressToken": [1], "progress": "x"}),
    (UPDATED, None),
    (UPDATED, {"uri": {"a": 1}}),
    ("notifications/tools/list_changed", {"_meta": 5}),
    ("notifications/tasks", {"taskId": [1]}),
    ("notifications/tasks/status", {"taskId": 5}),
    ("notifications/elicitation/complete", {"elicitationId": 5}),
    ("notifications/cancelled", {"requestId": [1]}),
    ("notifications/subscriptions/acknowledged", {"a": 1}),
    ("notifications/nobody/knows", {"_meta": {"io.modelcontextprotocol/subscriptionId": [1]}}),
]


@over_pipes
async def test_a_malformed_notification_harms_nobody(gateway: Place, way: Way) -> None:
    async with gateway.wire(way, meta={"io.modelcontextprotocol/logLevel": "debug"}) as client:
        for method, params in MALFORMED:
            for server in ("old", "new"):
                said = await client.value(f"{server}_emit", lines=[notification(method, params)])
                assert said == "emitted", (method, params)


@every_way
async def test_progress_that_no_number_can_hold_costs_no_call_anything(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        lines = [
            f'{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1,'
            f'"total":1{"0" * 400}}}}}'
            for token in range(1, 30)
        ]
        assert await client.value("old_emit", lines=lines, _wait_s=LIMIT_S) == "emitted"


@over_pipes
@pytest.mark.parametrize("execution", ["text", 5, [], {"taskSupport": 5}, {"taskSupport": []}], ids=json.dumps)
async def test_a_tool_with_an_odd_execution_costs_no_other_its_place(way: Way, execution: Any) -> None:
    listed = json.dumps([{"name": "odd", "inputSchema": {"type": "object"}, "execution": execution}])
    async with place(way.kind, {"toy": free_toy(), "crooked": crooked(listed)}) as gateway:
        async with gateway.wire(way) as client:
            names = [tool["name"] for tool in (await client.request("tools/list"))["result"]["tools"]]
            assert "echo" in names
        await assert_unharmed(gateway, way)


# Floods


@every_way
async def test_a_flood_of_log_messages_slows_no_call_down_for_good(gateway: Place, way: Way) -> None:
    async with gateway.wire(way, meta={"io.modelcontextprotocol/logLevel": "debug"}) as client:
        said = {"level": "info", "data": "message NUMBER"}
        call = {"method": "notifications/message", "params": said, "count": MANY}
        assert await client.value("old_flood", **call, _wait_s=LIMIT_S) == "flooded"


@every_way
async def test_a_flood_of_updates_reaches_a_watcher_or_ends_its_watching(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        if way.is_modern:
            await client.start("subscriptions/listen", notifications={"resourceSubscriptions": ["pushy://book"]})
            await client.notified("notifications/subscriptions/acknowledged")
        else:
            assert "result" in await client.request("resources/subscribe", uri="pushy://book")
        for server in ("old", "new"):
            call = {"method": UPDATED, "params": {"uri": "pushy://book"}, "count": MANY}
            assert await client.value(f"{server}_flood", **call, _wait_s=LIMIT_S) == "flooded"


# Changes under way, and silence


@every_way
async def test_a_tool_that_is_taken_away_while_it_runs_still_gives_its_value(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        token = await client.token("old_brief", key="k")
        waiting = await client.token("echo", text=token)
        await client.value("old_drop_tool", name="brief")
        with anyio.fail_after(LIMIT_S):
            while "old_brief" in str(await client.request("tools/list")):
                pass
        gone = await client.call("old_brief", key="z")
        assert gone["result"]["isError"] is True
        assert "Unknown tool: old_brief" in text_of(gone)
        await client.value("old_release", key="k")
        assert await client.value("await_future", futures=[waiting]) == "let go"


SILENT: list[tuple[str, Json]] = [
    ("prompts/get", {"name": "old_never"}),
    ("prompts/get", {"name": "new_never"}),
    ("resources/read", {"uri": "pushy://never"}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "old_never"}, "argument": {"name": "a", "value": ""}},
    ),
]


@every_way
@pytest.mark.parametrize(("method", "params"), SILENT)
async def test_a_request_that_is_never_answered_ends_with_its_client(
    gateway: Place, way: Way, method: str, params: Json
) -> None:
    async with gateway.wire(way) as client:
        number = await client.start(method, **params)
        await client.value("echo", text="meanwhile")
        if way.kind == "stdio":
            await client.tell("notifications/cancelled", requestId=number)
    pool = gateway.app.pool
    with anyio.fail_after(LIMIT_S):
        while not all(pool.connection(key).idle_s for key in pool.statuses()):  # noqa: ASYNC110  an end has no event
            await anyio.sleep(0.01)


@every_way
async def test_prompts_and_resources_of_a_server_that_is_down_are_errors_that_name_it(way: Way) -> None:
    servers = {"toy": free_toy(), "down": odd("exits_at_once")}
    async with place(way.kind, servers) as gateway, gateway.wire(way) as client:
        asked = await client.request("prompts/get", name="down_prompt")
        assert asked["error"]["message"] == "Unknown prompt: down_prompt"
        read = await client.request("resources/read", uri="down://book")
        assert "Resource not found: down://book" in read["error"]["message"]
        assert "echo" in str(await client.request("tools/list"))
