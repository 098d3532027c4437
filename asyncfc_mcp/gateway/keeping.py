"""Durable is what the client was told: a future goes to the store before its token leaves, and again as it settles."""

from __future__ import annotations

import time

from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.store.base import FutureStore, StoredFuture


class Keeper:
    """Writes futures to the store. A call that was answered inline and left no token writes nothing."""

    def __init__(self, store: FutureStore, ttl_s: float) -> None:
        self._store = store
        self._ttl_s = ttl_s

    async def let_out(self, future: Future) -> None:
        """Make the future durable, so that its token may leave."""
        future.is_out = True
        await self._store.put(self._row(future))

    async def keep_if_out(self, future: Future) -> None:
        """Make the future as it is now durable, if a client knows of it."""
        if future.is_out or future.is_named:
            await self._store.put(self._row(future))

    async def forget(self, future: Future) -> None:
        """Its time is over."""
        if future.is_out or future.is_named:
            await self._store.delete(future.call.future)

    def _row(self, future: Future) -> StoredFuture:
        record = future.record
        now = time.time()
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
            settled_at=now if record.is_settled else None,
            expires_at=now + self._ttl_s if record.is_settled else None,
            failure=record.failure,
            result=future.outcome.result if future.outcome is not None else None,
            labels=tuple(str(label) for label in future.call.labels),
            is_told=record.is_told,
            owner="" if record.is_settled else self._store.owner,
        )
