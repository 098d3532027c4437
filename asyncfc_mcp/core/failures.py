"""Failures that one future hands to another: inherited by need, or stopped before the client could know."""

from __future__ import annotations

from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.core.label import Access, conflict
from asyncfc_mcp.core.record import FutureRecord

_NEVER_STARTED = frozenset({FailureReason.POISONED, FailureReason.UNSEEN_FAILURE})


def inherited(origin: FutureRecord) -> Failure:
    """The failure of a call that needed the value of `origin`; it names the root, however long the chain."""
    failure = origin.failure
    if failure is not None and failure.reason is FailureReason.POISONED:
        return failure
    root = origin.call.token
    why = failure.message if failure is not None else "it was cancelled"
    return Failure(FailureReason.POISONED, f"not started: it needs the value of {root}, which failed: {why}", root)


def unseen(failed: FutureRecord) -> Failure:
    """The failure of a write that was stopped behind the failed write `failed`."""
    root = failed.call.token
    why = failed.failure.message if failed.failure is not None else ""
    message = (
        f"not started: {root} ({failed.call.tool}), an earlier write that it waited behind, failed before you could "
        f"know: {why}\nIf this call is still right, send it again."
    )
    return Failure(FailureReason.UNSEEN_FAILURE, message, root)


def cancelled(record: FutureRecord) -> Failure:
    """The failure of a call that was cancelled."""
    return Failure(FailureReason.CANCELLED, record.cancel_message or "it was cancelled")


def may_be_unseen(record: FutureRecord) -> bool:
    """Whether it is a write that failed by itself, with its token out and the client not told of the failure."""
    return (
        record.state is FutureState.FAILED
        and record.failure is not None
        and record.failure.reason not in _NEVER_STARTED
        and record.has_token
        and not record.is_told
        and record.call.writes
    )


def would_have_stopped(failed: FutureRecord, later: FutureRecord) -> bool:
    """Whether `later` waited behind the failed write, so that a synchronous client had seen the failure first.

    That is so when the token of `failed` was out before `later` arrived (else the client sent both without waiting),
    when `failed` still held its labels then, and when both write the same state, as their server or their declared
    labels say (labels that are only assumed say nothing across servers).
    """
    was_out = failed.answer is not None and failed.answer < later.arrival
    was_ahead = failed.end is None or failed.end > later.arrival
    return (
        was_out
        and was_ahead
        and any(
            one.access is Access.WRITE
            and other.access is Access.WRITE
            and conflict(one, other)
            and (failed.call.server == later.call.server or (one.is_declared and other.is_declared))
            for one in failed.call.labels
            for other in later.call.labels
        )
    )
