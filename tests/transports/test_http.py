"""Streamable HTTP alone: sessions and what is without them, requests that break off, and what is not MCP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress

import anyio
import httpx2
import pytest

from asyncfc_mcp.transports.body import MOST_BODY_BYTES
from tests.harness import LIMIT_S, Era, text_of
from tests.transports.support import (
    MODERN,
    TOKEN,
    Kind,
    Place,
    RawHttp,
    answer_in,
    call,
    place,
    token,
    token_of,
    until,
    value,
)

pytestmark = pytest.mark.anyio

every_era = pytest.mark.parametrize("era", ["legacy", "auto"])


@pytest.fixture
async def gateway() -> AsyncGenerator[Place]:
    async with place("http") as one:
        yield one


# Who sees what


@every_era
@pytest.mark.parametrize("bearer", [TOKEN, None])
async def test_a_session_for_each_call_still_finds_its_futures(era: Era, bearer: str | None) -> None:
    async with place("http", token=bearer) as gateway:
        async with gateway.client(era) as client:
            held = await token(client, "hold", key="a")
        async with gateway.client(era) as client:
            await call(client, "release", key="a")
        async with gateway.client(era) as client:
            assert await value(client, "await_future", futures=[held]) == "held a"
        # 40 random bits are 8 characters and a check; 128 are 26
        assert len(held.rpartition("_")[2]) == (9 if bearer else 27)


async def test_a_token_holder_lists_futures_of_all_its_sessions_and_nobody_else_does() -> None:
    async with place("http", token=TOKEN) as gateway:
        async with gateway.client("legacy") as client:
            held = await token(client, "hold", key="a")
        async with gateway.client("legacy") as client:
            assert held in await value(client, "get_future", future=held)
    async with place("http") as gateway, gateway.client("legacy") as client:
        held = await token(client, "hold", key="a")
        async with gateway.client("legacy") as other:
            assert held not in await value(other, "list_futures")


async def test_results_of_one_session_are_never_attached_in_another(gateway: Place) -> None:
    async with gateway.client("legacy") as one, gateway.client("legacy") as other:
        held = await token(one, "hold", key="a")
        await call(other, "release", key="a")
        assert await value(other, "get_future", future=held)
        await until(other, "get_future", lambda said: "resolved" in said, future=held)
        assert "held a" not in text_of(await call(other, "echo", text="x"))
        assert "held a" in text_of(await call(one, "echo", text="x"))


async def test_without_a_session_nothing_is_attached_unless_a_scope_is_named(gateway: Place) -> None:
    name = "a-name-that-nobody-else-would-give"
    async with gateway.client("auto") as plain, gateway.client("auto", asyncfc_scope=name) as named:
        for client, is_attached in ((plain, False), (named, True)):
            held = await token(client, "hold", key=str(is_attached))
            await call(client, "release", key=str(is_attached))
            await until(plain, "get_future", lambda said: "resolved" in said, future=held)
            attached = (await call(client, "echo", text="x")).meta or {}
            assert ("asyncfc/delivered" in attached) is is_attached


async def test_the_scope_header_keeps_two_conversations_apart_in_one_session(gateway: Place) -> None:
    async with gateway.http() as http:
        await http.initialize()
        first = http.call_message("hold", {"key": "k", "_wait_s": 0})
        held = token_of(answer_in(await http.post(first, asyncfc_scope="one")))
        await http.call("release", key="k")
        async with gateway.client("legacy") as watcher:
            await until(watcher, "get_future", lambda said: "resolved" in said, future=held)
        for scope, is_attached in (("two", False), ("one", True)):
            answer = answer_in(await http.post(http.call_message("echo", {"text": "x"}), asyncfc_scope=scope))
            assert (held in str(answer["result"].get("_meta"))) is is_attached


# Order and the end of requests


async def test_calls_of_one_session_are_taken_in_as_they_come(gateway: Place) -> None:
    async with gateway.client("legacy") as client:
        await token(client, "put", key="k", value="slow", delay_s=0.3)
        for number in range(10):
            await call(client, "put", key="k", value=str(number), _wait_s=0)
        assert await value(client, "get", key="k", _wait_s=LIMIT_S) == "9"


async def _drop(http: RawHttp, era: Era, key: str) -> None:
    """Send a call and close its connection before it can be answered."""
    if era == "legacy":
        await http.initialize()
        message, headers = http.call_message("hold", {"key": key, "_wait_s": LIMIT_S}), http.session
    else:
        message, headers = http.modern("hold", {"key": key, "_wait_s": LIMIT_S})
    async with anyio.create_task_group() as tasks:

        async def send() -> None:
            await http.client.post(http.url, json=message, headers=headers)

        tasks.start_soon(send)
        async with httpx2.AsyncClient(headers=http.client.headers, timeout=LIMIT_S) as second:
            other = RawHttp(second, http.url)
            await other.initialize()
            assert await other.text("started", key=key, _wait_s=LIMIT_S) == f"started {key}"
        tasks.cancel_scope.cancel()


@every_era
async def test_a_call_whose_connection_breaks_before_its_answer_is_cancelled(gateway: Place, era: Era) -> None:
    async with gateway.http() as http, gateway.client() as watcher:
        await _drop(http, era, "a")
        assert await until(watcher, "cancelled", lambda seen: seen == "1", _wait_s=LIMIT_S) == "1"


@every_era
async def test_a_call_whose_token_is_out_outlives_its_connection(gateway: Place, era: Era) -> None:
    async with gateway.client(era) as client:
        held = await token(client, "hold", key="a")
    async with gateway.client(era) as client:
        await call(client, "release", key="a")
        assert await value(client, "await_future", futures=[held]) == "held a"
        assert await value(client, "cancelled") == "0"


async def test_a_session_that_was_deleted_is_gone(gateway: Place) -> None:
    async with gateway.http() as http:
        await http.initialize()
        assert await http.text("echo", text="hi") == "hi"
        assert (await http.client.delete(http.url, headers=http.session)).status_code == 200
        assert (await http.post(http.message("ping"))).status_code == 404


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_the_end_of_a_session_cancels_what_has_not_started_and_spares_what_runs(kind: Kind) -> None:
    async with place(kind, token=TOKEN) as gateway:
        async with gateway.client("legacy") as client:
            held = await token(client, "hold", key="a")
            waiting = await token(client, "echo", text=f"<${{{held}}}>")
        async with gateway.client("legacy") as client:
            ended = await until(client, "get_future", lambda said: "pending" not in said, future=waiting)
            assert "its session has ended" in ended
            await call(client, "release", key="a")
            assert await value(client, "await_future", futures=[held]) == "held a"


async def test_a_session_answers_several_requests_at_once(gateway: Place) -> None:
    async with gateway.http() as http:
        await http.initialize()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hold, http, "a")
            assert await http.text("started", key="a", _wait_s=LIMIT_S) == "started a"
            await http.call("release", key="a")


async def _hold(http: RawHttp, key: str) -> None:
    assert await http.text("hold", key=key, _wait_s=LIMIT_S) == f"held {key}"


async def test_a_client_that_comes_back_for_lost_events_gets_a_stream(gateway: Place) -> None:
    async with gateway.http() as http:
        await http.initialize()
        headers = {**http.session, "last-event-id": "7"}
        with anyio.fail_after(LIMIT_S):
            async with http.client.stream("GET", http.url, headers=headers) as stream:
                assert stream.status_code == 200
                assert stream.headers["content-type"].startswith("text/event-stream")


async def test_a_request_that_breaks_off_in_its_body_harms_nobody(gateway: Place) -> None:
    async with gateway.http() as http:
        port = int(http.url.rpartition(":")[2].partition("/")[0])
        for era in ("", f"mcp-protocol-version: {MODERN}\r\n"):
            head = f"POST /mcp HTTP/1.1\r\nhost: localhost\r\n{era}content-type: application/json\r\n"
            stream = await anyio.connect_tcp("127.0.0.1", port)
            await stream.send(f"{head}content-length: 100\r\n\r\n{{".encode())
            await stream.aclose()
        await http.initialize()
        assert await http.text("echo", text="hi") == "hi"


async def test_clients_that_would_rather_speak_http_2_are_answered() -> None:
    # Java's client asks for it with every request; a parser that stops there loses the body
    wishes = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAEAAEAAAAIAAAABAAMAAABk"}
    async with place("http") as gateway, gateway.http(**wishes) as http:
        await http.initialize()
        assert await http.text("echo", text="hi", _wait_s=LIMIT_S) == "hi"


# What is not MCP


async def test_a_body_that_is_too_large_is_refused_with_the_limit(gateway: Place) -> None:
    async with gateway.http() as http:
        answer = await http.post(b" " * (MOST_BODY_BYTES + 1))
        assert answer.status_code == 413
        assert str(MOST_BODY_BYTES) in answer.text

        async def chunks() -> AsyncGenerator[bytes]:
            for _ in range(MOST_BODY_BYTES // 2**20 + 1):
                yield b" " * 2**20

        with suppress(httpx2.WriteError):  # refused before it had all been sent
            assert (await http.client.post(http.url, content=chunks())).status_code == 413
        await http.initialize()
        large = "x" * (5 * 2**20)
        assert len(await http.text("echo", text=large, _wait_s=LIMIT_S)) >= len(large)


async def test_what_is_no_json_rpc_is_refused_and_harms_nobody(gateway: Place) -> None:
    async with gateway.http() as http:
        await http.initialize()
        for body in (b"", b"{", b"[]", b'"x"', b"{}", b'{"jsonrpc":"2.0"}', b"\xff\xfe", b"[" * 5000):
            assert (await http.post(body)).status_code == 400
            modern = await http.client.post(http.url, content=body, headers={"mcp-protocol-version": MODERN})
            assert modern.status_code == 400
        assert await http.text("echo", text="hi") == "hi"


async def test_other_versions_methods_and_paths_are_refused_by_name(gateway: Place) -> None:
    async with gateway.http() as http:
        message, headers = http.modern("echo", {"text": "x"})
        assert (await http.post(http.message("ping"), **headers)).status_code == 400
        message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2031-01-01"
        unknown = await http.post(message, **{**headers, "mcp-protocol-version": "2031-01-01"})
        assert unknown.status_code == 400
        assert unknown.json()["error"]["data"] == {"supported": [MODERN], "requested": "2031-01-01"}
        assert (await http.post(http.message("ping"), mcp_session_id="none")).status_code == 404
        assert (await http.post(http.message("tools/list"))).status_code == 400
        await http.initialize()
        missing = answer_in(await http.post(http.message("no/such/method")))
        assert missing["error"]["code"] == -32601
        assert (await http.client.put(http.url, headers=http.session)).status_code == 405
        assert (await http.client.post(http.url.replace("/mcp", "/nowhere"))).status_code == 404
        assert (await http.post(http.message("ping"), accept="text/plain")).status_code == 406
        assert (await http.post(http.message("ping"), content_type="text/plain")).status_code in {400, 415}


async def test_a_modern_request_cannot_borrow_a_session(gateway: Place) -> None:
    async with gateway.http() as http, gateway.client("legacy") as client:
        await http.initialize()
        held = token_of(await http.call("hold", key="a", _wait_s=0))
        await call(client, "release", key="a")
        await until(client, "get_future", lambda said: "resolved" in said, future=held)
        message, headers = http.modern("echo", {"text": "x"})
        answer = answer_in(await http.post(message, **headers))
        assert "asyncfc/delivered" not in answer["result"].get("_meta", {})
        assert "asyncfc/delivered" in (await http.call("echo", text="x"))["result"]["_meta"]


async def test_a_modern_request_ends_no_session_that_it_names(gateway: Place) -> None:
    async with gateway.http() as http:
        await http.initialize()
        running = token_of(await http.call("hold", key="a", _wait_s=0))
        waiting = token_of(await http.call("echo", text=running, _wait_s=0))
        message, headers = http.modern("echo", {"text": "x"})
        stray = {**message, "method": "unheard/of"}
        answer = await http.client.post(
            http.url, json=stray, headers={**http.session, **headers, "mcp-method": "unheard/of"}
        )
        assert answer.status_code == 404
        await http.call("release", key="a")
        assert "held a" in await http.text("await_future", futures=[waiting])
