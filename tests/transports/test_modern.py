"""Streamable HTTP for clients without a session: one request, one response, and what a request may look like."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx2
import pytest

from asyncfc_mcp.transports import modern
from tests.harness import LIMIT_S
from tests.transports.support import Place, RawHttp, answer_in, call, place, until

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
        message, headers = http.modern("echo", {"text": "in parts"})
        body = json.dumps(message).encode()

        async def parts() -> AsyncGenerator[bytes]:
            yield body[:10]
            yield body[10:]

        assert text_in(await post(http, parts(), headers)) == "in parts"


async def test_a_name_that_comes_twice_is_refused_and_says_so(gateway: Place) -> None:
    async with gateway.http() as http:
        message, headers = http.modern("echo", {"text": "x"})
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


async def test_a_silent_response_says_that_it_is_alive_until_its_answer(
    gateway: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modern, "PING_S", 0.05)
    async with gateway.http() as http, gateway.client() as other:
        message, headers = http.modern("hold", {"key": "a", "_wait_s": LIMIT_S})
        with anyio.fail_after(LIMIT_S):
            async with http.client.stream("POST", http.url, json=message, headers=headers) as stream:
                assert stream.headers["content-type"] == "text/event-stream"
                lines = stream.aiter_lines()
                pings = 0
                while pings < 3:
                    pings += await anext(lines) == ": ping"
                await call(other, "release", key="a")
                rest = [line async for line in lines]
        answers = [json.loads(line.removeprefix("data: ")) for line in rest if line.startswith("data: ")]
        assert [one["id"] for one in answers] == [message["id"]]
        assert answers[0]["result"]["content"][0]["text"] == "held a"


async def test_a_client_that_goes_while_pings_reach_it_ends_its_call(
    gateway: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modern, "PING_S", 0.05)
    async with gateway.http() as http, gateway.client() as watcher:
        message, headers = http.modern("hold", {"key": "a", "_wait_s": LIMIT_S})
        with anyio.fail_after(LIMIT_S):
            async with http.client.stream("POST", http.url, json=message, headers=headers) as stream:
                lines = stream.aiter_lines()
                while await anext(lines) != ": ping":
                    pass
            assert await until(watcher, "cancelled", lambda seen: seen == "1") == "1"


async def test_progress_comes_before_the_answer_in_one_stream(gateway: Place) -> None:
    async with gateway.http() as http, gateway.client() as other:
        message, headers = http.modern("steps", {"key": "a", "_wait_s": LIMIT_S})
        message["params"]["_meta"]["progressToken"] = "mine"
        await call(other, "release", key="a")
        response = await post(http, json.dumps(message), headers)
        said = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]
        assert [one["params"]["progress"] for one in said[:-1]] == [1, 2, 3]
        assert {one["params"]["progressToken"] for one in said[:-1]} == {"mine"}
        assert said[-1]["id"] == message["id"]
