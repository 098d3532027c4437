"""A gateway is killed, and the client sends its calls again to the next one on the same store."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from asyncfc_mcp.gateway.intake.repeating import KEY_META_KEY
from tests.bounds import bound_s
from tests.process.support import LIMIT_S, RawGateway, text_of
from tests.restart.ledger import Ledger, ledger
from tests.restart.support import TOKEN, Visitor, http_gateway, kill, stdio_gateway
from tests.transports.support import BOTH, Json, RawHttp, answer_in, token_of

pytestmark = pytest.mark.anyio

KEY = "order-7"


async def _send(gateway: RawGateway, tool: str, **arguments: Any) -> str:
    return text_of(await gateway.request("tools/call", _params(tool, **arguments)))


def _params(tool: str, **arguments: Any) -> Json:
    return {"name": tool, "arguments": arguments, "_meta": {KEY_META_KEY: KEY}}


async def test_a_call_that_was_answered_inline_is_answered_from_the_store(tmp_path: Path) -> None:
    async with ledger() as book:
        for _ in range(3):
            async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
                assert await _send(gateway, "write", key="a", value="1", _wait_s=LIMIT_S) == "1"
                await kill(gateway)
        assert book.executed == ["write a 1"]


async def test_a_large_result_comes_whole_from_the_store(tmp_path: Path) -> None:
    value = "x" * 100_000
    async with ledger() as book:
        texts: list[str] = []
        for _ in range(2):
            async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
                texts.append(await _send(gateway, "write", key="a", value=value, _wait_s=LIMIT_S))
                await kill(gateway)
        assert texts[0].startswith(value)
        assert texts[0] == texts[1]
        assert len(book.executed) == 1


async def test_another_call_under_a_key_of_before_is_refused(tmp_path: Path) -> None:
    async with ledger() as book:
        async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
            await _send(gateway, "write", key="a", value="1", _wait_s=LIMIT_S)
            await kill(gateway)
        async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
            assert "with other arguments" in await _send(gateway, "write", key="a", value="2", _wait_s=LIMIT_S)
        assert book.executed == ["write a 1"]


async def _killed_at_work(folder: Path, tool: str, book: Ledger) -> None:
    async with stdio_gateway(folder, {"ledger": book.entry()}) as gateway:
        await gateway.start_request("tools/call", _params(tool, key="a", value="1", gate="g", _wait_s=LIMIT_S))
        await book.started("g")
        await kill(gateway)
    book.open("g")


async def test_a_write_that_was_at_work_unanswered_is_outcome_unknown_and_not_made_again(tmp_path: Path) -> None:
    async with ledger() as book:
        await _killed_at_work(tmp_path, "write", book)
        for _ in range(2):
            async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
                said = await _send(gateway, "write", key="a", value="1", gate="g", _wait_s=LIMIT_S)
                assert "failed (outcome_unknown)" in said
        assert book.executed == ["write a 1"]


async def test_a_read_that_was_at_work_is_made_again(tmp_path: Path) -> None:
    async with ledger() as book:
        book.values["a"] = "now"
        await _killed_at_work(tmp_path, "read", book)
        async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
            assert await _send(gateway, "read", key="a", value="1", gate="g", _wait_s=LIMIT_S) == "now"
        assert book.executed.count("read a 1") == 2


async def test_a_call_that_had_not_started_is_made_when_it_comes_again(tmp_path: Path) -> None:
    async with ledger() as book:
        async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
            await gateway.token("write", key="a", value="0", gate="g", _wait_s=0)
            await book.started("g")
            assert "fut_write_" in await _send(gateway, "write", key="a", value="1", _wait_s=0)
            await kill(gateway)
        book.open("g")
        async with stdio_gateway(tmp_path, {"ledger": book.entry()}) as gateway:
            assert await _send(gateway, "write", key="a", value="1", _wait_s=LIMIT_S) == "1"
        assert book.executed == ["write a 0", "write a 1"]


@asynccontextmanager
async def _http(visitor: Visitor) -> AsyncGenerator[RawHttp]:
    url = (await visitor.process.logged("listening"))["url"]
    headers = {**BOTH, "authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(headers=headers, timeout=bound_s(LIMIT_S)) as client:
        yield RawHttp(client, url)


async def _post(http: RawHttp, **arguments: Any) -> Json:
    message, headers = http.modern("write", arguments)
    message["params"]["_meta"][KEY_META_KEY] = KEY
    return answer_in(await http.post(message, **headers))


async def test_over_http_a_pending_call_runs_on_and_its_repetition_waits_for_it(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with http_gateway(tmp_path, servers) as visitor, _http(visitor) as http:
            await visitor.token("read", key="a", gate="g")
            await book.started("g")
            token = token_of(await _post(http, key="a", value="1", _wait_s=0))
            await kill(visitor.process)
        async with http_gateway(tmp_path, servers) as visitor, _http(visitor) as http:
            assert token_of(await _post(http, key="a", value="1", _wait_s=0)) == token
            book.open("g")
            assert text_of(await _post(http, key="a", value="1", _wait_s=LIMIT_S)) == "1"
        assert book.count("write a 1") == 1


async def test_over_http_a_call_whose_gateway_ends_in_good_order_is_found_like_one_whose_gateway_was_killed(
    tmp_path: Path,
) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with http_gateway(tmp_path, servers) as visitor, _http(visitor) as http:
            await visitor.token("read", key="a", gate="g")
            await book.started("g")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(_post, http, key="a", value="1", _as="mine", _wait_s=LIMIT_S))
                with anyio.fail_after(bound_s(LIMIT_S)):
                    while "pending" not in await visitor.text("get_future", future="fut_mine"):
                        pass
                visitor.process.signal(signal.SIGTERM)
            await visitor.process.exit_code()
        async with http_gateway(tmp_path, servers) as visitor, _http(visitor) as http:
            book.open("g")
            assert text_of(await _post(http, key="a", value="1", _as="mine", _wait_s=LIMIT_S)) == "1"
        assert book.count("write a 1") == 1
