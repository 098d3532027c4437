"""What every store promises: the `FutureStore` protocol and the row it keeps. Tests hold all stores to one contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from asyncfc_mcp.core.future import Failure, FutureState
from asyncfc_mcp.errors import GatewayError


class StoreFault(GatewayError):
    """The store cannot do what was asked of it; the message says why and what would help."""


class StoreFull(StoreFault):
    """There is no room for one more row: the disk or the size limit of the file is full."""


@dataclass(frozen=True, slots=True)
class StoredFuture:
    """One future as it is kept: all that a reader needs who was not there when it ran."""

    future: str
    """Its identity, never used twice. Stores may keep a hash of it: whoever asks with it gets it back, and who asks
    otherwise gets a reference instead, which every method of the store takes for it."""
    token: str
    """Likewise; empty in a row that was not asked for by it, and a row that is put with an empty one keeps its own."""
    principal: str
    scope: str
    server: str
    tool: str
    """The tool's own name."""
    tool_name: str
    """The tool's name as clients see it."""
    state: FutureState
    created_at: float
    """Seconds since the epoch; so are the other times."""
    settled_at: float | None = None
    expires_at: float | None = None
    """When it may be deleted; None while it is unsettled."""
    failure: Failure | None = None
    result: Mapping[str, Any] | None = None
    """The result as the server sent it; None when there is none, or values are not stored."""
    late: Mapping[str, Any] | None = None
    """What the server answered after the future had settled without it."""
    labels: tuple[str, ...] = ()
    """In words, for people who look into the store."""
    is_told: bool = False
    """Whether the client has seen how it settled."""
    owner: str = ""
    """The gateway that brings it to its end, as `FutureStore.owner` named itself; empty once it is settled."""
    key: str | None = None
    """The client's own key of the call (a hash of it), under which a repeated call finds this future."""
    call: Mapping[str, Any] | None = None
    """What is needed to go on with the call after a restart, or to answer for it again; opaque to the store."""


class FutureStore(Protocol):
    """Keeps futures by their identity. Its methods may be called side by side; the last `put` of a future wins.

    Every method may raise `StoreFault`; what was kept before stays as it was.
    """

    @property
    def owner(self) -> str:
        """The name of this gateway in the rows that it answers for; no other gateway ever bears it."""
        ...

    @property
    def outlives(self) -> bool:
        """Whether it still knows, after this process, what it was given."""
        ...

    @property
    def faults(self) -> int:
        """How often it could not do what was asked of it."""
        ...

    async def open(self) -> None:
        """Get ready; called once, before anything else.

        Raises:
            StoreFault: it cannot be used; nothing was overwritten.
        """
        ...

    async def put(self, row: StoredFuture) -> None:
        """Keep a future, in place of what was known of it; it is durable when this returns.

        Raises:
            StoreFull: there is no room, even without the oldest settled futures.
        """
        ...

    async def mark_told(self, futures: Sequence[str]) -> None:
        """Note that the client has seen how these futures settled; those that are not there are passed over."""
        ...

    async def get(self, future: str) -> StoredFuture | None:
        """The future, or None when it was never kept or has been deleted."""
        ...

    async def find(self, principal: str, token: str, scope: str = "") -> StoredFuture | None:
        """The newest future of that principal under that token, or None; one of that scope comes before all others."""
        ...

    async def find_keyed(self, principal: str, key: str) -> StoredFuture | None:
        """The newest future of that principal under that key, or None; its `call` says its identity and token."""
        ...

    async def adopt(self) -> Sequence[StoredFuture]:
        """The unsettled futures of gateways that are gone, oldest first; from now on this gateway answers for them.

        No two gateways are given the same one, and none is given what another kind of gateway has left: only its own
        kind meets the same clients again.
        """
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
