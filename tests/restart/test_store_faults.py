"""What a store that fails costs: the token of a call that it cannot keep, and nothing that it was given before."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import anyio
import pytest

from asyncfc_mcp.store.base import StoreFault
from asyncfc_mcp.store.sqlite import SqliteStore
from tests.harness import FREE, running, text_of, toy

pytestmark = pytest.mark.anyio

SERVERS = {"toy": toy(tools=dict.fromkeys(("echo", "hold", "put"), FREE))}
LARGE = random.Random(1).randbytes(500_000).hex()
"""More than the store has room for, however it is compressed."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store finds out soon that somebody else writes to its file."""
    monkeypatch.setattr("asyncfc_mcp.store.database.BUSY_S", 0.2)


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


async def test_a_value_too_large_for_the_store_is_told_and_its_state_outlives_the_gateway(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, store_max_mb=0.5) as gateway:
        await gateway.call("put", key="a", value=LARGE, _wait_s=15)
        token = await gateway.token("get", key="a", delay_s=0.3, _wait_s=0)
        assert await gateway.value(token) == LARGE
    async with running(SERVERS, state_folder=tmp_path, store_max_mb=0.5) as gateway:
        told = await gateway.value(token)
        assert "is not kept any more" in told
        assert "That it has resolved is certain" in told


async def test_how_a_call_settled_is_written_as_soon_as_the_store_can_and_told_then(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        token = await gateway.token("hold", key="k", _wait_s=0)
        await gateway.call("started", key="k")
        with locked(tmp_path):
            await gateway.call("release", key="k")
            told = await gateway.value(token)
            assert f"{token} (hold) has settled, and how cannot be stored" in told
            assert "held k" not in told
            with pytest.raises(StoreFault):
                await gateway.app.gateway.sweep()
        with anyio.fail_after(15):
            while (told := await gateway.value(token)) != "held k":
                assert "cannot be stored" in told
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        assert await gateway.value(token) == "held k"


async def test_what_needs_a_value_that_is_not_stored_yet_is_not_started(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        token = await gateway.token("hold", key="k", _wait_s=0)
        await gateway.call("started", key="k")
        with locked(tmp_path):
            await gateway.call("release", key="k")
            told = await gateway.text("put", key="a", value=token, _wait_s=30)
        assert "failed (not_started)" in told
        assert "cannot be stored" in told
        assert await gateway.text("state") == "{}"


async def test_what_the_store_does_not_delete_keeps_nothing_else_of_a_sweep_from_being_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    async def refuse(_: SqliteStore, __: str) -> None:
        done.append("delete")
        raise StoreFault("the disk is full")

    async def note(_: SqliteStore, __: float = 0) -> int:
        done.append("delete_expired")
        return 0

    monkeypatch.setattr(SqliteStore, "delete", refuse)
    monkeypatch.setattr(SqliteStore, "delete_expired", note)
    async with running(SERVERS, state_folder=tmp_path, store_values=False, ttl_s=1) as gateway:
        for key in "ab":
            await gateway.value(await gateway.token("echo", text=key, delay_s=0.1, _wait_s=0))
        table = gateway.app.gateway.table
        with anyio.fail_after(15):
            while len(table):
                await anyio.sleep(0.1)
                done.clear()
                with suppress(StoreFault):
                    await gateway.app.gateway.sweep()
        assert "delete_expired" in done


async def test_awaiting_several_gives_those_that_are_stored(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        stored = await gateway.token("echo", text="stored", delay_s=0.1, _wait_s=0)
        assert await gateway.value(stored) == "stored"
        token = await gateway.token("hold", key="k", _wait_s=0)
        await gateway.call("started", key="k")
        with locked(tmp_path):
            await gateway.call("release", key="k")
            told = await gateway.value(token, stored)
        assert f"=== {token} (toy: hold) not stored yet ===" in told
        assert f"{token} (hold) has settled, and how cannot be stored" in told
        assert f"=== {stored} (toy: echo) resolved ===" in told
        assert told.endswith("stored")
        assert "held k" not in told
