"""One SQLite file from inside a worker thread: opened and checked, written in transactions, with room made in it.

Everything here blocks. WAL with `synchronous=NORMAL`: what is committed survives the process, however it ends; after a
power cut the last commits may be missing, but the file is whole.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from asyncfc_mcp.store import rows
from asyncfc_mcp.store.base import StoreFault
from asyncfc_mcp.store.faults import BUSY_S, DamagedStore, LimitReached, concerns_file, fault_of, is_full
from asyncfc_mcp.store.place import close_to_others
from asyncfc_mcp.store.schema import check_origin, migrate

Found = TypeVar("Found")

CHECKED_BYTES = 1_000_000
"""Up to this size the whole file is checked as it is opened; a larger one when its pages are read."""
WAL_BYTES = 8_000_000
"""What the write-ahead log shrinks to after something large."""
_FEW_PAGES = 256
_PAGES_AT_A_TIME = 2000
_ROWS_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do in a transaction; it may be done over, when the transaction fails for another's sake."""

    run: Callable[[sqlite3.Connection], int]
    size_bytes: int = 0


class Database:
    """A connection, used by one thread at a time."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        try:
            self._connection = _connect(path)
        except sqlite3.Error as error:
            raise fault_of(error, path) from error

    @classmethod
    def opened(cls, path: Path, max_bytes: int) -> Self:
        """The file with today's tables, for writing; nothing else opens it meanwhile.

        Raises:
            StoreFault: it is damaged, newer, or of something else. Then nothing was written to it.
        """
        database = cls(path, max_bytes)
        database._take(database._prepare)
        return database

    @classmethod
    def for_reading(cls, path: Path, max_bytes: int) -> Self:
        """A further connection to a file that is open.

        Raises:
            StoreFault: it cannot be opened any more.
        """
        database = cls(path, max_bytes)
        database._take(lambda connection: connection.execute("PRAGMA query_only = 1"))
        return database

    def read(self, query: Callable[[sqlite3.Connection], Found]) -> Found:
        """What the query finds.

        Raises:
            StoreFault: the file cannot be read.
        """
        try:
            return query(self._connection)
        except sqlite3.Error as error:
            raise fault_of(error, self._path) from error

    def write(self, steps: Sequence[Step]) -> list[int | StoreFault]:
        """Take the steps in one transaction; if that fails, each in one of its own. How each of them went."""
        if len(steps) > 1:
            try:
                return self._transaction(steps)
            except (sqlite3.Error, StoreFault) as error:
                if concerns_file(error):
                    return [fault_of(error, self._path) for _ in steps]
        return [self._alone(step) for step in steps]

    def shrink_a_little(self) -> None:
        """Give pages back to the disk when many are unused; errors are for the next write to meet."""
        with suppress(sqlite3.Error):
            unused = self._pragma("freelist_count")
            if unused > max(_FEW_PAGES, self._pragma("page_count") // 4):
                self._vacuum(_PAGES_AT_A_TIME)

    def shrink(self) -> None:
        """Give all unused pages and the log back to the disk; as far as others leave it alone."""
        with suppress(sqlite3.Error):
            self._vacuum(self._pragma("freelist_count"))
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _take(self, first_step: Callable[[sqlite3.Connection], object]) -> None:
        """Begin to use the connection, or close it."""
        try:
            first_step(self._connection)
        except (sqlite3.Error, StoreFault) as error:
            self.close()
            raise fault_of(error, self._path) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        check_origin(connection, self._path)
        if self._path.stat().st_size <= CHECKED_BYTES:
            finding = connection.execute("PRAGMA quick_check(1)").fetchall()[0][0]
            if finding != "ok":
                raise DamagedStore(self._path, " ".join(str(finding).split()))
        close_to_others(self._path)
        # takes effect before the first table only
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = NORMAL")
        # what is deleted is overwritten in the pages that stay in use; unused pages go back to the disk
        connection.execute("PRAGMA secure_delete = FAST").fetchall()
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}").fetchall()
        migrate(connection)
        most_pages = max(1, self._max_bytes // self._pragma("page_size"))
        connection.execute(f"PRAGMA max_page_count = {most_pages}").fetchall()

    def _alone(self, step: Step) -> int | StoreFault:
        has_reclaimed = False
        while True:
            try:
                return self._transaction([step])[0]
            except (sqlite3.Error, StoreFault) as error:
                if not is_full(error):
                    return fault_of(error, self._path)
                if self._is_near_limit(step.size_bytes):
                    if not self._make_room(step.size_bytes):
                        return LimitReached(self._path, self._max_bytes)
                elif has_reclaimed:
                    return fault_of(error, self._path)
                else:
                    self._reclaim()
                    has_reclaimed = True

    def _transaction(self, steps: Sequence[Step]) -> list[int | StoreFault]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            results: list[int | StoreFault] = [step.run(connection) for step in steps]
            connection.execute("COMMIT")
        finally:
            # SQLite itself rolls back after some errors
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return results

    def _make_room(self, size_bytes: int) -> bool:
        """Delete what is due, then the oldest settled that the client has seen, then the oldest settled.

        Returns:
            Whether anything was freed.
        """
        if size_bytes > self._max_bytes:
            return False
        try:
            return self._free(size_bytes)
        except sqlite3.Error:
            return False

    def _free(self, size_bytes: int) -> bool:
        page_bytes = self._pragma("page_size")
        # some more than is needed now, so that the next one need not begin again
        wanted = (size_bytes * 5 // 4 + min(self._max_bytes // 20, 2 * WAL_BYTES)) // page_bytes
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        deletions: tuple[Callable[[sqlite3.Connection], int], ...] = (
            _delete_some_expired,
            lambda connection: rows.delete_oldest(connection, _ROWS_AT_A_TIME, is_told=True),
            lambda connection: rows.delete_oldest(connection, _ROWS_AT_A_TIME, is_told=False),
        )
        has_freed = False
        for deletion in deletions:
            while self._pragma("freelist_count") < wanted and self._transaction([Step(deletion)]) != [0]:
                has_freed = True
        return has_freed

    def _reclaim(self) -> None:
        """Give the disk back what nobody misses, since it is full and the file is not.

        What has not expired stays: other programs would have the room sooner than the next future.
        """
        with suppress(sqlite3.Error):
            # the log itself may be all that is in the way
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            while self._transaction([Step(_delete_some_expired)]) != [0]:
                pass
        self.shrink()

    def _is_near_limit(self, size_bytes: int) -> bool:
        """Whether it is our own limit that is in the way, and not the disk's."""
        try:
            needed = max(size_bytes // self._pragma("page_size"), _FEW_PAGES // 8)
            used = self._pragma("page_count") - self._pragma("freelist_count")
            return used + needed >= self._pragma("max_page_count")
        except sqlite3.Error:
            return False

    def _vacuum(self, pages: int) -> None:
        # a statement without columns is stepped once by `execute`, and each step frees one page
        self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchall()[0][0])


def _delete_some_expired(connection: sqlite3.Connection) -> int:
    return rows.delete_expired(connection, time.time(), _ROWS_AT_A_TIME)


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text
    return connection


def _text(kept: bytes) -> str:
    try:
        return kept.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # a damaged row must not keep the others from being read
        return kept.decode("utf-8", "replace")
