"""Streams and subscriptions that are too many, are dropped, or are never read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx2
import pytest

from asyncfc_mcp.server.changes import MOST_STREAMS, MOST_SUBSCRIPTIONS
from tests.bad_input.support import free_toy, pushy
from tests.bad_input.wires import PREFIX, WAYS, Place, Way, assert_unharmed, place
from tests.harness import LIMIT_S
from tests.process.support import RawGateway, started

pytestmark = pytest.mark.anyio

UPDATED = "notifications/resources/updated"
HANDSHAKES = pytest.mark.parametrize("way", [way for way in WAYS if not way.is_modern], ids=str)
MODERN = pytest.mark.parametrize("way", [way for way in WAYS if way.is_modern], ids=str)


@pytest.fixture
async def gateway(way: Way) -> AsyncGenerator[Place]:
    """It must be unharmed at the end."""
    async with place(way.kind, {"toy": free_toy(), "old": pushy()}, inline_wait_s=LIMIT_S) as one:
        yield one
        await assert_unharmed(one, way)


@HANDSHAKES
async def test_a_session_has_so_many_subscriptions_and_no_more(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        for number in range(MOST_SUBSCRIPTIONS):
            assert "result" in await client.request("resources/subscribe", uri=f"pushy://book/{number}")
        refused = await client.request("resources/subscribe", uri="pushy://book/one-more")
        assert str(MOST_SUBSCRIPTIONS) in refused["error"]["message"]
        await client.request("resources/unsubscribe", uri="pushy://book/0")
        assert "result" in await client.request("resources/subscribe", uri="pushy://book/one-more")


@pytest.mark.parametrize("way", [way for way in WAYS if str(way) == "stdio-modern"], ids=str)
async def test_there_are_so_many_streams_and_no_more(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        open_streams = [await listen(gateway, client, "future://fut_any") for _ in range(MOST_STREAMS)]
        one_more = await client.request("subscriptions/listen", notifications={"toolsListChanged": True})
        assert one_more["error"]["message"]
        for number in open_streams:
            await client.tell("notifications/cancelled", requestId=number)
        await listen(gateway, client, "pushy://book")


async def listen(_: Place, client: Any, uri: str) -> int:
    number = await client.start("subscriptions/listen", notifications={"resourceSubscriptions": [uri]})
    told = await client.notified("notifications/subscriptions/acknowledged")
    assert told["params"]["_meta"][f"{PREFIX}subscriptionId"] == number
    return number


@MODERN
async def test_streams_that_are_dropped_leave_nothing_watched(gateway: Place, way: Way) -> None:
    async with gateway.wire(way) as client:
        for _ in range(20):
            await listen(gateway, client, "pushy://book")
    async with gateway.wire(way) as client:
        number = await listen(gateway, client, "pushy://book")
        call = {"method": UPDATED, "params": {"uri": "pushy://book"}, "count": 1}
        assert await client.value("old_flood", **call) == "flooded"
        told = await client.notified(UPDATED)
        assert told["params"]["_meta"][f"{PREFIX}subscriptionId"] == number


async def test_a_subscriber_over_http_that_never_reads_slows_nobody() -> None:
    way = WAYS[2]
    assert str(way) == "http-legacy"
    async with place("http", {"toy": free_toy(), "old": pushy()}, inline_wait_s=LIMIT_S) as gateway:
        async with gateway.wire(way) as client, httpx2.AsyncClient(timeout=60) as http:
            headers = {**client.door.session, "accept": "text/event-stream"}
            async with http.stream("GET", gateway.url, headers=headers):  # and nobody ever reads it
                assert "result" in await client.request("resources/subscribe", uri="pushy://book")
                call = {"method": UPDATED, "params": {"uri": "pushy://book"}, "count": 5_000}
                for _ in range(3):
                    assert await client.value("old_flood", **call) == "flooded"
        await assert_unharmed(gateway, way)


async def test_answers_over_http_are_not_held_back() -> None:
    way = WAYS[2]
    async with place("http", {"toy": free_toy()}) as gateway, gateway.wire(way) as client:
        await client.request("resources/list")
        took_s: list[float] = []
        for _ in range(40):
            begun_at = anyio.current_time()
            await client.request("resources/list")
            took_s.append(anyio.current_time() - begun_at)
        # 40 ms each while Nagle's algorithm waits for the acknowledgement of what went before, once a connection is no
        # longer new; whatever else the machine does, not each of them has to wait for that
        assert min(took_s[20:]) < 0.02


async def test_a_process_whose_client_never_reads_a_flood_ends_with_it(tmp_path: Any) -> None:
    async with started(tmp_path, {"old": pushy()}) as gateway:
        await ready(gateway)
        flood = {"method": "notifications/message", "params": {"level": "info", "data": "x" * 1000}, "count": 20_000}
        await gateway.start_call("old_flood", {**flood, "_wait_s": 0})
        await gateway.logged("future_settled")
        gateway.close_stdin()
        assert await gateway.exit_code() == 0


async def test_a_process_whose_client_goes_in_the_middle_of_a_question_ends(tmp_path: Any) -> None:
    form: dict[str, Any] = {"mode": "form", "message": "?", "requestedSchema": {"type": "object", "properties": {}}}
    async with started(tmp_path, {"old": pushy()}) as gateway:
        await ready(gateway)
        await gateway.start_call("old_ask_many", {"method": "elicitation/create", "params": form, "count": 3})
        with anyio.fail_after(LIMIT_S):
            while b"elicitation/create" not in await gateway.line():
                pass
        gateway.family()
        gateway.close_stdin()
        await gateway.ended()


async def ready(gateway: RawGateway) -> None:
    said: dict[str, Any] = {
        "protocolVersion": "2025-11-25",
        "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "a", "version": "1"},
    }
    await gateway.request("initialize", said)
    await gateway.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    await gateway.request("tools/list")
