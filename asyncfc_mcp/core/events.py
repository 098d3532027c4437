"""What may happen to the scheduler. Every event says when, in seconds on one clock of the caller's choosing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asyncfc_mcp.core.future import Failure, FutureState
from asyncfc_mcp.core.label import Access, Label


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the scheduler sees it: what it touches and needs, not what it says."""

    future: str
    """Its identity, never used twice; a token may be, once its future has expired."""
    token: str
    """What the client calls it."""
    scope: str
    server: str
    tool: str
    labels: tuple[Label, ...]
    needs: frozenset[str] = frozenset()
    """The futures whose values its arguments refer to; all of them known to the scheduler."""

    @property
    def writes(self) -> bool:
        """Whether it may change anything."""
        return any(label.access is Access.WRITE for label in self.labels)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A call has arrived."""

    call: Call
    at: float
    had_started: bool = False
    """Whether it had its turn in an earlier process, so that nothing is in its way and no failure stops it."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A future that had settled before is known again: it can be referred to, orders nothing and tells nothing."""

    call: Call
    """Without labels and needs."""
    state: FutureState
    at: float
    arrived_at: float
    settled_at: float
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The request that brought the call has been answered, dropped or cancelled: the client may act on that."""

    future: str
    at: float
    with_token: bool
    """Whether the client, who alone sends what comes next in the scope, holds the token now."""


@dataclass(frozen=True, slots=True)
class Told:
    """The client has seen how the future settled."""

    future: str
    at: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of a dispatched call; None in `failure` means that there is a value."""

    future: str
    at: float
    failure: Failure | None = None
    has_ended: bool = True
    """False when the server may still be at work (a time-out): labels stay held until `Ended`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The downstream call is really over, or its grace is: labels are released."""

    future: str
    at: float


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the call stopped."""

    future: str
    at: float
    message: str


@dataclass(frozen=True, slots=True)
class InputRequired:
    """The running call waits for the user."""

    future: str
    at: float


@dataclass(frozen=True, slots=True)
class InputProvided:
    """The user has answered; the call goes on."""

    future: str
    at: float


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A settled future has expired and can no longer be referred to."""

    future: str
    at: float


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """Other limits and rules hold from now on. What runs goes on, and every call keeps the labels that it came with."""

    at: float
    concurrency: Mapping[str, int]
    """How many calls run at once on each server, by the server's key; where it is silent, as before."""
    max_running: int | None
    is_strict: bool
    stops_unseen: bool


Event = (
    Submitted
    | Recalled
    | Answered
    | Told
    | Finished
    | Ended
    | CancelRequested
    | InputRequired
    | InputProvided
    | Forgotten
    | Reconfigured
)
