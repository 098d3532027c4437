"""When a future is forgotten: its time is over, nobody can ask for it, or values take up too much memory."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator

import anyio
import anyio.lowlevel
import structlog

from asyncfc_mcp.core.events import Forgotten
from asyncfc_mcp.gateway.answering.delivery import Delivery
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.keeping.keeper import Keeper
from asyncfc_mcp.gateway.keeping.lifetimes import Lifetimes
from asyncfc_mcp.gateway.keeping.values import MOST_SETTLED, Values
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.store.base import FutureStore, StoreFault

SWEEP_S = 30.0
"""How often expired futures are looked for."""
CATCH_UP_S = 1.0
"""How often what the store could not take is offered to it again; until then nobody is told of it."""
LOOKED_AT_ONCE = 1_000
"""Futures that a sweep looks at before others get their turn."""
SHOWN_S = 60.0
"""How long a settled call waits for a client that was shown a question and has not come back."""

log = structlog.get_logger()


class Forgetter:
    """Keeps the table and the store from growing.

    Args:
        lifetimes: how long settled futures can be asked for.
        adopt: takes up the calls of gateways that have ended meanwhile.
    """

    def __init__(
        self,
        runner: Runner,
        table: FutureTable,
        delivery: Delivery,
        *,
        keeper: Keeper,
        values: Values,
        store: FutureStore,
        lifetimes: Lifetimes,
        adopt: Callable[[], Awaitable[None]],
    ) -> None:
        self._runner = runner
        self._table = table
        self._delivery = delivery
        self._keeper = keeper
        self._values = values
        self._store = store
        self._lifetimes = lifetimes
        self._adopt = adopt

    @property
    def is_full(self) -> bool:
        """Whether settled futures take up too much memory, and none of them may go."""
        is_over = self._values.excess_bytes > 0 or self._excess_futures > 0
        return is_over and not self._values.can_spill and next(self._seen(), None) is None

    @property
    def _excess_futures(self) -> int:
        return len(self._table) - self._runner.scheduler.unsettled_total - MOST_SETTLED

    def forget_unless_known(self, future: Future) -> None:
        """Forget a call that no token was ever given out for: nobody can ask for it again."""
        if not future.is_known and future.record.is_forgettable:
            self._forget(future)

    def _forget(self, future: Future) -> None:
        self._runner.send(Forgotten(future.call.future, time.monotonic()))
        self._delivery.drop(future)
        self._values.drop(future)
        self._table.remove(future)

    async def run(self) -> None:
        """Look for what can be forgotten, until cancelled."""
        while True:
            with anyio.move_on_after(min(SWEEP_S, self._lifetimes.now_s)):
                await self._catch_up()
            try:
                await self.sweep()
            except StoreFault as fault:
                log.warning("store_not_swept", why=str(fault))
            except Exception:  # one sweep that breaks must not end the gateway
                log.exception("sweep_broke")

    async def _catch_up(self) -> None:
        """See that the store gets soon what it could not take, until cancelled."""
        while True:
            await self._keeper.has_unwritten.wait()
            await anyio.sleep(CATCH_UP_S)
            with anyio.CancelScope(shield=True):
                await self._keeper.write_unwritten()

    async def sweep(self) -> None:
        """Look once.

        Raises:
            StoreFault: the store cannot do its part now; the next time it may.
        """
        self._delivery.drop_idle_scopes()
        fault: StoreFault | None = None
        # each by itself: what the store refuses in one must not keep the others from being done
        for part in (self._forget_what_may_go, self._keeper.catch_up, self._delete_expired, self._adopt):
            try:
                await part()
            except StoreFault as new:
                fault = fault or new
        if fault is not None:
            raise fault

    async def _forget_what_may_go(self) -> None:
        going = self._too_many()
        for future in going:
            self._forget(future)
        now = time.monotonic()
        for number, future in enumerate(self._table):
            if number % LOOKED_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
            is_known = self._table.holds(future.call.future)
            if is_known and future.has_expired(self._ends_before(future, now), now - SHOWN_S):
                self._forget(future)
                going.append(future)
        for future in self._values.too_many:
            if future.record.is_forgettable:
                self._forget(future)  # here, and not in the store
        await self._keeper.forget(going)

    async def _delete_expired(self) -> None:
        await self._values.hold_on_to(self._pinned_beyond_their_time(time.monotonic()))
        await self._store.delete_expired(time.time())

    def _pinned_beyond_their_time(self, now: float) -> list[Future]:
        """Those that the store is about to delete, and that pending calls refer to."""
        pinned = (one for one in self._table if one.is_spilled and one.record.pins)
        return [one for one in pinned if _settled_before(one, self._ends_before(one, now) + 2 * SWEEP_S)]

    def _ends_before(self, future: Future, now: float) -> float:
        """When it has to have settled for its time to be over."""
        settled_at = future.record.settled_at
        return now - self._lifetimes.of(now if settled_at is None else settled_at)

    def _too_many(self) -> list[Future]:
        """The oldest futures whose end the client has seen, as many as have to go for the rest to fit."""
        if self._values.can_spill:
            return []
        excess_bytes, excess_futures = self._values.excess_bytes, self._excess_futures
        going: list[Future] = []
        for future in self._seen():
            if excess_bytes <= 0 and excess_futures <= 0:
                break
            going.append(future)
            excess_bytes -= future.outcome.size_bytes if future.outcome is not None else 0
            excess_futures -= 1
        return going

    def _seen(self) -> Iterator[Future]:
        return (one for one in self._table if one.record.is_told and one.record.is_forgettable)


def _settled_before(future: Future, moment: float) -> bool:
    return future.record.settled_at is not None and future.record.settled_at < moment
