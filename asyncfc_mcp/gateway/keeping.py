"""Durable is what the client was told.

A future is written before its token leaves, before its server is called if its client knows of it by then, and as it
settles.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.kept_call import write_call
from asyncfc_mcp.gateway.reporting import nameable
from asyncfc_mcp.store.base import FutureStore, StoredFuture, StoreFault

log = structlog.get_logger()


class NotKept(GatewayError):
    """A call that cannot be made durable, so its token must not leave."""

    def __init__(self, tool: str, fault: StoreFault, *, has_started: bool) -> None:
        risk = "It had started and is asked to stop; it may have taken effect." if has_started else "It never started."
        super().__init__(
            f"{tool} cannot be answered with a token, since the store cannot keep it: {fault} {risk} A call whose "
            "value is waited for needs no store: with _wait_s it can be."
        )
        self.tool = tool


class NotSent(GatewayError):
    """A call that a client knows of, and that cannot be made durable before it is sent to its server."""

    def __init__(self, tool: str, fault: StoreFault) -> None:
        super().__init__(f"{tool} was not sent to its server, since the store cannot keep that it runs: {fault}")
        self.tool = tool


class Keeper:
    """Writes futures to the store. A call that was answered inline and left no token writes nothing.

    Args:
        store: where they go.
        ttl_s: how long a settled one can be asked for.
        fingerprints: of the servers' entries, by key.
    """

    def __init__(self, store: FutureStore, ttl_s: float, fingerprints: Mapping[str, str]) -> None:
        self._store = store
        self._ttl_s = ttl_s
        self._fingerprints = fingerprints
        self._unwritten: dict[str, Future] = {}
        """Settled futures that the store could not take."""
        self._told: list[str] = []
        """Futures whose clients have seen how they settled since the store was last told."""
        self.on_settled_kept: Callable[[Future], None] | None = None
        """Hears of each settled future that the store has."""

    async def let_out(self, future: Future) -> None:
        """Make the future durable, so that its token may leave.

        Raises:
            NotKept: it is not, and must not.
        """
        was_out, future.is_out = future.is_out, True
        try:
            await self._put(future)
        except BaseException as fault:
            future.is_out = was_out
            if isinstance(fault, StoreFault):
                raise NotKept(future.tool_name, fault, has_started=_has_started(future)) from fault
            raise

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
                await self._put(future)
        except StoreFault as fault:
            self._unwritten[future.call.future] = future
            log.warning("future_not_stored", token=nameable(future), tool=future.tool_name, why=str(fault))
        finally:
            future.is_safe.set()

    async def catch_up(self) -> None:
        """Write what the store could not take before, and what clients have been told since."""
        for future in list(self._unwritten.values()):
            try:
                await self._put(future)
            except StoreFault as fault:
                log.warning("store_still_fails", waiting=len(self._unwritten), why=str(fault))
                return
        told, self._told = self._told, []
        try:
            if told:
                await self._store.mark_told(told)
        except StoreFault as fault:  # what it is good for is which values go first when there is no room
            log.warning("told_not_stored", why=str(fault))

    def note_told(self, future: Future) -> None:
        """The client has seen how the future settled."""
        if future.is_known and self._store.outlives:
            self._told.append(future.call.future)

    async def forget(self, future: Future) -> None:
        """Its time is over."""
        self._unwritten.pop(future.call.future, None)
        if future.is_known:
            await self._store.delete(future.call.future)

    async def _put(self, future: Future) -> None:
        is_settled = future.record.is_settled
        row = self._row(future)
        if future.is_spilled and (kept := await self._store.get(future.call.future)) is not None:
            row = replace(row, result=kept.result)
        await self._store.put(row)
        if is_settled:
            self._unwritten.pop(future.call.future, None)
            if self.on_settled_kept is not None:
                self.on_settled_kept(future)

    def _row(self, future: Future) -> StoredFuture:
        record = future.record
        settled_at = None
        if record.settled_at is not None:  # on the monotonic clock, which says nothing to another process
            settled_at = time.time() - (time.monotonic() - record.settled_at)
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
            expires_at=settled_at + self._ttl_s if settled_at is not None else None,
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
        return write_call(future, self._fingerprints.get(future.policy.server, ""))


def _has_started(future: Future) -> bool:
    return future.record.started_at is not None and future.record.state is not FutureState.PENDING
