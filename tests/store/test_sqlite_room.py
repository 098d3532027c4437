"""When the SQLite store is full: what goes to make room, what never goes, and what is said when nothing is left."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncfc_mcp.store.base import FutureStore, StoreFull
from tests.store.conftest import sqlite_in
from tests.store.processes import holding
from tests.store.rows import row, same, settled

pytestmark = pytest.mark.anyio

LIMIT_S = 20.0
LIMIT_BYTES = 2_000_000


def noise(name: str, size: int = 50_000) -> dict[str, Any]:
    """A value that does not become smaller."""
    return {"text": hashlib.shake_256(name.encode()).hexdigest(size // 2)}


async def keep(store: FutureStore, name: str, number: int, **more: Any) -> None:
    await store.put(
        settled(
            name, token=f"fut_{name}", settled_at=float(number), expires_at=1e11 + number, result=noise(name), **more
        )
    )


async def fill(store: FutureStore) -> None:
    for number in range(100):
        await store.put(row(f"id-{number}", token=f"fut_{number}", call=noise(f"{number}")))


async def kept(store: FutureStore, *names: str) -> list[str]:
    return [name for name in names if await store.get(name) is not None]


async def test_the_file_stays_within_its_limit_and_the_newest_stay(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path, max_bytes=LIMIT_BYTES) as store:
        for number in range(200):
            await keep(store, f"id-{number}", number)
        assert await kept(store, *(f"id-{number}" for number in range(195, 200))) == [
            f"id-{number}" for number in range(195, 200)
        ]
        assert await store.get("id-0") is None
        assert await store.count() > 15
    assert store.path.stat().st_size <= LIMIT_BYTES


async def test_expired_futures_go_first_then_the_oldest_that_were_told_then_the_oldest(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path, max_bytes=LIMIT_BYTES) as store:
        await keep(store, "untold", 0)
        await keep(store, "told", 1, is_told=True)
        for number in range(2, 40):
            await keep(store, f"id-{number}", number, is_told=True)
        await store.put(settled("expired", token="fut_expired", expires_at=10.0, result=noise("expired")))
        gone: list[str] = []
        for number in range(40, 200):
            left = await kept(store, "expired", "told", "untold")
            gone += [name for name in ("expired", "told", "untold") if name not in left and name not in gone]
            await keep(store, f"id-{number}", number)
        assert gone == ["expired", "told", "untold"]


async def test_unsettled_futures_never_go(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path, max_bytes=LIMIT_BYTES) as store:
        waiting = [row(f"waiting-{number}", token=f"fut_w{number}", call=noise(f"{number}")) for number in range(10)]
        for one in waiting:
            await store.put(one)
        for number in range(100):
            await keep(store, f"id-{number}", number)
        for one in waiting:
            assert same(await store.get(one.future), one)


async def test_full_of_unsettled_futures_it_says_so_and_keeps_them(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path, max_bytes=LIMIT_BYTES) as store:
        with pytest.raises(StoreFull, match=r"limit of 2 MB.*store_max_mb"):
            await fill(store)
        count = await store.count()
        assert count > 15
        assert await store.get("id-0") is not None
        await store.delete("id-0")
        await store.delete("id-1")
        await store.put(row("new", token="fut_new", call=noise("new")))
        assert await store.count() == count - 1


async def test_what_could_never_fit_drives_nothing_else_out(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path, max_bytes=LIMIT_BYTES) as store:
        for number in range(20):
            await keep(store, f"id-{number}", number)
        with pytest.raises(StoreFull):
            await store.put(settled("huge", token="fut_huge", result=noise("huge", 2 * LIMIT_BYTES)))
        assert await store.count() == 20


async def test_what_does_not_fit_fails_alone_among_those_side_by_side(tmp_path: Path) -> None:
    full: list[str] = []

    async def put(store: FutureStore, name: str, size: int) -> None:
        try:
            await store.put(row(name, token=f"fut_{name}", call=noise(name, size)))
        except StoreFull:
            full.append(name)

    async with sqlite_in(tmp_path, max_bytes=LIMIT_BYTES) as store:
        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(put, store, f"id-{number}", 1000)
                    tasks.start_soon(put, store, f"huge-{number}", 2 * LIMIT_BYTES)
        assert sorted(full) == [f"huge-{number}" for number in range(10)]
        assert await store.count() == 10


async def test_the_file_and_its_log_shrink_again(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        for number in range(400):
            await store.put(settled(f"id-{number}", token=f"fut_{number}", expires_at=10.0, result=noise(f"{number}")))
        await store.put(settled("huge", token="fut_huge", expires_at=10.0, result=noise("huge", 30_000_000)))
        await store.put(row("after", token="fut_after"))
        assert (tmp_path / "futures.db-wal").stat().st_size < 10_000_000
        assert await store.delete_expired(20.0) == 401
        for _ in range(10):
            await store.delete_expired(20.0)
        assert await store.count() == 1
    assert store.path.stat().st_size < 2_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit there")
async def test_a_full_disk_fails_the_put_and_nothing_that_was_kept(tmp_path: Path) -> None:
    text = noise("a", 100_000)["text"]
    async with holding(tmp_path / "futures.db") as gateway:
        await gateway.tell("settle", "before", text)
        await gateway.tell("limit_files", 1_000_000)
        answers = [await gateway.tell("put_large", f"waiting-{number}", text) for number in range(40)]
        failed = [answer for answer in answers if answer]
        assert {answer["fault"] for answer in failed} == {"DiskFull"}
        assert "the disk is full" in failed[0]["message"]
        assert (await gateway.tell("find", "before"))["state"] in ("resolved", None)
        await gateway.kill()
    async with sqlite_in(tmp_path) as store:
        adopted = await store.adopt()
        assert len(adopted) == 40 - len(failed)
        assert len(adopted) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit there")
async def test_on_a_full_disk_no_future_goes_before_its_time(tmp_path: Path) -> None:
    text = noise("a", 100_000)["text"]
    async with holding(tmp_path / "futures.db") as gateway:
        await gateway.tell("limit_files", 3_000_000)
        answers = [await gateway.tell("settle", f"id-{number}", text) for number in range(90)]
        kept = [number for number, answer in enumerate(answers) if not answer]
        assert {answer["fault"] for answer in answers if answer} == {"DiskFull"}
        assert len(kept) > 20
        for number in kept:
            assert (await gateway.tell("find", f"id-{number}"))["state"] == "resolved"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit there")
async def test_on_a_full_disk_what_has_expired_makes_room(tmp_path: Path) -> None:
    text = noise("a", 100_000)["text"]
    async with holding(tmp_path / "futures.db") as gateway:
        await gateway.tell("limit_files", 3_000_000)
        for number in range(90):
            assert await gateway.tell("settle", f"id-{number}", text, 10.0) == {}
        assert (await gateway.tell("find", "id-0"))["state"] is None
        assert (await gateway.tell("find", "id-89"))["state"] == "resolved"
