"""Calls that come again under a key of their client's own: the same future, never a second execution.

A key is kept as a hash. It stands for one call, its arguments included, for as long as the future can be read; a call
that never reached its server gives its key back, since sending it again is what the client then wants.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from asyncfc_mcp.core.future import FailureReason, FutureState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import UNGUESSABLE_CHARACTERS, Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.table import FutureTable

KEY_META_KEY = "asyncfc/idempotencyKey"
LONGEST_KEY = 200
_NEVER_SENT = frozenset({FailureReason.NOT_STARTED, FailureReason.UNAVAILABLE, FailureReason.UNSEEN_FAILURE})

RecallKeyed = Callable[[Caller, str], Awaitable[Future | None]]
"""Brings back from the store the future of a caller under the hash of a key, if there is one."""


class BadKey(GatewayError):
    """What a client sent as the key of a call cannot be one."""

    def __init__(self, fact: str) -> None:
        super().__init__(
            f"not started: _meta {KEY_META_KEY} {fact}; it is a text of 1 to {LONGEST_KEY} characters that names this "
            "one call, such as a UUID, and stays the same when the call is sent again"
        )
        self.fact = fact


class GuessableKey(GatewayError):
    """The key of a caller whom nothing tells apart from strangers is so short that one of those may use it too."""

    def __init__(self) -> None:
        super().__init__(
            f"not started: _meta {KEY_META_KEY} is shorter than {UNGUESSABLE_CHARACTERS} characters, and this "
            "connection is shared with callers that could use the same one; use one that nobody else would choose, "
            "such as a UUID, or have the client name its conversation with the header Asyncfc-Scope"
        )


class KeyUsed(GatewayError):
    """A key comes with another call than the one that it stands for."""

    def __init__(self) -> None:
        super().__init__(
            f"not started: _meta {KEY_META_KEY} already stands for a call of another tool or with other arguments. "
            "Send that call unchanged to have its result, or give this one a new key"
        )


@dataclass(frozen=True, slots=True)
class CallKey:
    """What a client calls one call, however often it sends that."""

    name: str
    """A hash of the key; the key itself is kept nowhere."""
    digest: str
    """Of the tool and the arguments; only who has the key can tell what they may have been."""

    @classmethod
    def of(cls, given: object, caller: Caller, tool: str, arguments: dict[str, Any] | None) -> CallKey:
        """The key that a client has given to this call.

        Raises:
            BadKey, GuessableKey: it cannot be taken.
        """
        if not isinstance(given, str):
            raise BadKey("is no text")
        if not given:
            raise BadKey("is empty")
        if len(given) > LONGEST_KEY:
            raise BadKey(f"has {len(given)} characters")
        key = given.encode("utf-8", "surrogatepass")
        call = json.dumps([tool, arguments or {}], sort_keys=True, separators=(",", ":")).encode()
        return cls(
            name=hashlib.sha256(_whose(given, caller).encode() + b"\0" + key).hexdigest(),
            digest=hmac.digest(key, call, "sha256").hex(),
        )


def _whose(key: str, caller: Caller) -> str:
    """Within a principal: nothing, unless anonymous callers share that, and others might choose the same key."""
    if not caller.is_anonymous or len(key) >= UNGUESSABLE_CHARACTERS:
        return ""
    if not caller.has_own_scope:
        raise GuessableKey
    return caller.scope


class Repeats:
    """Finds the future that a repeated call means.

    Args:
        table: has those of this process.
        recall: brings back those of earlier ones.
    """

    def __init__(self, table: FutureTable, recall: RecallKeyed) -> None:
        self._table = table
        self._recall = recall
        self._doors: dict[tuple[str, str], anyio.Lock] = {}
        """Of the keys under which a call is coming in right now."""

    @asynccontextmanager
    async def alone(self, caller: Caller, key: CallKey) -> AsyncGenerator[None]:
        """Keep out other calls with that key, until this one is taken in or refused."""
        place = caller.principal, key.name
        door = self._doors.setdefault(place, anyio.Lock())
        try:
            async with door:
                yield
        finally:
            if not door.statistics().tasks_waiting and not door.locked():
                self._doors.pop(place, None)

    async def find(self, caller: Caller, key: CallKey) -> Future | None:
        """The future of an earlier call with that key; None when this one is the first to reach its server.

        Raises:
            KeyUsed: it was another call.
        """
        future = self._table.keyed(caller.principal, key.name) or await self._recall(caller, key.name)
        if future is None or _was_never_sent(future):
            return None
        if future.digest not in (key.digest, None):
            raise KeyUsed
        return future


def _was_never_sent(future: Future) -> bool:
    """Whether it has settled, against the client's will, without ever having been with its server."""
    record = future.record
    if record.state is FutureState.CANCELLED:
        return record.started_at is None and not (future.is_given_up or future.is_recalled)
    return record.failure is not None and record.failure.reason in _NEVER_SENT
