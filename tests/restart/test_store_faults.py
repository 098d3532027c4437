"""What a store that fails costs: the token of a call that it cannot keep, and nothing that it was given before."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from asyncfc_mcp.store.base import StoreFault
from tests.harness import FREE, running, text_of, toy

pytestmark = pytest.mark.anyio

SERVERS = {"toy": toy(tools=dict.fromkeys(("echo", "hold", "put"), FREE))}
LARGE = random.Random(1).randbytes(500_000).hex()
"""More than the store has room for, however it is compressed."""


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Nobody else writes to the store's file meanwhile."""
    with closing(sqlite3.connect(folder / "futures.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_token_that_cannot_be_kept_does_not_leave(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, store_max_mb=0.5) as gateway:
        result = await gateway.call("put", key="a", value=LARGE, delay_s=1, _wait_s=0)
        assert result.is_error
        assert "put cannot be answered with a token, since the store cannot keep it" in text_of(result)
        assert "fut_" not in text_of(result)
        assert not [future for future in gateway.app.gateway.table if future.is_known]


async def test_a_value_goes_to_its_client_even_if_the_store_cannot_keep_it(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, store_max_mb=0.5) as gateway:
        result = await gateway.call("echo", text=LARGE, _wait_s=15)
        assert text_of(result) == LARGE


async def test_a_named_call_that_cannot_be_kept_is_not_sent(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, store_max_mb=0.5) as gateway:
        result = await gateway.call("put", key="a", value=LARGE, _as="mine", _wait_s=15)
        assert "failed (not_started)" in text_of(result)
        assert "was not sent" in text_of(result)
        assert await gateway.text("state") == "{}"


async def test_how_a_call_settled_is_written_as_soon_as_the_store_can(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        token = await gateway.token("hold", key="k", _wait_s=0)
        await gateway.call("started", key="k")
        with locked(tmp_path):
            await gateway.call("release", key="k")
            assert await gateway.value(token) == "held k"
            with pytest.raises(StoreFault):
                await gateway.app.gateway.sweep()
        await gateway.app.gateway.sweep()
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        assert await gateway.value(token) == "held k"
