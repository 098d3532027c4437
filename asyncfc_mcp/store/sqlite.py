"""The store in one SQLite file, which several gateways share.

What is committed outlives the process, also when it is killed; see `database` for what a power cut does. Puts that wait
while a transaction is written go together in the next one. SQLite, JSON and compression run in worker threads.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import structlog
from anyio import CapacityLimiter, to_thread
from filelock import FileLock

from asyncfc_mcp.store import rows
from asyncfc_mcp.store.base import StoredFuture, StoreFault
from asyncfc_mcp.store.codec import (
    LARGE_CHARACTERS,
    digest,
    identity_digest,
    is_large,
    is_large_when_read,
    read_damaged_row,
    read_row,
    text_bytes,
    write_row,
)
from asyncfc_mcp.store.committing import Committer
from asyncfc_mcp.store.database import Database, Step
from asyncfc_mcp.store.owners import Owners
from asyncfc_mcp.store.place import make_private_file

log = structlog.get_logger()

_ROWS_AT_A_TIME = 1000
CLOSE_S = 1.0
"""How long the end of a gateway waits for the disk."""
_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class _OpenFile:
    """What an open store holds."""

    alive: FileLock
    """Says that this gateway lives."""
    committer: Committer
    reader: Database
    reading: CapacityLimiter


class ClosedStore(StoreFault):
    """Somebody came too late, or too early."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"the store {path} is not open: the gateway has ended, or has not started yet")
        self.path = path


class SqliteStore:
    """A `FutureStore` in a file.

    Args:
        path: the file; made when it is not there.
        max_bytes: how large it may become; over that the oldest settled futures go early.
        keeps_values: whether results, arguments and messages are written, or only how futures ended.
        makes_folder: whether a missing folder is made.
        kind: of the gateway, a word; it takes over calls of its own kind alone.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        keeps_values: bool = True,
        makes_folder: bool = False,
        kind: str = "gateway",
    ) -> None:
        self.owner = f"{kind}-{secrets.token_hex(8)}"
        self._kind = kind
        self.outlives = True
        self.faults = 0
        self.path = path
        self._max_bytes = max_bytes
        self._keeps_values = keeps_values
        self._makes_folder = makes_folder
        self._owners = Owners(path)
        self._file: _OpenFile | None = None
        self._being_written: dict[bytes, anyio.Event] = {}
        """Futures whose large row is being written down, not in the file yet: what comes later for them waits."""

    async def open(self) -> None:
        """Make the file or check the one that is there, and take the lock that says that this gateway lives.

        Raises:
            StoreFault: it cannot be used; nothing was overwritten.
        """
        alive, writer, reader = await to_thread.run_sync(self._opened)
        self._file = _OpenFile(alive, Committer(writer), reader, CapacityLimiter(1))

    async def put(self, row: StoredFuture) -> None:
        """Keep a future.

        Raises:
            StoreFault: it could not be written.
        """
        identity = identity_digest(row.future)
        await self._wait_for(identity)
        if not is_large(row):
            await self._commit(Step(lambda connection: rows.put(connection, self._written(row)), LARGE_CHARACTERS))
            return
        in_file = self._being_written[identity] = anyio.Event()
        try:
            written = await to_thread.run_sync(self._written, row)
            await self._commit(Step(lambda connection: rows.put(connection, written), written.size_bytes))
        finally:
            del self._being_written[identity]
            in_file.set()

    async def mark_told(self, futures: Sequence[str]) -> None:
        """Note that the client has seen how they settled.

        Raises:
            StoreFault: it could not be written.
        """
        identities = [identity_digest(future) for future in futures]
        for identity in identities:
            await self._wait_for(identity)
        if identities:
            await self._commit(Step(lambda connection: rows.mark_told(connection, identities)))

    async def get(self, future: str) -> StoredFuture | None:
        """The future, or None.

        Raises:
            StoreFault: it could not be read.
        """
        identity = identity_digest(future)
        return await self._found(lambda connection: rows.by_identity(connection, identity), future=future)

    async def find(self, principal: str, token: str, scope: str = "") -> StoredFuture | None:
        """The newest future of that principal under that token, of that scope if there is one; or None.

        Raises:
            StoreFault: it could not be read.
        """
        kept_under = text_bytes(principal), digest(token), text_bytes(scope)
        return await self._found(lambda connection: rows.by_token(connection, *kept_under), token=token)

    async def find_keyed(self, principal: str, key: str) -> StoredFuture | None:
        """The newest future of that principal under that key, or None.

        Raises:
            StoreFault: it could not be read.
        """
        kept_under = text_bytes(principal), text_bytes(key)
        return await self._found(lambda connection: rows.by_key(connection, *kept_under))

    async def adopt(self) -> Sequence[StoredFuture]:
        """The unsettled futures of gateways of its kind that are gone, oldest first; it answers for them now.

        Raises:
            StoreFault: it could not be read or written.
        """
        named = {one for one in await self._read(rows.owners) if one.startswith(f"{self._kind}-")} - {self.owner}
        taken: list[StoredFuture] = []
        for owner in sorted(named):
            taken += await self._adopt_from(owner)
        await to_thread.run_sync(self._owners.tidy)
        return sorted(taken, key=lambda row: row.created_at)

    async def delete(self, future: str) -> None:
        """Forget a future.

        Raises:
            StoreFault: it could not be written.
        """
        identity = identity_digest(future)
        await self._wait_for(identity)
        await self._commit(Step(lambda connection: rows.delete(connection, identity)))

    async def delete_expired(self, now: float) -> int:
        """Forget every future whose time is over.

        Raises:
            StoreFault: it could not be written.
        """
        step = Step(lambda connection: rows.delete_expired(connection, now, _ROWS_AT_A_TIME))
        deleted = 0
        while more := await self._commit(step):
            deleted += more
        await self._open_file.committer.beside(Database.shrink_a_little)
        return deleted

    async def count(self) -> int:
        """How many futures are kept.

        Raises:
            StoreFault: it could not be read.
        """
        return await self._read(rows.count)

    async def close(self) -> None:
        """Close the file. Unsettled futures stay in it for the next gateway: its end is no other than a sudden one.

        A disk that does not answer in time is left to itself.
        """
        file, self._file = self._file, None
        if file is None:
            return
        with anyio.move_on_after(CLOSE_S, shield=True):
            await file.committer.beside(Database.close, may_be_abandoned=True)
            await to_thread.run_sync(file.reader.close, limiter=file.reading, abandon_on_cancel=True)
            # not of a file that something is still writing to: the end of the process gives it back then
            self._owners.give_back(file.alive)
            return
        log.warning("store_not_closed", after_s=CLOSE_S)

    @property
    def _open_file(self) -> _OpenFile:
        if self._file is None:
            raise ClosedStore(self.path)
        return self._file

    def _opened(self) -> tuple[FileLock, Database, Database]:
        make_private_file(self.path, with_folder=self._makes_folder)
        lock = self._owners.claim(self.owner)
        try:
            with self._owners.opening():
                writer = Database.opened(self.path, self._max_bytes)
            try:
                return lock, writer, Database.for_reading(self.path, self._max_bytes)
            except StoreFault:
                writer.close()
                raise
        except StoreFault:
            self._owners.give_back(lock)
            raise

    def _written(self, row: StoredFuture) -> rows.WrittenRow:
        return write_row(row, keeps_values=self._keeps_values)

    async def _wait_for(self, identity: bytes) -> None:
        """Let what was put earlier for the future get into the file first."""
        while (in_file := self._being_written.get(identity)) is not None:
            await in_file.wait()

    async def _adopt_from(self, owner: str) -> list[StoredFuture]:
        taken: list[rows.Kept] = []

        def adopt(connection: sqlite3.Connection) -> int:
            with self._owners.held_if_gone(owner) as is_gone:
                taken[:] = rows.owned(connection, owner) if is_gone else ()
                return rows.pass_on(connection, owner, self.owner) if is_gone else 0

        if await self._commit(Step(adopt)):
            log.info("futures_adopted", futures=len(taken), owner=owner)
        return await to_thread.run_sync(lambda: [self._adopted(kept) for kept in taken])

    def _adopted(self, kept: rows.Kept) -> StoredFuture:
        ours = {**kept, "owner": self.owner}
        try:
            return read_row(ours)
        except StoreFault as fault:
            # somebody has to settle it all the same
            log.warning("adopted_future_damaged", server=kept["server"], tool=kept["tool"], fault=str(fault))
            return read_damaged_row(ours)

    async def _found(
        self, query: Callable[[sqlite3.Connection], rows.Kept | None], *, future: str = "", token: str = ""
    ) -> StoredFuture | None:
        kept = await self._read(query)
        if kept is None:
            return None
        with self._counting_faults():
            if not is_large_when_read(kept):
                return read_row(kept, future=future, token=token)
            return await to_thread.run_sync(lambda: read_row(kept, future=future, token=token))

    async def _read(self, query: Callable[[sqlite3.Connection], _Done]) -> _Done:
        with self._counting_faults():
            file = self._open_file
            return await to_thread.run_sync(file.reader.read, query, limiter=file.reading)

    async def _commit(self, step: Step) -> int:
        with self._counting_faults():
            return await self._open_file.committer.commit(step)

    @contextmanager
    def _counting_faults(self) -> Generator[None]:
        try:
            yield
        except StoreFault:
            self.faults += 1
            raise
