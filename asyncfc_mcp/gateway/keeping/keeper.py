"""Durable is what the client was told.

A future is written before its token leaves, before its server is called if its client knows of it by then, and as it
settles.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import structlog

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.keeping.kept_call import write_call
from asyncfc_mcp.gateway.keeping.lifetimes import Lifetimes
from asyncfc_mcp.gateway.reporting import nameable
from asyncfc_mcp.store.base import FutureStore, StoredFuture, StoreFault
from asyncfc_mcp.store.faults import LimitReached

MOST_TOLD = 20_000
"""Futures whose clients have seen how they settled, and the store does not know: the oldest are let go, since it is
only good for which values go first when there is no room."""

log = structlog.get_logger()


class NotKept(GatewayError):
    """A call that cannot be made durable, so its token must not leave."""

    def __init__(self, tool: str, fault: StoreFault, *, has_started: bool) -> None:
        risk = "It had started and is asked to stop; it may have taken effect." if has_started else "It never started."
        super().__init__(
            f"{tool} cannot be answered with a token, since the store cannot keep it: {fault}. {risk} A call whose "
            "value is waited for needs no store: with _wait_s it can be."
        )
        self.tool = tool


class NotSent(GatewayError):
    """A call that a client knows of, and that cannot be made durable before it is sent to its server."""

    def __init__(self, tool: str, fault: StoreFault) -> None:
        super().__init__(f"{tool} was not sent to its server, since the store cannot keep that it runs: {fault}")
        self.tool = tool


class NotKeptYet(StoreFault):
    """A future that has settled, which nobody is told before the store has it: a restart would undo it."""

    def __init__(self, future: Future, fault: StoreFault) -> None:
        super().__init__(
            f"{future.token} ({future.tool_name}) has settled, and how cannot be stored: {fault}. Once it is stored, "
            "it can be read with this token; the call need not be sent again."
        )
        self.tokens = (future.token,)


class Keeper:
    """Writes futures to the store. A call that was answered inline and left no token writes nothing.

    Args:
        store: where they go.
        lifetimes: how long settled ones can be asked for.
        fingerprints: of the servers' entries, by key.
    """

    def __init__(self, store: FutureStore, lifetimes: Lifetimes, fingerprints: Mapping[str, str]) -> None:
        self._store = store
        self._lifetimes = lifetimes
        self.fingerprints = fingerprints
        self._unwritten: dict[str, Future] = {}
        """Settled futures that the store could not take."""
        self._told: deque[str] = deque(maxlen=MOST_TOLD)
        """Futures whose clients have seen how they settled since the store was last told."""
        self.has_unwritten = anyio.Event()
        """Set while there are any."""
        self.on_settled_kept: Callable[[Future], None] | None = None
        """Hears of each settled future that the store has."""

    async def let_out(self, future: Future, hold: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint) -> None:
        """Make the future durable and wait out `hold`, so that its token may leave.

        Raises:
            NotKept: it is not, and must not.
        """
        was_out, future.is_out = future.is_out, True
        try:
            await self._put(future)
            # a write may not notice that its request has ended meanwhile; without an answer the token is nobody's
            await anyio.lowlevel.checkpoint_if_cancelled()
            await hold()
        except BaseException as fault:
            future.is_out = was_out
            if isinstance(fault, StoreFault):
                raise NotKept(future.tool_name, fault, has_started=_has_started(future)) from fault
            await self._take_back(future)
            raise

    async def _take_back(self, future: Future) -> None:
        """Drop the row of a call whose request ended while it was written: nobody knows of it, so nobody settles it."""
        if future.is_known:
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._store.delete(future.call.future)
            except StoreFault as fault:
                log.warning("row_not_taken_back", token=nameable(future), tool=future.tool_name, why=str(fault))

    async def keep_if_known(self, future: Future) -> None:
        """Make the future as it is now durable, if a client knows of it.

        Raises:
            StoreFault: it is not.
        """
        if future.is_known:
            await self._put(future)

    async def keep_before_sending(self, future: Future) -> None:
        """Make durable that the call is at work, if a client knows of it.

        Raises:
            NotSent: it is not, and so must not be sent.
        """
        try:
            await self.keep_if_known(future)
        except StoreFault as fault:
            raise NotSent(future.tool_name, fault) from fault

    async def keep_settled(self, future: Future) -> None:
        """Make durable how the future settled, if a client knows of it; what fails now is tried again later."""
        try:
            if future.is_known:
                await self._put_settled(future)
        except StoreFault as fault:
            self._unwritten[future.call.future] = future
            self.has_unwritten.set()
            future.unkept = fault
            log.warning("future_not_stored", token=nameable(future), tool=future.tool_name, why=str(fault))
        finally:
            future.is_safe.set()

    async def write_unwritten(self) -> StoreFault | None:
        """Write what the store could not take before; why it still cannot."""
        for future in list(self._unwritten.values()):
            try:
                await self._put_settled(future)
            except StoreFault as fault:
                return fault
        if not self._unwritten:
            self.has_unwritten = anyio.Event()
        return None

    async def catch_up(self) -> None:
        """Write what the store could not take before, and what clients have been told since."""
        if (fault := await self.write_unwritten()) is not None:
            log.warning("store_still_fails", waiting=len(self._unwritten), why=str(fault))
            return
        told = list(self._told)
        self._told.clear()
        try:
            if told:
                await self._store.mark_told(told)
        except StoreFault as fault:  # what it is good for is which values go first when there is no room
            log.warning("told_not_stored", why=str(fault))

    def note_told(self, future: Future) -> None:
        """The client has seen how the future settled."""
        if future.is_known and self._store.outlives:
            self._told.append(future.call.future)

    async def forget(self, futures: Iterable[Future]) -> None:
        """Their time is over.

        Raises:
            StoreFault: the store still has some of them, until it deletes what has expired.
        """
        known: list[str] = []
        for future in futures:
            self._unwritten.pop(future.call.future, None)
            if future.is_known:
                known.append(future.call.future)
        for identity in known:
            await self._store.delete(identity)

    async def _put_settled(self, future: Future) -> None:
        try:
            await self._put(future)
        except LimitReached as fault:
            # a value that will never fit is told as long as memory has it, and that it was there is durable
            await self._store.put(replace(self._row(future), result=None, late=None))
            self._note_written(future)
            log.warning("value_not_stored", token=nameable(future), tool=future.tool_name, why=str(fault))

    async def _put(self, future: Future) -> None:
        is_settled = future.record.is_settled
        row = self._row(future)
        if future.is_spilled and (kept := await self._store.get(future.call.future)) is not None:
            row = replace(row, result=kept.result)
        await self._store.put(row)
        if is_settled:
            self._note_written(future)
            if self.on_settled_kept is not None:
                self.on_settled_kept(future)

    def _note_written(self, future: Future) -> None:
        self._unwritten.pop(future.call.future, None)
        future.unkept = None

    def _row(self, future: Future) -> StoredFuture:
        record = future.record
        settled_at = expires_at = None
        if record.settled_at is not None:  # on the monotonic clock, which says nothing to another process
            settled_at = time.time() - (time.monotonic() - record.settled_at)
            expires_at = settled_at + self._lifetimes.of(record.settled_at)
        return StoredFuture(
            future=future.call.future,
            token=future.token,
            principal=future.caller.principal,
            scope=future.caller.scope,
            server=future.policy.server,
            tool=future.policy.tool,
            tool_name=future.tool_name,
            state=record.state,
            created_at=future.created_at,
            settled_at=settled_at,
            expires_at=expires_at,
            failure=record.failure,
            result=future.outcome.result if future.outcome is not None else None,
            late=future.late.result if future.late is not None else None,
            labels=tuple(str(label) for label in future.call.labels),
            is_told=record.is_told,
            owner="" if record.is_settled else self._store.owner,
            key=future.key,
            call=self._call(future),
        )

    def _call(self, future: Future) -> dict[str, Any] | None:
        """What another process needs; nothing where there will be none."""
        if not self._store.outlives:
            return None
        return write_call(future, self.fingerprints.get(future.policy.server, ""))


def _has_started(future: Future) -> bool:
    return future.record.started_at is not None and future.record.state is not FutureState.PENDING
