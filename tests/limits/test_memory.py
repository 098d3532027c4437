"""What values may take up in memory where no store takes them, and what is said when none of them can go."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

from asyncfc_mcp.gateway.answering import delivery, forgetting
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.keeping import values
from tests.bad_input.support import assert_unharmed, error_of, free_toy
from tests.harness import LIMIT_S, GatewayClient, running

pytestmark = pytest.mark.anyio


def limited(**settings: Any) -> AbstractAsyncContextManager[GatewayClient]:
    return running({"toy": free_toy()}, max_kept_mb=1, store="memory", piggyback="off", inline_wait_s=0, **settings)


async def test_calls_are_refused_while_values_that_nobody_has_seen_fill_the_memory() -> None:
    async with limited() as gateway:
        tokens = [await gateway.token("large", size=600_000) for _ in range(2)]
        await _until_settled(gateway, tokens)
        message = error_of(await gateway.call("echo", text="x"))
        assert message.startswith("not started: the values of finished calls take up as much memory as they may")
        assert "max_kept_mb" in message
        assert "Read some with await_future" in message


async def test_once_a_value_was_read_calls_are_taken_again() -> None:
    async with limited() as gateway:
        tokens = [await gateway.token("large", size=600_000) for _ in range(2)]
        await _until_settled(gateway, tokens)
        error_of(await gateway.call("echo", text="x"))
        assert "x" * 600_000 in await gateway.value(tokens[0])
        await assert_unharmed(gateway)


async def test_our_own_tools_answer_when_the_memory_is_full() -> None:
    async with limited() as gateway:
        tokens = [await gateway.token("large", size=600_000) for _ in range(2)]
        await _until_settled(gateway, tokens)
        assert tokens[1] in await gateway.text("list_futures")
        part = await gateway.text("get_future", future=tokens[1], limit=5)
        assert part.endswith("xxxxx")


async def _until_settled(gateway: GatewayClient, tokens: list[str]) -> None:
    """Without reading them."""
    for future in gateway.app.gateway.table:
        assert future.token in tokens
        await future.settled.wait()


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_settled_futures_in_memory_are_bounded_and_the_store_keeps_the_others(
    store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(values, "MOST_SETTLED", 5)
    monkeypatch.setattr(forgetting, "MOST_SETTLED", 5)
    monkeypatch.setattr(forgetting, "SWEEP_S", 0.01)
    settings: dict[str, Any] = {"store": store if store == "memory" else f"sqlite:///{tmp_path / 'futures.db'}"}
    async with running({"toy": free_toy()}, piggyback="off", inline_wait_s=0, **settings) as gateway:
        tokens = [await gateway.named("echo", text=str(number)) for number in range(20)]
        table = gateway.app.gateway.table
        with anyio.fail_after(LIMIT_S):
            while len(table) > 5:  # noqa: ASYNC110  a sweep has no event
                await anyio.sleep(0.01)
        oldest = await gateway.value(tokens[0])
        assert oldest == "0" if store == "sqlite" else "is not known" in oldest
        assert await gateway.value(tokens[-1]) == "19"
        await assert_unharmed(gateway)


async def test_scopes_polls_and_sessions_leave_no_trace_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MOST_SCOPES", 20)
    monkeypatch.setattr(delivery, "LONGEST_HOLD_S", 0.0)
    async with running({"toy": free_toy()}, store="memory", inline_wait_s=LIMIT_S) as gateway:
        token = await gateway.token("hold", key="a", _wait_s=0)
        future = gateway.app.gateway.get(Caller("local", "local"), token)
        for number in range(200):
            await gateway.text("get_future", scope=f"chat {number}", future=token)
        assert len(future.seen_by) <= 64
        assert gateway.app.gateway.delivery.scopes_known <= 2 * 20 + 1
        await gateway.call("release", key="a")
        await assert_unharmed(gateway)


async def test_calls_that_are_over_leave_no_memory_behind() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    async with running({"toy": free_toy()}, store="memory", inline_wait_s=LIMIT_S) as gateway:
        await _echoes(gateway, 150)
        tracemalloc.start()
        try:
            await _echoes(gateway, 150)
            gc.collect()
            first, _ = tracemalloc.get_traced_memory()
            await _echoes(gateway, 450)
            gc.collect()
            later, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # three times as many calls; had each left a kilobyte, it would be half a megabyte
        assert later < first + 250_000


async def _echoes(gateway: GatewayClient, count: int) -> None:
    for number in range(count):
        assert await gateway.text("echo", text=str(number), _wait_s=LIMIT_S) == str(number)
