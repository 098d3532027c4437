"""Results over `max_result_mb`: their call fails, they are not read into memory, and nobody beside them notices."""

from __future__ import annotations

import os
from typing import Any

import anyio
import psutil
import pytest

from asyncfc_mcp.downstream.outcome import ResultTooLarge
from asyncfc_mcp.downstream.patience import Patience
from tests.bad_input.support import error_of, free_toy
from tests.bad_input.support import odd as odd_entry
from tests.downstream.support import connected, eras_over_http, odd
from tests.downstream.test_modern_servers import offered
from tests.harness import FREE, running

pytestmark = pytest.mark.anyio

MIB = 2**20
LIMIT = 5 * MIB


async def test_a_result_over_the_limit_fails_its_call_with_a_reason_and_a_way_out() -> None:
    entry = odd_entry(tools={"huge": FREE, "echo": FREE})
    async with running({"odd": entry, "toy": free_toy()}, max_result_mb=0.5, inline_wait_s=10) as gateway:
        said = error_of(await gateway.call("odd_huge", size=600_000))
        assert "(result_too_large)" in said
        assert "the result of 'huge' of server 'odd' was dropped: it is 0.572" in said
        assert "the limit is 0.5 MB; the call may have taken effect. Ask for less" in said
        assert len(said) < 500
        assert len(await gateway.text("odd_huge", size=400_000)) > 400_000


async def test_a_result_over_the_limit_poisons_those_that_need_it() -> None:
    entry = odd_entry(tools={"huge": FREE})
    async with running({"odd": entry, "toy": free_toy()}, max_result_mb=0.5) as gateway:
        token = await gateway.token("odd_huge", size=600_000, _wait_s=0)
        said = error_of(await gateway.call("echo", text=token, _wait_s=10))
        assert "(poisoned)" in said
        assert "the limit is 0.5 MB" in said


@pytest.mark.parametrize("tool", ["huge", "huge_id_last", "huge_id_in_the_middle"])
async def test_a_line_over_the_limit_fails_the_only_call_that_it_can_belong_to(tool: str) -> None:
    with anyio.fail_after(20):
        async with connected(odd(), max_result_bytes=LIMIT) as connection:
            with pytest.raises(ResultTooLarge, match="6 MB long, and the limit is 5 MB"):
                await connection.call_tool(tool, {"size": 6 * MIB})
            assert (await connection.call_tool("echo", {})).text == "{}"


async def test_a_line_that_may_belong_to_several_calls_fails_none_of_them() -> None:
    with anyio.fail_after(20):
        async with connected(odd(), max_result_bytes=LIMIT) as connection, anyio.create_task_group() as tasks:
            await connection.call_tool("echo", {})
            tasks.start_soon(_call_for_ever, connection)
            with anyio.move_on_after(1) as waited:
                await connection.call_tool("huge_id_in_the_middle", {"size": 6 * MIB})
            assert waited.cancelled_caught
            assert (await connection.call_tool("echo", {})).text == "{}"
            tasks.cancel_scope.cancel()


async def _call_for_ever(connection: Any) -> None:
    await connection.call_tool("never", {})


async def test_an_endless_line_takes_no_memory() -> None:
    with anyio.fail_after(40):
        async with connected(odd(), max_result_bytes=LIMIT) as connection:
            await connection.call_tool("echo", {})
            before = psutil.Process(os.getpid()).memory_info().rss
            with pytest.raises(ResultTooLarge, match="200 MB long"):
                await connection.call_tool("endless", {"size": 200 * MIB})
            assert psutil.Process(os.getpid()).memory_info().rss - before < 60 * MIB


@pytest.mark.parametrize("which", ["legacy", "modern"])
async def test_a_json_body_over_the_limit_fails_one_call_and_is_not_read_to_its_end(which: str) -> None:
    with anyio.fail_after(40):
        async with eras_over_http(which) as server, connected(server, max_result_bytes=LIMIT) as connection:
            await connection.call_tool("seen", {})
            with pytest.raises(ResultTooLarge, match=r"at least 5.* MB long, and the limit is 5 MB"):
                await connection.call_tool("size", {"count": 20 * MIB})
            with pytest.raises(ResultTooLarge):
                await connection.call_tool("endless", {})
            assert (await connection.call_tool("size", {"count": 3})).text == "xxx"
            assert connection.status.attempts == 0


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_an_event_over_the_limit_fails_its_call(kind: Any) -> None:
    patience = Patience(delay_s=lambda _: 0.05)
    with anyio.fail_after(40):
        async with (
            offered(kind) as server,
            connected(server, max_result_bytes=LIMIT, patience=patience) as connection,
        ):
            assert (await connection.call_tool("echo", {"text": "on"})).text == "on"
            with pytest.raises(ResultTooLarge):
                await connection.call_tool("size", {"count": 20 * MIB})
            assert (await connection.call_tool("echo", {"text": "on"})).text == "on"
