"""Where the values of settled futures are: in memory, or in the store alone once they take up too much of it.

Whoever is about to read values loads them first, which also sees to it that no client is told what is not durable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from asyncfc_mcp.core.future import SETTLED, FutureState, Move
from asyncfc_mcp.core.reference import ArgumentFault
from asyncfc_mcp.downstream.outcome import Outcome
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.keeping.keeper import NotKeptYet
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.store.base import FutureStore, StoredFuture

SMALLEST_SPILLED_BYTES = 4_096
"""Smaller values stay in memory: they are what is attached to answers, and would free little."""
MOST_SETTLED = 20_000
"""Settled futures in memory. Where the store keeps their values older ones are read from there again when they are
asked for; elsewhere the oldest that were told are forgotten early."""


class ValueGone(ArgumentFault):
    """Futures have resolved, and their values are nowhere any more."""

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__("", in_words_gone(tokens[0]))
        self.tokens = tokens


def in_words_gone(token: str) -> str:
    """What is said in the place of a value that is nowhere any more."""
    return (
        f"the value of {token} is not kept any more: values are not stored here (store_values), the store had no "
        "room left for the oldest (store_max_mb), or it was purged. That it has resolved is certain; if its call may "
        "be made once more, send it again, with a new idempotency key if it had one."
    )


class Values:
    """Keeps what is in memory within bounds, and brings back what is not.

    Args:
        table: the futures.
        store: where values are that are not in memory.
        most_bytes: of values in memory.
        can_spill: whether the store keeps values.
    """

    def __init__(self, table: FutureTable, store: FutureStore, *, most_bytes: float, can_spill: bool) -> None:
        self._table = table
        self._store = store
        self.most_bytes = most_bytes
        self.can_spill = can_spill
        """Whether values leave memory for the store, and not for good."""
        self._sizes: dict[str, int] = {}
        """Of the values in memory, by the identity of their futures."""
        self._total = 0
        self._large: dict[str, Future] = {}
        """Those that may leave memory, longest unread first."""
        self._kept: dict[str, Future] = {}
        """Settled futures that the store has whole, oldest first."""
        self._wanted: Counter[str] = Counter()
        """Those that somebody is bringing together right now."""

    @property
    def total_bytes(self) -> int:
        """How much memory all values take up."""
        return self._total

    @property
    def excess_bytes(self) -> float:
        """How much more that is than it may be."""
        return self._total - self.most_bytes

    # Coming and going

    def on_move(self, move: Move, future: Future) -> None:
        """Count a value that has come."""
        if move.to_state in SETTLED:
            self.count(future)

    def count(self, future: Future) -> None:
        """Count what a future holds in memory now."""
        identity = future.call.future
        size = sum(one.size_bytes for one in (future.outcome, future.late) if one is not None)
        self._total += size - self._sizes.pop(identity, 0)
        if size:
            self._sizes[identity] = size

    def drop(self, future: Future) -> None:
        """The future is being forgotten."""
        self._total -= self._sizes.pop(future.call.future, 0)
        self._large.pop(future.call.future, None)
        self._kept.pop(future.call.future, None)

    @property
    def too_many(self) -> list[Future]:
        """The oldest futures that the store has whole, as many as need not be in memory."""
        return list(islice(self._kept.values(), max(0, len(self._kept) - MOST_SETTLED)))

    def note_kept(self, future: Future) -> None:
        """The store has the value, so it may leave memory."""
        outcome = future.outcome
        if self.can_spill:
            self._kept[future.call.future] = future
        if self.can_spill and outcome is not None and outcome.size_bytes > SMALLEST_SPILLED_BYTES:
            self._large[future.call.future] = future
            self._spill()

    def _spill(self) -> None:
        if self._total <= self.most_bytes:
            return
        for identity, future in list(self._large.items()):
            if self._total <= self.most_bytes:
                return
            if identity not in self._wanted:
                del self._large[identity]
                future.outcome, future.is_spilled = None, True
                self.count(future)

    # Reading

    async def load(self, futures: Iterable[Future]) -> None:
        """Have the values of these futures in memory, as far as they have settled; until the caller awaits again.

        Raises:
            ValueGone: some of them are nowhere.
            StoreFault: the store cannot give it back, or could not take it yet.
        """
        settled = [future for future in futures if future.record.is_settled]
        if all(_is_at_hand(future) for future in settled):
            self._touch(settled)
            return
        identities = [future.call.future for future in settled]
        self._wanted.update(identities)
        try:
            for future in settled:
                await _until_kept(future)
                if future.is_spilled:
                    self._restore(future, await self._store.get(future.call.future))
        finally:
            self._wanted -= Counter(identities)
        gone = [future.token for future in settled if not _is_at_hand(future)]
        if gone:
            raise ValueGone(gone)
        self._touch(settled)
        self._spill_beside(settled)

    async def until_kept(self, futures: Iterable[Future]) -> None:
        """Wait until the store has how these settled, as far as they have: what a client is told must be durable.

        Raises:
            NotKeptYet: the store could not take it yet.
        """
        for future in futures:
            if future.record.is_settled:
                await _until_kept(future)

    async def hold_on_to(self, futures: Iterable[Future]) -> None:
        """Bring values back into memory for good, since the store is about to delete them.

        Raises:
            StoreFault: the store cannot give them back.
        """
        for future in futures:
            self._restore(future, await self._store.get(future.call.future))
            self._large.pop(future.call.future, None)

    def _restore(self, future: Future, row: StoredFuture | None) -> None:
        if not future.is_spilled or row is None or row.result is None:
            return
        future.outcome, future.is_spilled = Outcome(dict(row.result)), False
        if self._table.holds(future.call.future):
            self.count(future)
            self._large[future.call.future] = future

    def _touch(self, futures: Iterable[Future]) -> None:
        for future in futures:
            if (large := self._large.pop(future.call.future, None)) is not None:
                self._large[future.call.future] = large

    def _spill_beside(self, futures: list[Future]) -> None:
        """Make room, though not of what is about to be read."""
        identities = [future.call.future for future in futures]
        self._wanted.update(identities)
        self._spill()
        self._wanted -= Counter(identities)


async def _until_kept(future: Future) -> None:
    await future.is_safe.wait()
    if future.unkept is not None:
        raise NotKeptYet(future, future.unkept)


def _is_at_hand(future: Future) -> bool:
    if not future.is_safe.is_set() or future.unkept is not None or future.is_spilled:
        return False
    return future.outcome is not None or future.record.state is not FutureState.RESOLVED
