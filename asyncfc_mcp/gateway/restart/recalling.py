"""Futures of earlier processes: found in the store by the token that a client still holds, and made known again.

What is recalled has settled; it is attached to nothing, orders nothing, and can be read and referred to like any other.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from asyncfc_mcp.core.events import Call, Recalled
from asyncfc_mcp.core.future import SETTLED, Failure, FailureReason, FutureState
from asyncfc_mcp.core.reference import token_shapes
from asyncfc_mcp.core.token import UNGUESSABLE_BITS, is_unguessable, mint, normalise, slug_of
from asyncfc_mcp.downstream.outcome import Outcome
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import NOTHING_ASKED, Future
from asyncfc_mcp.gateway.keeping.kept_call import UNWRITTEN, as_rpc_error, read_call
from asyncfc_mcp.gateway.keeping.values import Values
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.store.base import FutureStore, StoredFuture

MOST_LOOKED_UP = 256
"""Words of one request that are looked up: a text may be full of what looks like tokens."""


class RunsElsewhere(GatewayError):
    """A future that another gateway, which is alive, answers for."""

    def __init__(self, row: StoredFuture, token: str) -> None:
        super().__init__(
            f"{token} ({row.server}: {row.tool_name}) runs in another window: another gateway that shares this store "
            "answers for it. It can be read here once it has settled."
        )
        self.token = token


class Recalling:
    """Looks up what the table does not know.

    Args:
        runner: has the scheduler.
        table: the futures that are known.
        values: counts what is brought into memory.
        store: where earlier processes have kept theirs.
    """

    def __init__(self, runner: Runner, table: FutureTable, values: Values, store: FutureStore) -> None:
        self._runner = runner
        self._table = table
        self._values = values
        self._store = store
        self.adopt: Callable[[], Awaitable[None]] | None = None
        """Takes up what gateways that have ended were at."""

    def unknown(self, caller: Caller, arguments: Mapping[str, Any] | None) -> tuple[str, ...]:
        """The words that might be tokens of earlier processes; none for nearly every request."""
        if not arguments or not self._store.outlives:
            return ()
        shapes = (normalise(shape) for shape in token_shapes(arguments))
        tokens = dict.fromkeys(token for token in shapes if token is not None)
        return tuple(token for token in tokens if not self._has_meant(caller, token))[:MOST_LOOKED_UP]

    async def recall(self, caller: Caller, tokens: tuple[str, ...]) -> None:
        """Make known what the store has under these tokens, for the caller to see.

        Raises:
            RunsElsewhere: one of them has not settled, and is not ours.
            StoreFault: the store cannot say.
        """
        for token in tokens:
            if not self._has_meant(caller, token):
                row = await self._store.find(caller.principal, token, caller.scope)
                if row is not None and self._comes_first(caller, row, token):
                    await self._make_known(caller, row, token)

    async def recall_keyed(self, caller: Caller, key: str) -> Future | None:
        """The future that a call with this key has become in an earlier process, made known.

        Raises:
            RunsElsewhere: it has not settled, and is not ours.
            StoreFault: the store cannot say.
        """
        row = await self._store.find_keyed(caller.principal, key) if self._store.outlives else None
        if row is None:
            return None
        kept = read_call(row) or UNWRITTEN
        identity = kept.future or row.future
        # of a token that was not stored there is a hash alone, so the call is told under another one
        token = kept.token or mint(slug_of(row.tool), secrets.randbits(UNGUESSABLE_BITS), UNGUESSABLE_BITS)
        await self._make_known(caller, row, token, identity)
        return self._table.known(identity)

    async def by_identity(self, caller: Caller, identity: str, token: str) -> Future | None:
        """The settled future of that identity, made known; None when there is none."""
        known = self._table.known(identity)
        if known is not None or not self._store.outlives:
            return known
        row = await self._store.get(identity)
        if row is None or row.state not in SETTLED:
            return self._table.known(identity)
        return self._table.known(identity) or self._enter(caller, row, token, identity)

    async def _make_known(
        self, caller: Caller, row: StoredFuture | None, token: str, identity: str | None = None
    ) -> None:
        if row is not None and row.state not in SETTLED:
            if self.adopt is not None:
                await self.adopt()
            if self._is_known(caller, token, identity):
                return
            # it may have settled meanwhile
            look_up = self._store.get(identity) if identity else self._store.find(caller.principal, token, caller.scope)
            row = await look_up
        if row is None or not _is_visible(caller, row, token) or self._is_known(caller, token, identity):
            return
        if row.state not in SETTLED:
            raise RunsElsewhere(row, token)
        self._enter(caller, row, token, identity)

    def _is_known(self, caller: Caller, token: str, identity: str | None) -> bool:
        if identity is not None:
            return self._table.holds(identity)
        return self._has_meant(caller, token)

    def _comes_first(self, caller: Caller, row: StoredFuture, token: str) -> bool:
        """Whether the row is rather meant than what the table has for the caller under that token."""
        found = self._table.find(caller, token)
        if found is None or row.scope == caller.scope:
            return True
        return found.is_recalled and row.created_at > found.created_at

    def _has_meant(self, caller: Caller, token: str) -> bool:
        """Whether what the table has under a token is what the caller means: a name means one's own scope first."""
        found = self._table.find(caller, token)
        return found is not None and (not found.is_named or found.caller.scope == caller.scope)

    def _enter(self, caller: Caller, row: StoredFuture, token: str, identity: str | None) -> Future:
        kept = read_call(row) or UNWRITTEN
        call = Call(identity or kept.future or row.future, token, row.scope, row.server, row.tool_name, ())
        owner = replace(caller, scope=row.scope, session=None, ends_with=None)
        origins = frozenset(kept.origins)
        future = Future(call, owner, kept.tool(row), NOTHING_ASKED, row.created_at, origins=origins)
        future.is_recalled = future.is_out = True
        future.is_named = kept.is_named
        future.key, future.digest = row.key, kept.digest
        future.outcome = Outcome(dict(row.result)) if row.result is not None else None
        future.late = Outcome(dict(row.late)) if row.late is not None else None
        future.late_s = kept.late_s
        future.rpc_error = as_rpc_error(kept.rpc_error)
        self._table.add(future)
        self._runner.send(_recalled(call, row))
        future.settled.set()
        future.is_safe.set()
        self._values.count(future)
        self._values.note_kept(future)
        return future


def _is_visible(caller: Caller, row: StoredFuture, token: str) -> bool:
    """Whether it is there for this caller: strangers share a principal, and could guess each other's names."""
    if row.expires_at is not None and row.expires_at <= time.time():
        return False
    if not caller.is_anonymous or is_unguessable(token):
        return True
    return caller.has_own_scope and caller.scope == row.scope


def _recalled(call: Call, row: StoredFuture) -> Recalled:
    """The times of the row on this process's clock."""
    now, behind_s = time.monotonic(), time.time() - time.monotonic()
    settled_at = row.settled_at - behind_s if row.settled_at is not None else now
    failure = row.failure
    if failure is None and row.state is not FutureState.RESOLVED:
        is_cancelled = row.state is FutureState.CANCELLED
        failure = Failure(FailureReason.CANCELLED if is_cancelled else FailureReason.INTERNAL, "why was not stored")
    return Recalled(call, row.state, now, row.created_at - behind_s, settled_at, failure)
