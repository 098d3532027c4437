"""Moments and files that nobody plans for: restarts must not lose, change or repeat anything for their sake."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import INVALID_PARAMS

from asyncfc_mcp.config.private_folders import make_private_folders
from asyncfc_mcp.gateway.intake.repeating import KEY_META_KEY
from asyncfc_mcp.gateway.restart.recalling import RunsElsewhere
from asyncfc_mcp.server.wire import as_mcp_error
from tests.process.support import LIMIT_S, RawGateway, text_of
from tests.restart.ledger import Ledger, ledger
from tests.restart.support import Visitor, http_gateway, kill, stdio_gateway
from tests.store.rows import row

pytestmark = pytest.mark.anyio

TWO_CHATS = ("a-conversation-nobody-guesses-1", "a-conversation-nobody-guesses-2")


@asynccontextmanager
async def disk_held(folder: Path) -> AsyncGenerator[None]:
    """Meanwhile no gateway can write to the store."""
    with closing(sqlite3.connect(folder / "state" / "futures.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def held_up(visitor: Visitor, book: Ledger) -> None:
    """Have a read at work that every write of the same key waits behind."""
    await visitor.token("read", scope="s", key="a", gate="g")
    await book.started("g")


@pytest.mark.parametrize("token", ["a-token-that-nobody-guesses", None])
async def test_a_name_means_the_future_of_its_own_conversation(tmp_path: Path, token: str | None) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with http_gateway(tmp_path, servers, token=token) as visitor:
            for chat in TWO_CHATS:
                await visitor.call("say", scope=chat, value=f"of {chat}", _as="mine", _wait_s=0)
                await visitor.text("await_future", scope=chat, futures=["fut_mine"])
            await kill(visitor.process)
        async with http_gateway(tmp_path, servers, token=token) as visitor:
            # a name that is given now in one conversation takes nothing from another
            await visitor.call("say", scope=TWO_CHATS[0] + "0", value="new", _as="mine", _wait_s=0)
            for chat in (*TWO_CHATS[::-1], *TWO_CHATS):
                assert await visitor.text("await_future", scope=chat, futures=["fut_mine"]) == f"of {chat}"
                assert await visitor.text("say", scope=chat, value="fut_mine", _wait_s=LIMIT_S) == f"of {chat}"


async def test_a_name_asked_for_in_another_conversation_means_the_newest(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        bearer = "a-token-that-nobody-guesses"
        async with http_gateway(tmp_path, servers, token=bearer) as visitor:
            for chat in TWO_CHATS:
                await visitor.call("say", scope=chat, value=f"of {chat}", _as="mine", _wait_s=0)
                await visitor.text("await_future", scope=chat, futures=["fut_mine"])
            await kill(visitor.process)
        async with http_gateway(tmp_path, servers, token=bearer) as visitor:
            for chat in TWO_CHATS[::-1]:
                assert await visitor.text("await_future", scope=chat, futures=["fut_mine"]) == f"of {chat}"
            assert await visitor.text("await_future", scope="third", futures=["fut_mine"]) == f"of {TWO_CHATS[1]}"
        async with http_gateway(tmp_path, servers, token=bearer) as visitor:
            oldest = TWO_CHATS[0]
            assert await visitor.text("await_future", scope=oldest, futures=["fut_mine"]) == f"of {oldest}"
            assert await visitor.text("await_future", scope="third", futures=["fut_mine"]) == f"of {TWO_CHATS[1]}"


async def test_a_cancellation_is_answered_when_no_restart_can_undo_it(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with http_gateway(tmp_path, servers) as visitor:
            await held_up(visitor, book)
            write = await visitor.token("write", scope="s", key="a", value="1")
            said: list[str] = []

            async def cancel() -> None:
                said.append(await visitor.text("cancel_future", scope="s", futures=[write]))

            with anyio.fail_after(LIMIT_S):
                async with anyio.create_task_group() as tasks, disk_held(tmp_path):
                    tasks.start_soon(cancel)
                    while write not in await visitor.text("list_futures", scope="s", state="cancelled"):
                        pass
                    assert not said
            assert "cancelled" in said[0]
            await kill(visitor.process)
        book.open("g")
        async with http_gateway(tmp_path, servers) as visitor:
            assert "was cancelled" in await visitor.text("await_future", scope="s", futures=[write])
        assert book.count("write a 1") == 0


async def test_a_call_whose_request_breaks_while_it_is_written_is_not_made_after_a_restart(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with http_gateway(tmp_path, servers) as visitor:
            await held_up(visitor, book)
            async with disk_held(tmp_path):
                with anyio.move_on_after(0.5):  # the client gives up
                    await visitor.token("write", scope="s", key="a", value="1")
                with anyio.fail_after(LIMIT_S):
                    while "write" in await visitor.text("list_futures", scope="s", state="pending"):
                        pass
            # written in order: when this token is out, what came before is in the file
            last = await visitor.token("write", scope="s", key="a", value="2")
            await kill(visitor.process)
        book.open("g")
        async with http_gateway(tmp_path, servers) as visitor:
            assert await visitor.text("await_future", scope="s", futures=[last]) == "2"
        assert [line for line in book.executed if line.startswith("write")] == ["write a 2"]


def _params(named: str, **arguments: Any) -> dict[str, Any]:
    return {"name": "write", "arguments": arguments, "_meta": {KEY_META_KEY: named}}


async def _send(gateway: RawGateway, named: str, **arguments: Any) -> str:
    return text_of(await gateway.request("tools/call", _params(named, **arguments)))


async def test_keys_count_where_values_are_not_stored(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry()}
        async with stdio_gateway(tmp_path, servers, store_values=False) as gateway:
            assert await _send(gateway, "done", key="a", _wait_s=LIMIT_S) == ""
            await gateway.start_request("tools/call", _params("at work", key="b", gate="g"))
            await book.started("g")
            await kill(gateway)
        book.open("g")
        async with stdio_gateway(tmp_path, servers, store_values=False) as gateway:
            for _ in range(2):
                assert "That it has resolved is certain" in await _send(gateway, "done", key="a", _wait_s=LIMIT_S)
                told = await _send(gateway, "at work", key="b", gate="g")
                assert "failed (outcome_unknown): it may have taken effect, and it was not sent again" in told
        assert book.executed == ["write a", "write b"]


DAMAGES = ("labels = 'x'", "state = 'x'", "created_at = 'x'", "reason = 'x'", "tool_name = CAST(x'ff41' AS TEXT)")


async def test_damaged_rows_are_settled_and_keep_no_other_from_it(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry(concurrency=len(DAMAGES) + 1)}
        async with stdio_gateway(tmp_path, servers) as gateway:
            tokens = [await gateway.token("say", gate=f"{number}", _wait_s=0) for number in range(len(DAMAGES) + 1)]
            for number in range(len(tokens)):
                await book.started(f"{number}")
            await kill(gateway)
        with closing(sqlite3.connect(tmp_path / "state" / "futures.db")) as connection, connection:
            for number, damage in enumerate(DAMAGES, 1):
                connection.execute(f"UPDATE futures SET {damage} WHERE number = ?", (number,))
        for number in range(len(tokens)):
            book.open(f"{number}")
        async with stdio_gateway(tmp_path, servers) as gateway:
            for token in tokens:
                told = await gateway.text("await_future", futures=[token], timeout_s=LIMIT_S)
                assert "failed (outcome_unknown)" in told


async def test_an_odd_row_is_settled_and_keeps_no_gateway_from_starting(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry(concurrency=2)}
        async with stdio_gateway(tmp_path, servers) as gateway:
            tokens = [await gateway.token("say", gate=gate, _wait_s=0) for gate in "ab"]
            for gate in "ab":
                await book.started(gate)
            await kill(gateway)
        with closing(sqlite3.connect(tmp_path / "state" / "futures.db")) as connection, connection:
            other = "(SELECT call FROM contents WHERE future = 2)"  # two calls with one identity
            connection.execute(f"UPDATE contents SET call = {other} WHERE future = 1")
        for gate in "ab":
            book.open(gate)
        async with stdio_gateway(tmp_path, servers) as gateway:
            for token in tokens:
                told = await gateway.text("await_future", futures=[token], timeout_s=LIMIT_S)
                assert "failed (outcome_unknown)" in told


@pytest.mark.skipif(os.name != "posix", reason="the user's profile guards folders there")
async def test_every_folder_below_the_state_folder_is_the_users_alone(tmp_path: Path) -> None:
    make_private_folders(tmp_path / "state" / "pins" / "server")
    for folder in ("state", "state/pins", "state/pins/server"):
        assert stat.S_IMODE(tmp_path.joinpath(folder).stat().st_mode) == 0o700


def test_a_request_for_what_another_window_runs_is_a_matter_of_the_request() -> None:
    assert as_mcp_error(RunsElsewhere(row(), "fut_search_1")).error.code == INVALID_PARAMS
