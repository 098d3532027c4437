"""What every store promises: the `FutureStore` protocol and the row it keeps. Tests hold all stores to one contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from asyncfc_mcp.core.future import Failure, FutureState


@dataclass(frozen=True, slots=True)
class StoredFuture:
    """One future as it is kept: all that a reader needs who was not there when it ran."""

    future: str
    """Its identity, never used twice."""
    token: str
    principal: str
    scope: str
    server: str
    tool: str
    state: FutureState
    created_at: float
    """Seconds since the epoch; so are the other times."""
    settled_at: float | None = None
    expires_at: float | None = None
    """When it may be deleted; None while it is unsettled."""
    failure: Failure | None = None
    result: Mapping[str, Any] | None = None
    """The result as the server sent it; None when there is none."""


class FutureStore(Protocol):
    """Keeps futures by their identity. Its methods may be called side by side; the last `put` of a future wins."""

    async def put(self, row: StoredFuture) -> None:
        """Keep a future, in place of what was known of it; it is durable when this returns."""
        ...

    async def get(self, future: str) -> StoredFuture | None:
        """The future, or None when it was never kept or has been deleted."""
        ...

    async def find(self, principal: str, token: str) -> StoredFuture | None:
        """The newest future of that principal under that token, or None."""
        ...

    async def delete(self, future: str) -> None:
        """Forget a future; no error when it is not there."""
        ...

    async def delete_expired(self, now: float) -> int:
        """Forget every future whose time is over; how many they were."""
        ...

    async def count(self) -> int:
        """How many futures are kept."""
        ...

    async def close(self) -> None:
        """Give back what it holds; it is not used afterwards."""
        ...
