"""Tool calls of HTTP sessions: JSON where there is but the answer, else a stream that carries questions both ways."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.server import handlers
from asyncfc_mcp.transports import http as http_transport
from asyncfc_mcp.transports import responses, session_calls
from asyncfc_mcp.transports.exchanges import REQUEST_CANCELLED
from asyncfc_mcp.transports.sessions import IDLE_S
from tests.harness import FREE, LIMIT_S, toy
from tests.questions.support import FORM, RED
from tests.transports.support import BOTH, FREE_TOOLS, LEGACY, Json, RawHttp, answer_in, serving, token_of

pytestmark = pytest.mark.anyio

ASKS: Json = {"elicitation": {}}
QUESTION = {"method": "elicitation/create", "params": FORM, "gate": "gate", "_wait_s": LIMIT_S}


@pytest.fixture
async def url(tmp_path: Path) -> AsyncGenerator[str]:
    async with _gateway(tmp_path) as served:
        yield served


@asynccontextmanager
async def _gateway(folder: Path, idle_s: float = IDLE_S, **settings: Any) -> AsyncGenerator[str]:
    file = folder / "config.json"
    servers = {"toy": toy(tools={**FREE_TOOLS, "ask": FREE})}
    file.write_text(json.dumps({"mcpServers": servers, "asyncfc": settings}))
    app = App(load_file(file, {}), None, serves_network=True)
    app.network.sessions.idle_s = idle_s
    async with serving(app, "http") as served:
        yield served


@asynccontextmanager
async def _session(url: str, capabilities: Json | None = None) -> AsyncGenerator[RawHttp]:
    async with httpx2.AsyncClient(headers=BOTH, timeout=LIMIT_S) as client:
        http = RawHttp(client, url)
        info = {"name": "raw", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": capabilities or {}, "clientInfo": info}
        answer = await http.post(http.message("initialize", params))
        http.session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": LEGACY}
        await http.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield http


@asynccontextmanager
async def _streamed(http: RawHttp, message: Json) -> AsyncGenerator[AsyncIterator[Json]]:
    """The messages of a response that is a stream."""

    async def messages(response: httpx2.Response) -> AsyncGenerator[Json]:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))

    with anyio.fail_after(LIMIT_S):
        async with http.client.stream("POST", http.url, json=message, headers=http.session) as response:
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["mcp-session-id"] == http.session["mcp-session-id"]
            yield messages(response)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, an echo is answered at once."""
    monkeypatch.setattr(responses, "WATCHED_AFTER_S", LIMIT_S)


async def _post_in_chunks(http: RawHttp, message: Json) -> httpx2.Response:
    async def parts() -> AsyncGenerator[bytes]:
        yield json.dumps(message).encode()

    headers = {**http.session, "content-type": "application/json"}
    return await http.client.post(http.url, content=parts(), headers=headers)


async def _send_and_break_off(http: RawHttp, message: Json) -> None:
    body = json.dumps(message).encode()
    headers = {**BOTH, **http.session, "host": "localhost", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    at = httpx2.URL(http.url)
    async with await anyio.connect_tcp(at.host, at.port or 80) as stream:
        await stream.send(f"POST {at.path} HTTP/1.1\r\n{head}\r\n".encode() + body)


def _answer_to(question: Json, result: Json) -> Json:
    return {"jsonrpc": "2.0", "id": question["id"], "result": result}


async def test_what_is_answered_at_once_is_one_json_document_of_the_session(url: str, patient: None) -> None:
    async with _session(url) as http:
        message = http.call_message("echo", {"text": "ß\u2028漢", "_wait_s": LIMIT_S})
        response = await http.post(message)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["mcp-session-id"] == http.session["mcp-session-id"]
        assert response.json()["id"] == message["id"]
        assert response.json()["result"]["content"][0]["text"] == "ß\u2028漢"


async def test_an_error_is_a_json_document_that_says_so(url: str, patient: None) -> None:
    async with _session(url) as http:
        response = await http.post(http.message("tools/call", {"name": 7}))
        assert response.status_code == 200
        assert response.json()["error"]["code"] == -32602


async def test_a_call_that_takes_longer_has_the_head_of_its_stream_at_once(url: str) -> None:
    async with _session(url) as http, _session(url) as other:
        message = http.call_message("hold", {"key": "a", "_wait_s": LIMIT_S})
        async with _streamed(http, message) as said:
            await other.call("release", key="a", _wait_s=LIMIT_S)
            (answer,) = [one async for one in said]
        assert (answer["id"], answer["result"]["content"][0]["text"]) == (message["id"], "held a")


async def test_progress_comes_before_the_answer(url: str) -> None:
    async with _session(url) as http:
        await http.call("release", key="a", _wait_s=LIMIT_S)
        message = http.call_message("steps", {"key": "a", "_wait_s": LIMIT_S})
        message["params"]["_meta"] = {"progressToken": "mine"}
        async with _streamed(http, message) as said:
            *progress, answer = [one async for one in said]
        assert [one["params"] for one in progress] == [
            {"progressToken": "mine", "progress": step, "total": 3, "message": f"step {step}"} for step in (1, 2, 3)
        ]
        assert answer["id"] == message["id"]


async def test_a_question_goes_over_the_stream_of_its_call_and_its_answer_comes_back(url: str) -> None:
    async with _session(url, ASKS) as http, _session(url) as other:
        await other.call("release", key="gate", _wait_s=LIMIT_S)
        async with _streamed(http, http.call_message("ask", QUESTION)) as said:
            question = await anext(said)
            assert (question["method"], question["params"]["message"]) == ("elicitation/create", FORM["message"])
            taken = await http.post(_answer_to(question, RED))
            assert (taken.status_code, taken.content) == (202, b"")
            answer = await anext(said)
        assert "red" in answer["result"]["content"][0]["text"]


async def test_a_question_that_is_refused_is_an_error_of_the_call(url: str) -> None:
    async with _session(url, ASKS) as http, _session(url) as other:
        await other.call("release", key="gate", _wait_s=LIMIT_S)
        async with _streamed(http, http.call_message("ask", QUESTION)) as said:
            question = await anext(said)
            error = {"code": -1, "message": "not today"}
            assert (await http.post({"jsonrpc": "2.0", "id": question["id"], "error": error})).status_code == 202
            answer = await anext(said)
        assert "not today" in json.dumps(answer)


async def test_nobody_answers_the_question_of_another_session(url: str) -> None:
    async with _session(url, ASKS) as alice, _session(url, ASKS) as eve:
        await eve.call("release", key="gate", _wait_s=LIMIT_S)
        async with _streamed(alice, alice.call_message("ask", QUESTION)) as said:
            question = await anext(said)
            await eve.post(_answer_to(question, {"action": "accept", "content": {"colour": "eve's"}}))
            await alice.post(_answer_to(question, RED))
            answer = await anext(said)
        assert "red" in json.dumps(answer)
        assert "eve's" not in json.dumps(answer)


async def test_a_question_that_nobody_answers_in_time_is_taken_back(tmp_path: Path) -> None:
    async with (
        _gateway(tmp_path, input_timeout_s=0.3) as url,
        _session(url, ASKS) as http,
        _session(url) as other,
    ):
        await other.call("release", key="gate", _wait_s=LIMIT_S)
        async with _streamed(http, http.call_message("ask", QUESTION)) as said:
            question = await anext(said)
            taken_back = await anext(said)
            answer = await anext(said)
        assert taken_back["method"] == "notifications/cancelled"
        assert taken_back["params"]["requestId"] == question["id"]
        assert "result" in answer
        assert (await http.post(_answer_to(question, RED))).status_code == 202  # too late, and no fault of the client


async def test_a_call_that_its_client_cancels_ends_with_an_error(url: str) -> None:
    async with _session(url) as http:
        message = http.call_message("hold", {"key": "a", "_wait_s": LIMIT_S})
        async with _streamed(http, message) as said:
            params = {"requestId": message["id"]}
            await http.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
            answer = await anext(said)
        assert (answer["id"], answer["error"]["code"]) == (message["id"], REQUEST_CANCELLED)


async def test_a_session_that_is_deleted_ends_its_calls_and_is_not_found_any_more(url: str) -> None:
    async with _session(url) as http:
        async with _streamed(http, http.call_message("hold", {"key": "a", "_wait_s": LIMIT_S})) as said:
            assert (await http.client.delete(url, headers=http.session)).status_code == 200
            assert "error" in await anext(said)
        assert (await http.post(http.call_message("echo", {"text": "x"}))).status_code == 404


async def test_a_session_with_nothing_but_calls_is_not_idle_and_ends_once_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the SDK has a time of its own, and sees none of these calls
    manager = partial(StreamableHTTPSessionManager, session_idle_timeout=0.3)
    monkeypatch.setattr(http_transport, "StreamableHTTPSessionManager", manager)
    monkeypatch.setattr(handlers, "FIRST_LISTING_S", 0)  # the session is idle while its handshake waits for the server
    async with _gateway(tmp_path, idle_s=2) as url, _session(url) as http:
        began_at = anyio.current_time()
        while anyio.current_time() < began_at + 3:
            assert "result" in await http.call("echo", text="x")
        with anyio.fail_after(LIMIT_S):
            while (await http.post(http.message("ping"))).status_code != 404:  # noqa: ASYNC110  it begins its time anew
                await anyio.sleep(3)


async def test_what_came_with_a_broken_connection_and_comes_again_is_done_once(url: str) -> None:
    async with _session(url) as http:
        for key in "abc":
            message = http.call_message("append", {"key": key, "value": "x", "_wait_s": LIMIT_S})
            await _send_and_break_off(http, message)
            with anyio.fail_after(LIMIT_S):
                while "x" not in await http.text("get", key=key, _wait_s=LIMIT_S):
                    pass
            assert answer_in(await http.post(message))["result"]["content"][0]["text"] == "x"


async def test_nothing_is_left_of_sessions_whose_calls_come_with_their_end(url: str) -> None:
    def left() -> int:
        gc.collect()
        return sum(type(one) is session_calls._Session for one in gc.get_objects())  # pyright: ignore[reportPrivateUsage]

    for _ in range(5):
        async with _session(url) as http, anyio.create_task_group() as tasks:
            for place in range(16):
                tasks.start_soon(http.post, http.call_message("echo", {"text": "x"}))
                if place == 4:
                    tasks.start_soon(partial(http.client.delete, url, headers=http.session))
    assert left() == 0


async def test_a_cancellation_and_an_answer_count_however_they_are_sent(url: str) -> None:
    async with _session(url, ASKS) as http, _session(url) as other:
        held = http.call_message("hold", {"key": "a", "_wait_s": LIMIT_S})
        async with _streamed(http, held) as said:
            params = {"requestId": held["id"]}
            await _post_in_chunks(http, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
            assert (await anext(said))["error"]["code"] == REQUEST_CANCELLED
        await other.call("release", key="gate", _wait_s=LIMIT_S)
        async with _streamed(http, http.call_message("ask", QUESTION)) as said:
            question = await anext(said)
            assert (await _post_in_chunks(http, _answer_to(question, RED))).status_code == 202
            assert "red" in json.dumps(await anext(said))


async def test_a_question_is_in_the_trace_of_its_call(url: str) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with _session(url, ASKS) as http, _session(url) as other:
        await other.call("release", key="gate", _wait_s=LIMIT_S)
        message = http.call_message("ask", QUESTION)
        message["params"]["_meta"] = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        async with _streamed(http, message) as said:
            question = await anext(said)
            assert question["params"]["_meta"]["traceparent"].split("-")[1] == trace
            await http.post(_answer_to(question, RED))
            await anext(said)


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("mcp-session-id", "0" * 32, 404),
        ("mcp-protocol-version", "1999-01-01", 400),
        ("accept", "application/json", 406),
        ("content-type", "text/plain", 400),
    ],
)
async def test_what_is_not_as_it_should_be_is_refused_as_ever(url: str, header: str, value: str, status: int) -> None:
    async with _session(url) as http:
        sent = json.dumps(http.call_message("echo", {"text": "x"})).encode()
        assert (
            await http.client.post(url, content=sent, headers={**http.session, header: value})
        ).status_code == status
        assert (await http.post(sent[:-1])).status_code == 400


async def test_a_silent_call_says_that_it_is_alive(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "PING_S", 0.05)
    async with _session(url) as http, _session(url) as other:
        message = http.call_message("hold", {"key": "a", "_wait_s": LIMIT_S})
        with anyio.fail_after(LIMIT_S):
            async with http.client.stream("POST", url, json=message, headers=http.session) as response:
                lines = response.aiter_lines()
                for _ in range(2):
                    while await anext(lines) != ": ping":
                        pass
                await other.call("release", key="a", _wait_s=LIMIT_S)
                (answer,) = [json.loads(line[6:]) async for line in lines if line.startswith("data: {")]
        assert answer["id"] == message["id"]


async def test_a_token_leaves_as_on_every_other_way(url: str) -> None:
    async with _session(url) as http:
        held = token_of(await http.call("hold", key="a", _wait_s=0))
        await http.call("release", key="a", _wait_s=LIMIT_S)
        response = await http.post(http.call_message("await_future", {"futures": [held]}))
        assert answer_in(response)["result"]["content"][0]["text"] == "held a"
