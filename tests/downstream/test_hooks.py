"""What a server asks and says by itself, and whose calls it may mean."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.connection import Connection
from tests.downstream.support import Noted, connected, eras, running, seen_by
from tests.downstream.test_modern_servers import offered

pytestmark = pytest.mark.anyio

ANSWER: dict[str, Any] = {"action": "accept", "content": {"n": 1}, "x-raw": [None]}
ROOTS = Claims.of("legacy", {"roots": {"listChanged": True}})


@pytest.mark.parametrize(
    ("tool", "method", "message"), [("ask_user", "elicitation/create", "Who?"), ("ask_roots", "roots/list", None)]
)
async def test_a_legacy_server_asks_the_owner_of_the_call_and_nothing_is_lost(
    tool: str, method: str, message: str | None
) -> None:
    hooks = Noted(ANSWER)
    with anyio.fail_after(20):
        async with connected(eras("legacy"), hooks=hooks) as connection:
            outcome = await connection.call_tool(tool, {}, owner="me")
    assert json.loads(outcome.text or "") == {"result": ANSWER}
    ((owners, asked, params),) = hooks.asked
    assert (owners, asked) == (("me",), method)
    assert (params or {}).get("message") == message
    assert (params or {}).get("x-raw") == ([1] if message else None)


async def test_what_the_hooks_refuse_is_an_error_to_the_server() -> None:
    hooks = Noted(MCPError(-1, "User rejected", {"why": "asleep"}))
    with anyio.fail_after(20):
        async with connected(eras("legacy"), hooks=hooks) as connection:
            outcome = await connection.call_tool("ask_user", {})
    error = {"code": -1, "message": "User rejected", "data": {"why": "asleep"}}
    assert json.loads(outcome.text or "") == {"error": error}


@pytest.mark.parametrize("server", ["legacy", "modern"])
async def test_without_hooks_a_server_that_asks_is_refused(server: str) -> None:
    with anyio.fail_after(20):
        async with connected(eras(server)) as connection:
            outcome = await connection.call_tool("ask_user", {})
    assert "error" in json.loads(outcome.text or "")


async def test_hooks_are_told_of_every_owner_in_flight_oldest_first_and_once() -> None:
    hooks = Noted(ANSWER)

    async def hold(key: str) -> None:
        await connection.call_tool("hold", {"key": key}, owner=key)

    async def held(count: int) -> None:
        while sum("hold" in str(message) for message in await seen_by(connection)) < count:
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(20):
        async with connected(eras("legacy"), hooks=hooks) as connection, anyio.create_task_group() as tasks:
            for count, key in enumerate(("first", "second"), 1):
                tasks.start_soon(hold, key)
                await held(count)
            await connection.call_tool("ask_user", {}, owner="first")
            await connection.call_tool("release", {"key": "first"})
            await connection.call_tool("ask_user", {}, owner="third")
            await connection.call_tool("release", {"key": "second"})
            await connection.call_tool("ask_user", {})
    assert [owners for owners, _, _ in hooks.asked] == [("first", "second"), ("second", "third"), ()]


async def test_over_http_a_server_asks_the_call_that_its_question_came_with() -> None:
    hooks = Noted({"action": "decline"})

    async def wait(connection: Connection) -> None:
        await connection.call_tool("sleep_until_cancelled", {}, owner="sleeper")

    with anyio.fail_after(30):
        async with (
            offered("legacy_http") as server,
            connected(server, hooks=hooks) as connection,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(wait, connection)
            while (await connection.call_tool("sleeping", {})).text != "1":
                await anyio.lowlevel.checkpoint()
            assert (await connection.call_tool("ask_user", {"message": "a"}, owner="asker")).text == "decline"
            tasks.cancel_scope.cancel()
    assert [owners for owners, _, _ in hooks.asked] == [("asker",)]


async def test_whatever_else_a_server_says_is_heard_raw() -> None:
    hooks = Noted()
    said = [
        ("notifications/message", {"level": "info", "data": {"a": 1}, "x-raw": 2}),
        ("notifications/resources/updated", {"uri": "a://1", "_meta": {"k": "v"}}),
        ("notifications/of/its/own", {"b": [1]}),
        ("notifications/message", {"level": "no such level"}),
    ]
    with anyio.fail_after(20):
        async with connected(eras("legacy"), hooks=hooks) as connection:
            for method, params in said:
                await connection.call_tool("say", {"method": method, "params": params}, owner="me")
    heard = [line for line in hooks.heard if line[0]]
    assert heard == [(("me",), method, params) for method, params in said]


async def test_a_modern_servers_stream_is_heard_without_its_name() -> None:
    hooks = Noted()
    opened = anyio.Event()
    with anyio.fail_after(20):
        async with connected(eras("modern"), hooks=hooks) as connection, anyio.create_task_group() as tasks:
            tasks.start_soon(connection.listen, ["a://1"], opened.set)
            await opened.wait()
            await connection.call_tool("update", {"uri": "a://1"})
            await hooks.hears("notifications/resources/updated")
            tasks.cancel_scope.cancel()
    assert [params for _, method, params in hooks.heard if method.endswith("updated")] == [{"uri": "a://1"}]


@pytest.mark.parametrize("server", ["legacy", "modern"])
@pytest.mark.parametrize("kind", ["tools", "resources", "prompts"])
async def test_a_changed_list_is_always_announced_even_when_nothing_differs(server: str, kind: str) -> None:
    hooks = Noted()
    method = f"notifications/{kind}/list_changed"
    with anyio.fail_after(20):
        async with connected(eras(server), hooks=hooks) as connection:
            await connection.call_tool("seen", {})
            before, heard = connection.listing, [name for _, name, _ in hooks.heard].count(method)
            for times in (1, 2):
                await connection.call_tool("say", {"method": method})
                await hooks.hears(method, heard + times)
            asked = [message["method"] for message in await seen_by(connection)].count("tools/list")
    assert connection.listing == before
    assert asked >= 3


async def test_hooks_may_come_after_the_pool() -> None:
    hooks = Noted(ANSWER)
    with anyio.fail_after(20):
        async with running([eras("legacy")]) as pool:
            pool.hooks = hooks
            await pool.connection("eras").call_tool("ask_user", {})
    assert (pool.hooks, len(hooks.asked)) == (hooks, 1)


@pytest.mark.parametrize(("claims", "is_told"), [(ROOTS, True), (Claims.of("legacy", {"roots": {}}), False)])
async def test_changed_roots_are_told_where_the_client_said_it_would(claims: Claims, is_told: bool) -> None:
    method = "notifications/roots/list_changed"
    with anyio.fail_after(20):
        async with running([eras("legacy")], waits_for_claims=True) as pool:
            pool.claim(claims)
            await pool.notify_all(method)  # nobody is there yet
            connection = pool.connection("eras")
            await connection.call_tool("seen", {})
            await pool.notify_all(method)
            seen = await seen_by(connection)
    assert [message["method"] for message in seen].count(method) == is_told


async def test_modern_servers_are_told_nothing_of_roots() -> None:
    with anyio.fail_after(20):
        async with running([eras("modern")]) as pool:
            connection = pool.connection("eras")
            await connection.call_tool("seen", {})
            await pool.notify_all("notifications/roots/list_changed")
            assert "notifications/roots/list_changed" not in [
                message["method"] for message in await seen_by(connection)
            ]
