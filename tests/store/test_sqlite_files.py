"""The file of the SQLite store: who may read it, what is in it, which files it takes and which it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import threading
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.store.base import StoredFuture, StoreFault
from asyncfc_mcp.store.database import Database
from asyncfc_mcp.store.faults import DamagedStore, UnusableStore
from asyncfc_mcp.store.schema import APPLICATION_ID, STEPS, NewerStore, migrate
from asyncfc_mcp.store.sqlite import ClosedStore, SqliteStore
from tests.store.conftest import sqlite_in
from tests.store.rows import row, same, settled

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(os.name != "posix", reason="the user's profile guards files there")

VERSION_1 = """
    CREATE TABLE futures (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, token BLOB NOT NULL, key TEXT,
        principal TEXT NOT NULL, scope TEXT NOT NULL, server TEXT NOT NULL, tool TEXT NOT NULL, tool_name TEXT NOT NULL,
        state TEXT NOT NULL, reason TEXT, labels TEXT NOT NULL, owner TEXT NOT NULL, is_told INTEGER NOT NULL,
        created_at REAL NOT NULL, settled_at REAL, expires_at REAL);
    CREATE TABLE contents (future INTEGER PRIMARY KEY, failure BLOB, result BLOB, late BLOB, call BLOB);
    CREATE TRIGGER contents_go_with_their_future AFTER DELETE ON futures BEGIN
        DELETE FROM contents WHERE future = OLD.number;
    END;
    CREATE INDEX futures_by_token ON futures (token, principal, created_at);
    CREATE INDEX futures_by_key ON futures (key, principal, created_at) WHERE key IS NOT NULL;
    CREATE INDEX futures_by_expiry ON futures (expires_at) WHERE expires_at IS NOT NULL;
    CREATE INDEX futures_by_owner ON futures (owner) WHERE owner <> '';
    PRAGMA application_id = 1095126339;
    PRAGMA user_version = 1;
"""


@pytest.fixture
def wide_umask() -> Generator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.glob("futures.db*")) if file.is_file())


async def refusal_of(file: Path) -> StoreFault:
    store = SqliteStore(file, max_bytes=1_000_000_000)
    with pytest.raises(StoreFault) as caught:
        await store.open()
    assert str(file) in str(caught.value)
    assert "--store memory" in str(caught.value)
    assert not list(file.parent.glob("*.owners/*.lock"))
    return caught.value


@posix
@pytest.mark.usefixtures("wide_umask")
async def test_everything_it_makes_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new" / "folder" / "futures.db", max_bytes=1_000_000, makes_folder=True)
    await store.open()
    await store.put(row())
    folder = store.path.parent
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"futures.db", "futures.db-wal", "futures.db-shm", f"{store.owner}.lock"}
    assert {mode(file) for file in files} == {0o600}
    assert {mode(folder), mode(folder / "futures.db.owners")} == {0o700}
    await store.close()


@posix
async def test_a_file_of_ours_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "futures.db").touch(0o644)
    (tmp_path / "futures.db").chmod(0o644)
    async with sqlite_in(tmp_path) as store:
        assert mode(store.path) == 0o600


@posix
async def test_a_symbolic_link_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "futures.db").symlink_to(tmp_path / "target")
    assert "symbolic link" in str(await refusal_of(tmp_path / "futures.db"))
    assert (tmp_path / "target").read_text() == ""


async def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "futures.db").mkdir()
    assert "it is no file" in str(await refusal_of(tmp_path / "futures.db"))


async def test_a_missing_folder_is_not_made_for_a_file_that_was_named(tmp_path: Path) -> None:
    await refusal_of(tmp_path / "missing" / "futures.db")
    assert not (tmp_path / "missing").exists()


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "futures.db").touch()
    tmp_path.chmod(0o500)
    try:
        assert "cannot be written" in str(await refusal_of(tmp_path / "futures.db"))
    finally:
        tmp_path.chmod(0o700)


async def test_identities_tokens_and_values_that_are_not_kept_stand_nowhere_in_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "futures.db", max_bytes=10_000_000, keeps_values=False)
    await store.open()
    secret = {"text": "the-secret"}
    failure = Failure(FailureReason.TOOL_ERROR, "no such page: the-secret", "fut_cause_9")
    kept = settled("the-identity", token="fut_the_token", result=secret, late=secret, call=secret, failure=failure)
    await store.put(kept)
    await store.put(row("the-identity-2", token="fut_the_token", call=secret, labels=("reads fs/the-secret",)))
    found = await store.get("the-identity")
    assert found is not None
    assert (found.result, found.late, found.call, found.labels) == (None, None, None, ())
    assert found.failure is not None
    assert found.failure.reason is FailureReason.TOOL_ERROR
    assert "store_values" in found.failure.message
    assert found.failure.cause is None
    await store.close()
    written = contents_of(tmp_path)
    for word in (b"the-identity", b"fut_the_token", b"the-secret", b"fut_cause"):
        assert word not in written


async def test_large_values_are_compressed(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        await store.put(settled(result={"content": [{"type": "text", "text": "the same again, " * 60_000}]}))
    assert (tmp_path / "futures.db").stat().st_size < 100_000


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        pass
    with pytest.raises(ClosedStore):
        await store.put(row())
    with pytest.raises(ClosedStore):
        await store.get("id-1")


async def test_a_file_of_version_1_is_taken_over_with_its_rows(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "futures.db")) as by_hand:
        by_hand.executescript(VERSION_1)
        columns = (
            hashlib.sha256(b"id-1").digest(), hashlib.sha256(b"fut_search_1").digest(), None, "alice", "alice/chat",
            "web", "search", "web_search", "failed", "tool_error", '["reads web"]', "", 1, 1000.0, 1500.0, 2000.0,
        )  # fmt: skip
        marks = ", ".join("?" * len(columns))
        by_hand.execute(f"INSERT INTO futures VALUES (1, {marks})", columns)
        failure, result = b'j{"message":"no page","cause":null}', b'j{"content":[],"isError":true}'
        by_hand.execute("INSERT INTO contents VALUES (1, ?, ?, NULL, NULL)", (failure, result))
        by_hand.commit()
    expected = settled(
        state=FutureState.FAILED,
        failure=Failure(FailureReason.TOOL_ERROR, "no page"),
        result={"content": [], "isError": True},
        labels=("reads web",),
        is_told=True,
    )
    async with sqlite_in(tmp_path) as store:
        assert same(await store.find("alice", "fut_search_1"), expected)
        await store.put(row("id-2", token="fut_2"))
        assert await store.count() == 2


async def test_the_tables_of_version_1_are_those_written_by_hand(tmp_path: Path) -> None:
    def objects(script: str) -> dict[str, str]:
        with closing(sqlite3.connect(":memory:")) as database:
            database.executescript(script)
            return {
                name: "".join(text.split())
                for name, text in database.execute("SELECT name, sql FROM sqlite_master")
                if text
            }

    assert objects(STEPS[0]) == objects(VERSION_1)


async def test_a_later_step_keeps_the_rows_and_is_taken_once(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        await store.put(settled())
    steps = (*STEPS, "ALTER TABLE futures ADD COLUMN note TEXT NOT NULL DEFAULT 'none'")
    with closing(sqlite3.connect(tmp_path / "futures.db", isolation_level=None)) as database:
        migrate(database, steps)
        migrate(database, steps)
        assert database.execute("SELECT tool_name, note FROM futures").fetchall() == [("web_search", "none")]
        assert database.execute("PRAGMA user_version").fetchone() == (len(steps),)


async def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        await store.put(settled())
    broken = (*STEPS, "ALTER TABLE futures ADD COLUMN note TEXT; DELETE FROM futures; SELECT * FROM missing")
    with closing(sqlite3.connect(tmp_path / "futures.db", isolation_level=None)) as database:
        with pytest.raises(sqlite3.OperationalError):
            migrate(database, broken)
        assert not database.in_transaction
        assert database.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
    async with sqlite_in(tmp_path) as store:
        assert same(await store.get("id-1"), settled())


async def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        await store.put(row())
    with closing(sqlite3.connect(tmp_path / "futures.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
    before = contents_of(tmp_path)
    refused = await refusal_of(tmp_path / "futures.db")
    assert isinstance(refused, NewerStore)
    assert refused.version == 99
    assert contents_of(tmp_path) == before


async def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "futures.db")) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    (tmp_path / "futures.db").chmod(0o644)
    before = contents_of(tmp_path)
    assert "a database of something else" in str(await refusal_of(tmp_path / "futures.db"))
    assert mode(tmp_path / "futures.db") == 0o644
    assert contents_of(tmp_path) == before


async def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "futures.db").write_text("Dear diary, " * 500)
    before = contents_of(tmp_path)
    assert isinstance(await refusal_of(tmp_path / "futures.db"), DamagedStore)
    assert contents_of(tmp_path) == before


async def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "futures.db").touch()
    async with sqlite_in(tmp_path) as store:
        await store.put(row())
    with closing(sqlite3.connect(tmp_path / "futures.db")) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


async def filled(folder: Path, futures: int) -> bytearray:
    async with sqlite_in(folder) as store:
        for number in range(futures):
            text = hashlib.sha256(str(number).encode()).hexdigest() * 20
            await store.put(settled(f"id-{number}", token=f"fut_{number}", result={"text": text}))
    return bytearray((folder / "futures.db").read_bytes())


@pytest.mark.parametrize("left", [0.5, 0.9])
async def test_a_truncated_file_is_refused_and_left_as_it_is(tmp_path: Path, left: float) -> None:
    whole = await filled(tmp_path, 100)
    cut = bytes(whole[: int(len(whole) * left)])
    (tmp_path / "futures.db").write_bytes(cut)
    assert isinstance(await refusal_of(tmp_path / "futures.db"), DamagedStore)
    assert (tmp_path / "futures.db").read_bytes() == cut


@pytest.mark.parametrize("at", [0, 100, 4096, 5 * 4096])
async def test_a_small_file_with_garbage_in_a_page_is_refused_and_left_as_it_is(tmp_path: Path, at: int) -> None:
    whole = await filled(tmp_path, 100)
    whole[at : at + 2000] = b"\xa5" * 2000
    (tmp_path / "futures.db").write_bytes(whole)
    assert isinstance(await refusal_of(tmp_path / "futures.db"), DamagedStore)
    assert (tmp_path / "futures.db").read_bytes() == bytes(whole)


async def test_damage_that_is_met_later_fails_what_meets_it_and_nothing_else(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        for number in range(3000):
            text = hashlib.sha256(str(number).encode()).hexdigest() * 8
            await store.put(settled(f"id-{number}", token=f"fut_{number}", result={"text": text}))
    whole = bytearray((tmp_path / "futures.db").read_bytes())
    middle = whole.index(b'j{"text"', len(whole) // 2) // 4096
    whole[middle * 4096 : (middle + 1) * 4096] = b"\xa5" * 4096
    (tmp_path / "futures.db").write_bytes(whole)
    faults: list[StoreFault] = []
    async with sqlite_in(tmp_path) as store:
        for number in range(3000):
            try:
                assert await store.find("alice", f"fut_{number}") is not None
            except StoreFault as fault:
                faults.append(fault)
        await store.put(row("new", token="fut_new"))
        assert same(await store.get("new"), row("new", token="fut_new"))
    assert 0 < len(faults) < 100
    assert all(isinstance(fault, DamagedStore) for fault in faults)


async def test_a_damaged_value_fails_its_own_future_only(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        await store.put(settled("a", token="fut_a"))
        await store.put(settled("b", token="fut_b"))
    with closing(sqlite3.connect(tmp_path / "futures.db")) as database:
        database.execute("UPDATE contents SET result = x'7a00' WHERE future = 1")
        database.commit()
    async with sqlite_in(tmp_path) as store:
        with pytest.raises(StoreFault, match="damaged"):
            await store.get("a")
        assert same(await store.get("b"), settled("b", token="fut_b"))


async def test_a_future_with_damaged_contents_is_adopted_without_them(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        await store.put(row("a", token="fut_a", owner=store.owner, call={"arguments": {}}))
    with closing(sqlite3.connect(tmp_path / "futures.db")) as database:
        database.execute("UPDATE contents SET call = x'7a00'")
        database.commit()
    async with sqlite_in(tmp_path) as store:
        (adopted,) = await store.adopt()
        assert same(adopted, row("a", owner=store.owner, token=adopted.token))
        await store.put(replace(adopted, state=FutureState.FAILED, owner="", settled_at=1.0, expires_at=2.0))
        found = await store.find("alice", "fut_a")
        assert found is not None
        assert found.state is FutureState.FAILED


async def test_a_value_that_json_cannot_hold_fails_its_own_put_only(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        with pytest.raises(StoreFault, match="web_search"):
            await store.put(settled("a", result={"set": {1, 2}}))
        assert await store.get("a") is None
        await store.put(row())


async def test_a_file_that_something_else_keeps_locked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncfc_mcp.store.database.BUSY_S", 0.1)
    async with sqlite_in(tmp_path) as store:
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnusableStore, match="writing to it"):
                await store.put(row())
            other.execute("COMMIT")
        await store.put(row())
        assert await store.count() == 1


async def test_people_can_read_the_plain_columns(tmp_path: Path) -> None:
    async with sqlite_in(tmp_path) as store:
        await store.put(row(labels=("reads fs/a",)))
    with closing(sqlite3.connect(tmp_path / "futures.db")) as database:
        (seen,) = database.execute("SELECT scope, server, tool, state, labels FROM futures").fetchall()
    assert seen == ("alice/chat", "web", "search", "running", json.dumps(["reads fs/a"]))


async def test_a_large_value_holds_up_no_small_one(tmp_path: Path) -> None:
    written: list[str] = []

    async def put(store: SqliteStore, kept: StoredFuture) -> None:
        await store.put(kept)
        written.append(kept.future)

    async with sqlite_in(tmp_path) as store:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(
                    put, store, settled("large", token="fut_1", result={"text": "lorem ipsum " * 2_000_000})
                )
                tasks.start_soon(put, store, row("small", token="fut_2"))
    assert written == ["small", "large"]


async def test_a_disk_that_does_not_answer_does_not_keep_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_back, close, for_reading = threading.Event(), Database.close, Database.for_reading
    readers: list[Database] = []

    def hang(database: Database) -> None:
        is_back.wait()
        close(database)

    def noted(path: Path, max_bytes: int) -> Database:
        readers.append(for_reading(path, max_bytes))
        return readers[-1]

    monkeypatch.setattr(Database, "close", hang)
    monkeypatch.setattr(Database, "for_reading", noted)
    store = SqliteStore(tmp_path / "futures.db", max_bytes=1_000_000_000)
    await store.open()
    try:
        with anyio.fail_after(10):
            await store.close()
    finally:
        is_back.set()
        for reader in readers:  # left to the end of the process, which is none here
            close(reader)
