"""Keys over HTTP: what survives a broken connection, and whose keys meet."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2
import pytest

from asyncfc_mcp.gateway.intake.repeating import KEY_META_KEY
from tests.bounds import bound_s
from tests.harness import LIMIT_S, text_of
from tests.transports.support import (
    TOKEN,
    Json,
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

SHORT = "order-7"
LONG = "5e0f5f6e-0d43-4c1a-9c55-0a8f6b1f5a3d"


def _modern(http: RawHttp, tool: str, arguments: Json, key: Any) -> tuple[Json, dict[str, str]]:
    message, headers = http.modern(tool, arguments)
    message["params"]["_meta"][KEY_META_KEY] = key
    return message, headers


async def _call(http: RawHttp, tool: str, arguments: Json, key: Any) -> Json:
    """Call by the later era, in which nothing but the key ties two requests together."""
    message, headers = _modern(http, tool, arguments, key)
    return answer_in(await http.post(message, **headers))


def _text(answer: Json) -> str:
    return answer["result"]["content"][0]["text"]


async def _drop(http: RawHttp, message: Json, headers: dict[str, str], started: str) -> None:
    """Send it and close its connection once the hold of that key has started."""
    async with anyio.create_task_group() as tasks:

        async def send() -> None:
            async with httpx2.AsyncClient(headers=http.client.headers, timeout=bound_s(LIMIT_S)) as client:
                await client.post(http.url, json=message, headers={**http.session, **headers})

        tasks.start_soon(send)
        assert await http.text("started", key=started, _wait_s=LIMIT_S) == f"started {started}"
        tasks.cancel_scope.cancel()


async def _watching(gateway: Place, tool: str, **arguments: Any) -> str:
    async with gateway.client("legacy") as client:
        with anyio.fail_after(bound_s(LIMIT_S)):
            return text_of(await client.call_tool(tool, arguments))


async def test_a_call_with_a_key_outlives_its_connection() -> None:
    async with place("http") as gateway, gateway.http() as http:
        await http.initialize()
        arguments = {"key": "a", "_wait_s": LIMIT_S}
        await _drop(http, *_modern(http, "hold", arguments, LONG), started="a")
        again = await _call(http, "hold", {**arguments, "_wait_s": 0}, LONG)
        assert token_of(again).startswith("fut_hold_")
        assert await http.text("cancelled") == "0"
        await http.text("release", key="a")
        assert _text(await _call(http, "hold", arguments, LONG)) == "held a"


async def test_a_call_with_a_key_that_is_cancelled_on_purpose_ends() -> None:
    async with place("http") as gateway, gateway.http() as http, gateway.client("legacy") as watcher:
        await http.initialize()
        message = http.call_message("hold", {"key": "a", "_wait_s": LIMIT_S})
        message["params"]["_meta"] = {KEY_META_KEY: LONG}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(http.post, message)
            assert await until(watcher, "started", lambda said: said == "started a", key="a") == "started a"
            cancelled = {"requestId": message["id"], "reason": "enough"}
            await http.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
            assert await until(watcher, "cancelled", lambda count: count == "1", _wait_s=LIMIT_S) == "1"
            tasks.cancel_scope.cancel()


async def test_a_user_who_is_known_finds_a_call_by_a_short_key_from_everywhere() -> None:
    async with place("http", token=TOKEN) as gateway, gateway.http() as http, gateway.http() as other:
        arguments = {"key": "k", "value": "x", "_wait_s": LIMIT_S}
        answers = [_text(await _call(one, "append", arguments, SHORT)) for one in (http, other)]
        assert answers == ["x", "x"]


async def test_anonymous_callers_need_keys_that_others_would_not_choose() -> None:
    async with place("http") as gateway, gateway.http() as http:
        arguments = {"key": "k", "value": "x", "_wait_s": LIMIT_S}
        refused = await _call(http, "append", arguments, SHORT)
        assert refused["result"]["isError"]
        assert "shorter than 16 characters" in _text(refused)
        assert [_text(await _call(http, "append", arguments, LONG)) for _ in range(2)] == ["x", "x"]


async def test_short_keys_of_anonymous_callers_count_in_their_own_sessions() -> None:
    async with place("http") as gateway, gateway.client("legacy") as one, gateway.client("legacy") as other:
        arguments = {"key": "k", "value": "x", "_wait_s": LIMIT_S}
        with anyio.fail_after(bound_s(LIMIT_S)):
            answers = [
                text_of(await client.call_tool("append", arguments, meta={KEY_META_KEY: SHORT}))
                for client in (one, one, other, other)
            ]
        assert answers == ["x", "x", "xx", "xx"]


async def test_an_answer_that_was_lost_with_its_whole_session_is_found_by_its_key() -> None:
    async with place("http") as gateway:
        for _ in range(2):
            async with gateway.client("legacy") as client:
                with anyio.fail_after(bound_s(LIMIT_S)):
                    arguments = {"key": "k", "value": "x", "_wait_s": LIMIT_S}
                    answer = await client.call_tool("append", arguments, meta={KEY_META_KEY: LONG})
                assert text_of(answer) == "x"
        assert await _watching(gateway, "get", key="k", _wait_s=LIMIT_S) == "x"


async def test_a_call_that_had_not_started_when_its_session_ended_is_made_when_it_comes_again() -> None:
    async with place("http", token=TOKEN) as gateway:
        meta: Any = {KEY_META_KEY: SHORT}
        async with gateway.client("legacy") as client:
            gate = await token(client, "hold", key="gate")
            arguments = {"key": "k", "value": gate, "_wait_s": 0}
            with anyio.fail_after(bound_s(LIMIT_S)):
                first = await client.call_tool("append", arguments, meta=meta)
            assert first.meta
        async with gateway.client("legacy") as client:
            pending = first.meta["asyncfc/future"]["token"]
            assert "its session has ended" in await until(
                client, "get_future", lambda said: "pending" not in said, future=pending
            )
            await call(client, "release", key="gate")
            with anyio.fail_after(bound_s(LIMIT_S)):
                again = await client.call_tool("append", {**arguments, "_wait_s": LIMIT_S}, meta=meta)
            assert text_of(again) == "held gate"
            assert await value(client, "get", key="k", _wait_s=LIMIT_S) == "held gate"
