"""Streamable HTTP for clients without a session: one request, one response, and what a request may look like."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from asyncfc_mcp.gateway.answering.pace import FIRST_STEP_S, WORTH
from asyncfc_mcp.transports import responses
from asyncfc_mcp.transports.body import MOST_BODY_BYTES
from tests.harness import LIMIT_S
from tests.transports.support import BOTH, Json, Place, RawHttp, answer_in, call, place, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gateway() -> AsyncGenerator[Place]:
    async with place("http") as one:
        yield one


async def post(http: RawHttp, content: Any, headers: Any) -> httpx2.Response:
    with anyio.fail_after(LIMIT_S):
        return await http.client.post(http.url, content=content, headers=headers)


def text_in(response: httpx2.Response) -> str:
    return answer_in(response)["result"]["content"][0]["text"]


async def test_a_request_without_its_length_is_served_as_well(gateway: Place) -> None:
    async with gateway.http() as http:
        message, headers = http.modern("echo", {"text": "in parts", "_wait_s": LIMIT_S})
        body = json.dumps(message).encode()

        async def parts() -> AsyncGenerator[bytes]:
            yield body[:10]
            yield body[10:]

        assert text_in(await post(http, parts(), headers)) == "in parts"


async def test_a_name_that_comes_twice_is_refused_and_says_so(gateway: Place) -> None:
    async with gateway.http() as http:
        message, headers = http.modern("echo", {"text": "x", "_wait_s": LIMIT_S})
        twice = [*headers.items(), ("mcp-name", "append")]
        refused = await post(http, json.dumps(message), twice)
        assert refused.status_code == 400
        assert "mcp-name header appears more than once" in refused.text
        # of any other header two may be meant
        assert text_in(await post(http, json.dumps(message), [*headers.items(), ("x-a", "1"), ("x-a", "2")])) == "x"


@pytest.mark.parametrize("header", ["mcp-method", "mcp-name", "mcp-protocol-version"])
async def test_headers_that_say_something_else_than_the_message_are_refused(gateway: Place, header: str) -> None:
    async with gateway.http() as http:
        message, headers = http.modern("echo", {"text": "x"})
        for changed in ({**headers, header: "other"}, {k: v for k, v in headers.items() if k != header}):
            refused = await post(http, json.dumps(message), changed)
            assert refused.status_code == 400


async def test_half_a_character_is_answered_with_what_is_wrong(gateway: Place) -> None:
    async with gateway.http() as http:
        message, headers = http.modern("await_future", {"futures": ["fut_\ud83d"]})
        answered = await post(http, json.dumps(message), headers)
        assert answered.status_code == 200
        assert answered.json()["result"]["isError"]
        assert "ud83d" in text_in(answered)


async def test_errors_have_the_status_of_their_code(gateway: Place) -> None:
    async with gateway.http() as http:
        message, headers = http.modern("echo", {"text": "x"})
        message["method"] = "no/such/method"
        missing = await post(http, json.dumps(message), {**headers, "mcp-method": "no/such/method"})
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == -32601
        assert missing.json()["id"] == message["id"]


@asynccontextmanager
async def held(http: RawHttp, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[int, AsyncIterator[str]]]:
    """A call that waits for `a`: its id, and the lines of its response from the first ping on; they come often."""
    monkeypatch.setattr(responses, "PING_S", 0.05)
    message, headers = http.modern("hold", {"key": "a", "_wait_s": LIMIT_S})
    with anyio.fail_after(LIMIT_S):
        async with http.client.stream("POST", http.url, json=message, headers=headers) as stream:
            assert stream.headers["content-type"] == "text/event-stream"
            lines = stream.aiter_lines()
            while await anext(lines) != ": ping":
                pass
            yield message["id"], lines


async def test_a_silent_response_says_that_it_is_alive_until_its_answer(
    gateway: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway.http() as http, gateway.client() as other, held(http, monkeypatch) as (number, lines):
        while await anext(lines) != ": ping":
            pass
        await call(other, "release", key="a")
        (answer,) = [json.loads(line[6:]) async for line in lines if line.startswith("data: ")]
        assert answer["id"] == number
        assert answer["result"]["content"][0]["text"] == "held a"


async def test_a_client_that_goes_while_pings_reach_it_ends_its_call(
    gateway: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway.http() as http, gateway.client() as watcher:
        async with held(http, monkeypatch):
            await call(watcher, "started", key="a", _wait_s=LIMIT_S)
        assert await until(watcher, "cancelled", lambda seen: seen == "1", _wait_s=LIMIT_S) == "1"


async def steps(gateway: Place, http: RawHttp, key: str) -> tuple[Json, httpx2.Response]:
    """A call that tells its progress, and the whole response to it."""
    async with gateway.client() as other:
        await call(other, "release", key=key)
    message, headers = http.modern("steps", {"key": key, "_wait_s": LIMIT_S})
    message["params"]["_meta"]["progressToken"] = "mine"
    return message, await post(http, json.dumps(message), headers)


async def test_progress_comes_before_the_answer_in_one_stream(gateway: Place) -> None:
    async with gateway.http() as http:
        message, response = await steps(gateway, http, "a")
        said = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]
        assert [one["params"]["progress"] for one in said[:-1]] == [1, 2, 3]
        assert {one["params"]["progressToken"] for one in said[:-1]} == {"mine"}
        assert said[-1]["id"] == message["id"]


async def test_events_have_no_more_ends_of_lines_than_events_have(gateway: Place) -> None:
    async with gateway.http() as http:
        _, response = await steps(gateway, http, "\u2028")
        assert response.headers["content-type"] == "text/event-stream"
        assert "\u2028" not in response.text
        assert json.loads(response.text.splitlines()[-2][6:])["result"]["content"][0]["text"] == "held \u2028"


async def test_a_refused_call_leaves_the_wait_of_later_ones_as_it_is(gateway: Place) -> None:
    async with gateway.http(**{"asyncfc-scope": "a" * 40}) as http, gateway.client() as other:
        await call(other, "echo", text="the server is up", _wait_s=LIMIT_S)

        async def echo(arguments: Any) -> httpx2.Response:
            message, headers = http.modern("echo", arguments)
            return await post(http, json.dumps(message), headers)

        assert text_in(await echo({"text": "x"})) == "x"
        for _ in range(50):
            assert (await echo("no object")).status_code == 400
        await anyio.sleep(1.5 * WORTH * FIRST_STEP_S)  # what the calls of one step may wait together
        assert text_in(await echo({"text": "x"})) == "x"


async def test_a_chunked_body_that_claims_a_length_is_bounded_as_well(gateway: Place) -> None:
    async with gateway.http() as http:
        message, headers = http.modern("echo", {"text": "through", "_wait_s": LIMIT_S})
        head = {**BOTH, "host": "localhost", **headers, "content-length": "5", "transfer-encoding": "chunked"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        async with await connected(http) as stream:
            await stream.send(f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode())
            with suppress(anyio.BrokenResourceError):  # refused before it had all been sent
                for part in (b" " * (MOST_BODY_BYTES + 1), json.dumps(message).encode(), b""):
                    await stream.send(b"%x\r\n" % len(part) + part + b"\r\n")
            with anyio.fail_after(LIMIT_S):
                assert (await stream.receive()).startswith(b"HTTP/1.1 413")


async def test_an_answer_comes_although_a_ping_before_it_found_no_room(
    gateway: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests on one connection: the answer to the first is large, and not read until the second has ended."""
    monkeypatch.setattr(responses, "PING_S", 0.1)
    async with gateway.http() as http, gateway.client() as other:

        def written(tool: str, **arguments: Any) -> bytes:
            message, headers = http.modern(tool, arguments)
            body = json.dumps(message).encode()
            head = {**BOTH, "host": "localhost", **headers, "content-length": str(len(body))}
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            return f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode() + body

        async with await connected(http) as stream:
            await stream.send(written("large", size=9_000_000, _wait_s=LIMIT_S))
            await stream.send(written("hold", key="a", _wait_s=LIMIT_S))
            await call(other, "started", key="a", _wait_s=LIMIT_S)
            await anyio.sleep(0.5)  # pings are due by now, and find no room
            await call(other, "release", key="a")
            await call(other, "echo", text="it has been answered")
            end = b""
            with anyio.fail_after(LIMIT_S):
                while b"held a" not in end:
                    end = (end + await stream.receive(2**20))[-3_000:]
                    assert b"failed" not in end


async def connected(http: RawHttp) -> SocketStream:
    """A connection of our own, for what no client would send."""
    return await anyio.connect_tcp("127.0.0.1", int(http.url.rpartition(":")[2].partition("/")[0]))
