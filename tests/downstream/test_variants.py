"""Clients that differ, in front of one server at an address."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from asyncfc_mcp.downstream.claims import EVERYTHING, Claims
from asyncfc_mcp.downstream.outcome import DownstreamUnavailable
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.downstream.variants import MOST_OPEN
from tests.downstream.support import Noted, eras, eras_over_http, running, seen_by

pytestmark = pytest.mark.anyio

ROOTS = Claims.of("legacy", {"roots": {}})
SAMPLING = Claims.of("legacy", {"sampling": {}})
MODERN = Claims.of("modern", {"sampling": {}}, "info")


def handshakes(seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message["params"]["capabilities"] for message in seen if message["method"] == "initialize"]


async def test_legacy_clients_with_the_same_capabilities_share_a_connection_of_their_own() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("dual") as server, running([server]) as pool:
            await seen_by(pool.connection("eras"))
            first, again = pool.connection("eras", ROOTS), pool.connection("eras", Claims.of("legacy", {"roots": {}}))
            other = pool.connection("eras", SAMPLING)
            for connection in (first, again, other):
                await connection.call_tool("seen", {})
            seen = await seen_by(pool.connection("eras"))
            assert first is again
            assert len({id(connection) for connection in (pool.connection("eras"), first, other)}) == 3
            assert [connection.era for connection in (first, other)] == ["legacy", "legacy"]
    assert sorted(map(str, handshakes(seen))) == ["{'roots': {}}", "{'sampling': {}}"]


async def test_modern_clients_share_the_primary_connection_of_a_modern_server() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("dual") as server, running([server]) as pool:
            primary = pool.connection("eras")
            await seen_by(primary)
            assert pool.connection("eras", MODERN) is primary
            assert pool.connection("eras", EVERYTHING) is primary
            assert pool.connection("eras") is primary


async def test_modern_clients_are_claimed_for_towards_a_legacy_server() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("legacy") as server, running([server]) as pool:
            primary = pool.connection("eras")
            await seen_by(primary)
            bridged = pool.connection("eras", MODERN)
            seen = await seen_by(bridged)
            assert bridged is not primary
            assert bridged is pool.connection("eras", SAMPLING)
            assert pool.connection("eras", Claims("legacy", EVERYTHING.capabilities_json)) is primary
    assert handshakes(seen) == [EVERYTHING.capabilities, {"sampling": {}}]


async def test_a_legacy_client_reaches_a_modern_server_over_a_further_connection_at_most_once() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("modern") as server, running([server]) as pool:
            primary = pool.connection("eras")
            await seen_by(primary)
            await pool.connection("eras", ROOTS).call_tool("seen", {}, claims=ROOTS)
            assert pool.connection("eras", SAMPLING) is primary


@pytest.mark.parametrize("claims", [ROOTS, MODERN])
async def test_headers_that_a_tool_asks_for_are_sent_over_every_connection(claims: Claims) -> None:
    with anyio.fail_after(30):
        async with eras_over_http("modern") as server, running([server]) as pool:
            await seen_by(pool.connection("eras"))
            await pool.connection("eras", claims).call_tool("routed", {"region": "eu"}, claims=claims)
            seen = await seen_by(pool.connection("eras"))
    (routed,) = (message for message in seen if message["x-headers"].get("mcp-name") == "routed")
    assert routed["x-headers"]["mcp-param-r"] == "eu"


async def test_a_name_is_sent_as_a_header_where_the_method_is_not_the_protocols() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("modern") as server, running([server]) as pool:
            await pool.connection("eras").request("echo/params", {"taskId": "t1"}, name="t1")
            seen = await seen_by(pool.connection("eras"))
    (echoed,) = (message for message in seen if message["method"] == "echo/params")
    assert echoed["x-headers"]["mcp-name"] == "t1"


async def test_a_child_process_has_one_connection_for_all() -> None:
    with anyio.fail_after(20):
        async with running([eras("dual")]) as pool:
            primary = pool.connection("eras")
            assert {pool.connection("eras", claims) for claims in (ROOTS, SAMPLING, MODERN)} == {primary}


async def test_the_one_client_of_a_stdio_gateway_needs_no_further_connection() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("dual") as server, running([server], waits_for_claims=True) as pool:
            pool.claim(ROOTS)
            primary = pool.connection("eras")
            seen = await seen_by(primary)
            assert pool.connection("eras", Claims.of("legacy", {"roots": {}}, "debug")) is primary
    assert handshakes(seen) == [{"roots": {}}]


async def test_an_idle_one_is_closed_and_opened_again_when_it_is_wanted() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("dual") as server, running([server], idle_limit_s=0.2) as pool:
            primary = pool.connection("eras")
            await seen_by(primary)
            first = pool.connection("eras", ROOTS)
            await first.call_tool("seen", {})
            while not any(message["method"] == "DELETE" for message in await seen_by(primary)):
                await anyio.lowlevel.checkpoint()
            again = pool.connection("eras", ROOTS)
            assert again is not first
            await again.call_tool("seen", {})
            with pytest.raises(DownstreamUnavailable):
                await first.call_tool("seen", {})


async def test_one_that_is_in_use_is_not_closed() -> None:
    async def listen(pool: Pool) -> None:
        await pool.connection("eras", ROOTS).call_tool("slow", {"seconds": 1.0})
        answered.set()

    answered = anyio.Event()
    with anyio.fail_after(30):
        async with eras_over_http("dual") as server, running([server], idle_limit_s=0.1) as pool:
            await seen_by(pool.connection("eras"))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen, pool)
                await answered.wait()


async def test_lists_are_those_of_the_primary_connection() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("dual") as server, running([server]) as pool:
            primary = pool.connection("eras")
            await seen_by(primary)
            variant = pool.connection("eras", ROOTS)
            seen = await seen_by(variant)
            assert variant.listing is primary.listing
    assert [message["method"] for message in seen].count("tools/list") == 1


async def test_hooks_reach_further_connections_too() -> None:
    hooks, later = Noted(), Noted()
    with anyio.fail_after(30):
        async with eras_over_http("dual") as server, running([server], hooks=hooks) as pool:
            await seen_by(pool.connection("eras"))
            variant = pool.connection("eras", ROOTS)
            assert variant.hooks is hooks
            pool.hooks = later
            assert variant.hooks is later


async def test_clients_that_claim_ever_new_things_do_not_open_ever_more_connections() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("legacy") as server, running([server]) as pool:
            primary = pool.connection("eras")
            await seen_by(primary)
            strange = [Claims.of("legacy", {"experimental": {str(number): {}}}) for number in range(MOST_OPEN + 1)]
            given = {pool.connection("eras", claims) for claims in strange}
            assert len(given - {primary}) == MOST_OPEN
            assert pool.connection("eras", strange[-1]) is primary
