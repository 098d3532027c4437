"""Answers that come after their call was given up: kept as what they are, for whoever looks at the future again.

A late answer changes no state, frees nothing and fails nothing: the client may long have acted on the failure.
"""

from __future__ import annotations

import time

import anyio
import structlog

from asyncfc_mcp.downstream.outcome import Outcome
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.reporting import nameable
from asyncfc_mcp.gateway.table import FutureTable

LATE_ANSWER_S = 600.0
"""How long a request stays open after its labels were released: whoever was told of a time-out looks again by then."""
MOST_AWAITED = 256
"""Requests that stay open in that way; each costs a task, and most servers never answer what they are to stop."""
MOST_BYTES = 64 * 2**20
"""Of late answers in memory; nothing waits for them, so they are the first to be done without."""

log = structlog.get_logger()


class LateAnswers:
    """Keeps the requests of given-up calls open for a while, and what comes of them."""

    def __init__(self, table: FutureTable, *, wait_s: float = LATE_ANSWER_S, most_awaited: int = MOST_AWAITED) -> None:
        self._table = table
        self._wait_s = wait_s
        self._most_awaited = most_awaited
        self._awaited: dict[str, Future] = {}

    def wait_for(self, future: Future) -> None:
        """Leave the request of a given-up call open; the one that has been for the longest time makes room."""
        future.work.deadline = anyio.current_time() + self._wait_s
        self._awaited[future.call.future] = future
        if len(self._awaited) > self._most_awaited:
            oldest = next(iter(self._awaited))
            self._awaited.pop(oldest).work.cancel()

    def stop_waiting(self, future: Future) -> None:
        """Its request is over."""
        self._awaited.pop(future.call.future, None)

    def take(self, future: Future, outcome: Outcome) -> bool:
        """Note what the server of a settled future has answered after all; whether that is to be kept."""
        settled_at = future.record.settled_at
        if settled_at is None or not self._table.holds(future.call.future):
            return False
        late_s = time.monotonic() - settled_at
        facts = {"token": nameable(future), "tool": future.tool_name, "late_s": round(late_s, 1)}
        if self._kept_bytes + outcome.size_bytes > MOST_BYTES:
            log.warning("late_answer_dropped", **facts, size_bytes=outcome.size_bytes)
            return False
        log.info("late_answer_kept", **facts)
        future.late = outcome
        future.late_s = late_s
        return True

    @property
    def _kept_bytes(self) -> int:
        return sum(one.late.size_bytes for one in self._table if one.late is not None)
