"""What a future is: its states, the one table of legal moves, and why it failed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from asyncfc_mcp.errors import GatewayError


class FutureState(StrEnum):
    """Where a future stands. *Settled* means any of the last three."""

    PENDING = "pending"
    RUNNING = "running"
    INPUT_REQUIRED = "input_required"
    CANCELLING = "cancelling"
    RESOLVED = "resolved"
    FAILED = "failed"
    CANCELLED = "cancelled"


SETTLED = frozenset({FutureState.RESOLVED, FutureState.FAILED, FutureState.CANCELLED})

AT_WORK = frozenset({FutureState.RUNNING, FutureState.INPUT_REQUIRED})
"""Sent to its server and not asked to stop."""

MOVES: dict[FutureState, frozenset[FutureState]] = {
    FutureState.PENDING: frozenset({FutureState.RUNNING, FutureState.FAILED, FutureState.CANCELLED}),
    FutureState.RUNNING: frozenset(
        {FutureState.INPUT_REQUIRED, FutureState.CANCELLING, FutureState.RESOLVED, FutureState.FAILED}
    ),
    FutureState.INPUT_REQUIRED: frozenset(
        {FutureState.RUNNING, FutureState.CANCELLING, FutureState.RESOLVED, FutureState.FAILED}
    ),
    FutureState.CANCELLING: frozenset({FutureState.CANCELLED, FutureState.RESOLVED, FutureState.FAILED}),
    FutureState.RESOLVED: frozenset(),
    FutureState.FAILED: frozenset(),
    FutureState.CANCELLED: frozenset(),
}
"""The legal moves, and the only place that lists them; docs/architecture.md prints its diagram from this table."""


class FailureReason(StrEnum):
    """Why a future failed, in one word that programs may match."""

    TOOL_ERROR = "tool_error"
    RPC_ERROR = "rpc_error"
    TIMED_OUT = "timed_out"
    OUTCOME_UNKNOWN = "outcome_unknown"
    BAD_SUBSTITUTION = "bad_substitution"
    POISONED = "poisoned"
    UNSEEN_FAILURE = "unseen_failure"
    NOT_STARTED = "not_started"
    UNAVAILABLE = "unavailable"
    FLOW_DENIED = "flow_denied"
    RESULT_TOO_LARGE = "result_too_large"
    INPUT_REFUSED = "input_refused"
    DOWNSTREAM_ERROR = "downstream_error"
    INTERNAL = "internal"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a future did not resolve."""

    reason: FailureReason
    message: str
    """Written for the model; names the tool or token and says what it may do."""
    cause: str | None = None
    """The token of the future whose failure this one inherits; None when the failure is its own."""


@dataclass(frozen=True, slots=True)
class Move:
    """One future went from one state to another: what metrics, logs, notifications and delivery read."""

    future: str
    from_state: FutureState
    to_state: FutureState
    at: float
    """Seconds on the clock of the events that were handed in."""
    failure: Failure | None = None


class IllegalMove(GatewayError):
    """A state change that the table does not allow: always a fault in this package."""

    def __init__(self, future: str, from_state: FutureState, to_state: FutureState) -> None:
        super().__init__(f"future {future} cannot go from {from_state} to {to_state}")
        self.future = future
        self.from_state = from_state
        self.to_state = to_state


def mermaid_diagram() -> str:
    """The table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2", f"    [*] --> {FutureState.PENDING}"]
    for origin, targets in MOVES.items():
        lines += [f"    {origin} --> {target}" for target in FutureState if target in targets]
    lines += [f"    {state} --> [*]" for state in FutureState if state in SETTLED]
    return "\n".join(lines)
