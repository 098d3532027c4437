"""Several gateways on one file, as processes that are killed: what each may take from the others."""

from __future__ import annotations

import os
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import anyio
import psutil
import pytest

from tests.store.conftest import sqlite_in
from tests.store.processes import LIMIT_S, Holder, holding
from tests.store.rows import row

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the helper process sets limits")]


async def test_what_was_put_survives_a_kill(tmp_path: Path) -> None:
    async with holding(tmp_path / "futures.db") as gateway:
        await gateway.tell("settle", "a")
        await gateway.tell("put", "b")
        await gateway.kill()
    async with sqlite_in(tmp_path) as store:
        read, unsettled = await store.find("alice", "fut_a"), await store.find("alice", "fut_b")
    assert read is not None
    assert read.result == {"text": "done"}
    assert unsettled is not None
    assert unsettled.owner == gateway.owner


async def test_the_unsettled_futures_of_a_killed_gateway_are_adopted_once(tmp_path: Path) -> None:
    async with holding(tmp_path / "futures.db") as gateway:
        await gateway.tell("settle", "a")
        await gateway.tell("put", "b")
        await gateway.tell("put", "c")
        await gateway.kill()
    async with sqlite_in(tmp_path) as store:
        adopted = await store.adopt()
        assert [one.call for one in adopted] == [{"future": "b"}, {"future": "c"}]
        assert {one.owner for one in adopted} == {store.owner}
        assert list(await store.adopt()) == []


async def test_a_clean_end_is_adopted_like_a_kill(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as first:
        await first.put(row(owner=first.owner))
    async with sqlite_in(tmp_path) as second:
        assert len(await second.adopt()) == 1


async def test_a_gateway_takes_over_from_its_own_kind_alone(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path, kind="network") as network:
        await network.put(row(owner=network.owner))
    async with sqlite_in(tmp_path, kind="stdio") as window:
        assert list(await window.adopt()) == []
    async with sqlite_in(tmp_path, kind="network") as again:
        assert len(await again.adopt()) == 1


async def test_a_gateway_that_lives_keeps_what_it_answers_for(tmp_path: Path) -> None:
    async with holding(tmp_path / "futures.db") as living, sqlite_in(tmp_path) as store:
        await living.tell("put", "a")
        assert list(await store.adopt()) == []
        assert (await living.tell("find", "a"))["owner"] == living.owner
        await living.kill()
        assert len(await store.adopt()) == 1


async def test_of_two_adopters_at_once_one_gets_each_future(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        names = [f"{gateway}{number}" for gateway in "abc" for number in range(20)]
        for gateway in "abc":
            dying = await stack.enter_async_context(holding(tmp_path / "futures.db"))
            for number in range(20):
                await dying.tell("put", f"{gateway}{number}")
            await dying.kill()
        adopters = [await stack.enter_async_context(holding(tmp_path / "futures.db")) for _ in range(3)]
        adopted: list[str] = []

        async def adopt(adopter: Holder) -> None:
            adopted.extend((await adopter.tell("adopt"))["adopted"])

        async with anyio.create_task_group() as tasks:
            for adopter in adopters:
                tasks.start_soon(adopt, adopter)
    assert sorted(adopted) == sorted(names)


async def test_a_child_that_outlives_its_gateway_does_not_hold_its_lock(tmp_path: Path) -> None:
    async with holding(tmp_path / "futures.db") as gateway:
        await gateway.tell("put", "a")
        child = psutil.Process((await gateway.tell("leave_child"))["process"])
        await gateway.kill()
        try:
            assert child.is_running()
            async with sqlite_in(tmp_path) as store:
                assert len(await store.adopt()) == 1
        finally:
            with suppress(psutil.NoSuchProcess):
                child.kill()


async def test_the_lock_files_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    async with holding(tmp_path / "futures.db") as living, holding(tmp_path / "futures.db") as dying:
        await dying.tell("put", "a")
        await dying.kill()
        async with sqlite_in(tmp_path) as store:
            await store.adopt()
            locks = {file.stem for file in (tmp_path / "futures.db.owners").glob("*.lock")}
            assert locks == {living.owner, store.owner}


async def test_a_clean_end_leaves_no_lock_file(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path):
        pass
    assert [file.name for file in (tmp_path / "futures.db.owners").iterdir()] == ["opening"]


async def test_an_old_lock_file_that_no_row_names_is_tidied_away(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        stray = tmp_path / "futures.db.owners" / "0123456789abcdef.lock"
        stray.touch()
        await store.adopt()
        assert stray.exists(), "its gateway may just have made it"
        os.utime(stray, (1000, 1000))
        await store.adopt()
        assert not stray.exists()


async def test_four_gateways_write_and_read_one_file_at_once(tmp_path: Path) -> None:
    calls = 150
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(holding(tmp_path / "futures.db")) for _ in range(4)]

        async def storm(gateway: Holder) -> None:
            answer = await gateway.tell("storm", gateway.owner, calls)
            assert answer.get("count", 0) >= calls, answer

        with anyio.fail_after(2 * LIMIT_S):
            async with anyio.create_task_group() as tasks:
                for gateway in gateways:
                    tasks.start_soon(storm, gateway)
    async with sqlite_in(tmp_path) as store:
        assert await store.count() == 4 * calls


async def test_four_gateways_make_one_file_at_once(tmp_path: Path) -> None:
    async def start() -> None:
        async with holding(tmp_path / "futures.db") as gateway:
            assert await gateway.tell("settle", gateway.owner) == {}

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(start)
    async with sqlite_in(tmp_path) as store:
        assert await store.count() == 4
