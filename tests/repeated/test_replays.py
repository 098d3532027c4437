"""The same JSON-RPC request of a session sent twice over HTTP, as proxies and HTTP layers of clients do."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from tests.harness import LIMIT_S
from tests.transports.support import Json, Place, RawHttp, answer_in, place, token_of, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gateway() -> AsyncGenerator[Place]:
    async with place("http") as one:
        yield one


@asynccontextmanager
async def _in_session(gateway: Place) -> AsyncGenerator[RawHttp]:
    async with gateway.http() as http:
        await http.initialize()
        yield http


@asynccontextmanager
async def _sent(http: RawHttp, message: Json) -> AsyncGenerator[httpx2.Response]:
    """Send it over a connection of its own, which breaks as this is left; it is being answered when this begins."""
    async with httpx2.AsyncClient(headers={**http.client.headers, **http.session}, timeout=LIMIT_S) as client:
        with anyio.fail_after(LIMIT_S):
            async with client.stream("POST", http.url, json=message) as response:
                assert response.status_code == 200
                yield response


async def _answer(response: httpx2.Response) -> Json:
    with anyio.fail_after(LIMIT_S):
        await response.aread()
    return answer_in(response)


async def _at_work(response: httpx2.Response) -> None:
    """Wait until the server has said something of the call, which it would not know of if it were ended before."""
    with anyio.fail_after(LIMIT_S):
        async for line in response.aiter_lines():
            if "notifications/progress" in line:
                return


async def _gated_append(http: RawHttp) -> Json:
    """A call that is done once `gate` is released, and can be counted."""
    gate = token_of(await http.call("hold", key="gate", _wait_s=0))
    return http.call_message("append", {"key": "k", "value": gate, "_wait_s": LIMIT_S})


async def _appended(http: RawHttp) -> str:
    return await http.text("get", key="k", _wait_s=LIMIT_S)


def _text(answer: Json) -> Any:
    return answer["result"]["content"][0]["text"]


async def test_a_request_that_comes_again_while_it_is_answered_is_done_once_and_answered_twice(gateway: Place) -> None:
    async with _in_session(gateway) as http:
        message = await _gated_append(http)
        async with _sent(http, message) as first, _sent(http, message) as second:
            await http.call("release", key="gate")
            answers = [await _answer(first), await _answer(second)]
        assert answers[0] == answers[1]
        assert _text(answers[0]) == "held gate"
        assert answers[0]["id"] == message["id"]
        assert await _appended(http) == "held gate"


async def test_a_request_whose_connection_broke_goes_on_for_its_replay(gateway: Place) -> None:
    async with _in_session(gateway) as http:
        message = await _gated_append(http)
        async with _sent(http, message):
            pass
        async with _sent(http, message) as second:
            await http.call("release", key="gate")
            assert _text(await _answer(second)) == "held gate"
        assert await _appended(http) == "held gate"


async def test_an_answer_that_could_not_be_delivered_waits_for_the_replay(gateway: Place) -> None:
    async with _in_session(gateway) as http, gateway.client("legacy") as watcher:
        message = await _gated_append(http)
        async with _sent(http, message):
            pass
        await http.call("release", key="gate")
        await until(watcher, "get", lambda value: value == "held gate", key="k", _wait_s=LIMIT_S)
        async with _sent(http, message) as second:
            assert _text(await _answer(second)) == "held gate"
        assert await _appended(http) == "held gate"


async def test_an_id_that_is_used_again_for_a_new_call_gets_no_old_answer(gateway: Place) -> None:
    async with _in_session(gateway) as http:
        message = {**http.call_message("append", {"key": "k", "value": "x", "_wait_s": LIMIT_S}), "id": 1}
        assert [_text(answer_in(await http.post(message))) for _ in range(3)] == ["x", "xx", "xxx"]


async def test_what_was_answered_after_a_break_is_not_answered_so_again(gateway: Place) -> None:
    async with _in_session(gateway) as http:
        message = await _gated_append(http)
        async with _sent(http, message):
            pass
        async with _sent(http, message) as second:
            await http.call("release", key="gate")
            await _answer(second)
        assert _text(answer_in(await http.post(message))) == "held gate" * 2


async def test_the_same_request_of_another_session_is_another_one(gateway: Place) -> None:
    async with _in_session(gateway) as http, _in_session(gateway) as other, gateway.client("legacy") as watcher:
        message = http.call_message("steps", {"key": "k", "_wait_s": LIMIT_S})
        message["params"]["_meta"] = {"progressToken": "steps"}
        async with _sent(http, message) as one, _sent(other, message) as another:
            await _at_work(one)
            await _at_work(another)
        assert await until(watcher, "cancelled", lambda count: count == "2", _wait_s=LIMIT_S) == "2"


async def test_a_replay_that_breaks_off_too_ends_neither_the_first_nor_a_third(gateway: Place) -> None:
    async with _in_session(gateway) as http:
        message = await _gated_append(http)
        async with _sent(http, message) as first:
            async with _sent(http, message):
                pass
            async with _sent(http, message) as third:
                await http.call("release", key="gate")
                assert await _answer(first) == await _answer(third)
        assert await _appended(http) == "held gate"


async def test_a_long_answer_is_copied_whole(gateway: Place) -> None:
    async with _in_session(gateway) as http:
        gate = token_of(await http.call("hold", key="gate", _wait_s=0))
        arguments = {"size": 2_000_000, "note": gate, "_wait_s": LIMIT_S}
        message = http.call_message("large", arguments)
        async with _sent(http, message):
            pass
        async with _sent(http, message) as second:
            await http.call("release", key="gate")
            assert _text(await _answer(second)) == "x" * 2_000_000


async def test_a_request_that_was_cancelled_and_comes_again_is_a_new_one(gateway: Place) -> None:
    async with _in_session(gateway) as http, gateway.client("legacy") as watcher:
        message = http.call_message("hold", {"key": "k", "_wait_s": LIMIT_S})
        cancelled = {"requestId": message["id"], "reason": "enough"}
        async with _sent(http, message):
            await http.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
            assert await until(watcher, "cancelled", lambda count: count == "1", _wait_s=LIMIT_S) == "1"
            await until(watcher, "release", lambda said: said == "released k", key="k")
            assert _text(answer_in(await http.post(message))) == "held k"


# Our own tools


async def test_awaiting_reading_and_cancelling_twice_does_no_harm(gateway: Place) -> None:
    async with _in_session(gateway) as http:
        held, kept = [token_of(await http.call("hold", key=key, _wait_s=0)) for key in ("a", "b")]
        awaiting = http.call_message("await_future", {"futures": [held]})
        async with _sent(http, awaiting) as first, _sent(http, awaiting) as second:
            await http.call("release", key="a")
            assert await _answer(first) == await _answer(second)
        reading = http.call_message("get_future", {"future": held})
        read = [answer_in(await http.post(reading))["result"]["content"] for _ in range(2)]
        assert read[0] == read[1]
        assert read[0][-1]["text"] == "held a"
        cancelling = http.call_message("cancel_future", {"futures": [kept]})
        for _ in range(2):
            assert "error" not in answer_in(await http.post(cancelling))
        assert "cancelled" in await http.text("await_future", futures=[kept])
        assert "held a" in await http.text("await_future", futures=[held])


# SSE, where the answer does not come with the request


async def test_on_sse_a_request_that_is_posted_again_is_done_once() -> None:
    async with (
        place("sse") as gateway,
        gateway.client("legacy") as watcher,
        httpx2.AsyncClient(timeout=LIMIT_S) as client,
        client.stream("GET", gateway.url) as stream,
    ):
        lines = stream.aiter_lines()
        path = await _data(lines)
        url = gateway.url.replace("/sse", path)
        info = {"name": "raw", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        await client.post(url, json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        assert json.loads(await _data(lines))["id"] == 0
        await client.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        arguments = {"key": "gate", "_wait_s": 0, "_as": "gate"}
        hold = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "hold", "arguments": arguments},
        }
        await client.post(url, json=hold)
        assert json.loads(await _data(lines))["id"] == 1
        arguments = {"key": "k", "value": "fut_gate", "_wait_s": LIMIT_S}
        append = {**hold, "id": 2, "params": {"name": "append", "arguments": arguments}}
        for _ in range(2):
            assert (await client.post(url, json=append)).status_code == 202
        await until(watcher, "release", lambda said: said == "released gate", key="gate")
        answers = [json.loads(await _data(lines)) for _ in range(2)]
        assert answers[0] == answers[1]
        assert _text(answers[0]) == "held gate"
        assert await until(watcher, "get", lambda value: value == "held gate", key="k", _wait_s=LIMIT_S) == "held gate"


async def _data(lines: AsyncIterator[str]) -> str:
    """What the next event on a stream says."""
    with anyio.fail_after(LIMIT_S):
        async for line in lines:
            if line.startswith("data: "):
                return line.removeprefix("data: ")
    raise EOFError
