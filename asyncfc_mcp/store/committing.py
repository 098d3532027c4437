"""Group commit: steps that come while a transaction is written go together in the next one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio import CapacityLimiter, to_thread

from asyncfc_mcp.store.base import StoreFault
from asyncfc_mcp.store.database import Database, Step


@dataclass(slots=True, eq=False)
class _Batch:
    """Steps of one transaction."""

    steps: list[Step] = field(default_factory=list[Step])
    results: list[int | StoreFault] = field(default_factory=list["int | StoreFault"])
    written: anyio.Event = field(default_factory=anyio.Event)


class Committer:
    """Has one thread at a time write to the file, and whoever comes meanwhile wait for the next transaction.

    Args:
        database: its own connection; nothing else uses it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._limiter = CapacityLimiter(1)
        self._turn = anyio.Lock()
        self._next = _Batch()

    async def commit(self, step: Step) -> int:
        """Take the step; durable when this returns.

        Raises:
            StoreFault: it was not taken.
        """
        batch, place = self._next, len(self._next.steps)
        batch.steps.append(step)
        if place == 0:
            await self._write(batch)
        else:
            await batch.written.wait()
        if not batch.results:
            raise StoreFault("the transaction that this was a part of failed; see the log, and try again")
        result = batch.results[place]
        if isinstance(result, StoreFault):
            raise result
        return result

    async def beside(self, work: Callable[[Database], None], *, may_be_abandoned: bool = False) -> None:
        """Do something with the connection between two transactions.

        Being cancelled waits for its end, unless it may be abandoned; nothing may use the connection after that.
        """
        async with self._turn:
            await to_thread.run_sync(work, self._database, limiter=self._limiter, abandon_on_cancel=may_be_abandoned)

    async def _write(self, batch: _Batch) -> None:
        # Shielded because the others of the batch count on whoever came first. It takes a transaction or two, each
        # bounded by how long SQLite waits for others.
        with anyio.CancelScope(shield=True):
            async with self._turn:
                self._next = _Batch()
                try:
                    batch.results = await to_thread.run_sync(self._database.write, batch.steps, limiter=self._limiter)
                finally:
                    batch.written.set()
