"""What the next gateway on the same store says of the futures of the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent

from tests.harness import FREE, LIMIT_S, GatewayClient, running, toy
from tests.restart.ledger import ledger
from tests.restart.support import kill, stdio_gateway
from tests.tasks.support import EXTENSION, TaskClient

pytestmark = pytest.mark.anyio

FREE_TOOLS = dict.fromkeys(("echo", "hold", "reject", "record"), FREE)
SERVERS = {"toy": toy(tools=FREE_TOOLS)}
WITH_TASKS: dict[str, Any] = {"extensions": [advertise(EXTENSION)]}


async def settled_future(gateway: GatewayClient, tool: str, **arguments: Any) -> str:
    token = await gateway.token(tool, _wait_s=0, **arguments)
    await gateway.call("await_future", futures=[token])
    return token


async def test_a_task_is_still_completed_or_failed(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        said = await settled_future(gateway, "echo", text="hello")
        refused = await settled_future(gateway, "reject", message="no")
    async with running(SERVERS, state_folder=tmp_path, client_options=WITH_TASKS) as gateway:
        task = await TaskClient(gateway).get(said)
        assert (task["status"], task["result"]["content"]) == ("completed", [{"type": "text", "text": "hello"}])
        task = await TaskClient(gateway).get(refused)
        assert (task["status"], task["error"]["message"]) == ("failed", "no")
        assert task["error"]["data"] == {"toy": True}
        with pytest.raises(MCPError, match="is not known"):
            await TaskClient(gateway).get("fut_echo_000000000")


async def test_a_part_of_a_value_is_found_though_its_server_is_gone(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        record = await settled_future(gateway, "record", count=2)
        size = await gateway.text("echo", text=f"{record}/items/1/size", _wait_s=LIMIT_S)
    async with running({"other": toy(prefix="o", tools=FREE_TOOLS)}, state_folder=tmp_path) as gateway:
        assert await gateway.text("o_echo", text=f"{record}/items/1/size", _wait_s=LIMIT_S) == size == "1"


async def test_a_late_answer_is_kept_as_what_it_is(tmp_path: Path) -> None:
    servers = {"toy": toy(tools={**FREE_TOOLS, "hold": {**FREE, "timeout_s": 0.2}})}
    async with running(servers, state_folder=tmp_path) as gateway:
        token = await gateway.token("hold", key="k", _wait_s=0)
        assert "timed_out" in await gateway.value(token)
        await gateway.call("release", key="k")
        future = next(one for one in gateway.app.gateway.table if one.token == token)
        with anyio.fail_after(LIMIT_S):
            while future.late is None or not future.is_safe.is_set():
                await anyio.lowlevel.checkpoint()
        before = await gateway.text("get_future", future=token)
        assert "held k" in before
    async with running(servers, state_folder=tmp_path) as gateway:
        assert await gateway.text("get_future", future=token) == before


async def test_a_living_window_follows_up_a_killed_one_without_being_asked(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with running(servers, state_folder=tmp_path / "state") as living:
            async with stdio_gateway(tmp_path, servers) as killed:
                token = await killed.token("write", key="a", value="1", gate="g", _wait_s=0)
                await book.started("g")
                await living.app.gateway.sweep()
                assert not list(living.app.gateway.table)
                await kill(killed)
            await living.app.gateway.sweep()
            (future,) = living.app.gateway.table
            with anyio.fail_after(LIMIT_S):
                await future.settled.wait()
            assert future.token == token
            assert "failed (outcome_unknown)" in await living.value(token)
        assert book.executed == ["write a 1"]


async def test_an_expired_future_is_not_known_any_more(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, ttl_s=0.2) as gateway:
        token = await settled_future(gateway, "echo", text="hello")
    async with running(SERVERS, state_folder=tmp_path, ttl_s=0.2) as gateway:
        with anyio.fail_after(LIMIT_S):
            while "is not known" not in await gateway.text("get_future", future=token):
                pass


async def test_values_that_are_not_kept_hide_no_others(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, store_values=False) as gateway:
        lost = await settled_future(gateway, "echo", text="hello")
    async with running(SERVERS, state_folder=tmp_path, store_values=False) as gateway:
        kept = await settled_future(gateway, "echo", text="world")
        answer = await gateway.call("await_future", futures=[lost, kept])
        texts = [block.text for block in answer.content if isinstance(block, TextContent)]
    assert not answer.is_error
    assert [text for text in texts if text.startswith("===")] == [
        f"=== {lost} (toy: echo) resolved ===",
        f"=== {kept} (toy: echo) resolved ===",
    ]
    assert "is not kept any more" in texts[1]
    assert texts[3] == "world"
