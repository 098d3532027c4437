"""Keeps the time-line: when calls arrived, moved, and what was in their way. It holds no argument and no value."""

from __future__ import annotations

from functools import lru_cache

import structlog

from asyncfc_mcp.core.future import SETTLED, FutureState, Move
from asyncfc_mcp.core.graph import calls_before
from asyncfc_mcp.core.label import Label, Template, conflict
from asyncfc_mcp.core.record import Blocker
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.downstream.status import ConnectionState
from asyncfc_mcp.gateway.arguments.labelling import fixed_labels
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.reporting import nameable, scope_in_logs
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.gateway.words import wording
from asyncfc_mcp.telemetry.timeline import Timeline

MOST_BLOCKERS = 8
"""Of one call: more edges than these say nothing that anybody could see."""

log = structlog.get_logger()


class Timekeeping:
    """Feeds a time-line from the arrivals and moves of a runner."""

    def __init__(self, runner: Runner, table: FutureTable, pool: Pool) -> None:
        self._runner = runner
        self._table = table
        self._pool = pool
        self.timeline = Timeline(self._why)
        runner.greet(self.on_arrival)
        runner.listen(self.on_move)

    def on_arrival(self, future: Future) -> None:
        """A call was taken in, and has not started yet."""
        call, record = future.call, future.record
        is_blocked = record.is_blocked
        self.timeline.arrive(
            call.future,
            token=nameable(future),
            server=call.server,
            tool=future.policy.tool,
            scope=scope_in_logs(future.caller),
            at_s=future.created_at,
            needs=call.needs,
            behind=calls_before(record.node, MOST_BLOCKERS) if is_blocked else (),
            waits_for=self._why_pending(future) if is_blocked else "",
        )

    def on_move(self, move: Move, future: Future) -> None:
        """A call went from one state to another."""
        record = future.record
        to_state = move.to_state
        failure = move.failure.reason.value if move.failure is not None else None
        self.timeline.move(move.future, to_state, move.at - record.arrived_at, failure)
        started_at = record.started_at
        if started_at is None:
            return
        if move.from_state is FutureState.PENDING:
            self.timeline.saved.start(future.call.scope, started_at)
        elif to_state in SETTLED:
            self._note_end(future, started_at, move.at)

    def _note_end(self, future: Future, started_at: float, settled_at: float) -> None:
        burst = self.timeline.saved.settle(future.call.scope, future.policy.tool, started_at, settled_at)
        if burst is not None and burst.is_noteworthy:
            log.info(
                "calls_overlapped",
                text=str(burst),
                calls=burst.calls,
                saved_s=round(burst.saved_s, 2),
                scope=scope_in_logs(future.caller),
            )

    # Why it waits, for people who may see that there are other callers, but no token of theirs and no argument

    def _why(self, identity: str) -> str:
        future = self._table.known(identity)
        if future is None or not self._runner.knows(future):
            return ""
        match future.record.state:
            case FutureState.PENDING:
                return self._why_pending(future)
            case FutureState.RUNNING:
                server = future.policy.server
                status = self._pool.connection(server).status
                is_there = status.state is ConnectionState.READY
                return "" if is_there else f"for its server {server}, which is {status.state}"
            case FutureState.INPUT_REQUIRED:
                return "for the user's answer"  # not the question, which may quote what the call was given
            case _:
                return ""

    def _why_pending(self, future: Future) -> str:
        blockers = self._runner.scheduler.blockers(future.call.future)
        tokens = {
            one.future: nameable(self._table.by_identity(one.future)) for one in blockers if one.future is not None
        }
        return wording.why_it_waits([self._for_people(one, future) for one in blockers], tokens)

    def _for_people(self, blocker: Blocker, future: Future) -> Blocker:
        if blocker.future is None or blocker.is_data:
            return blocker
        before = self._table.by_identity(blocker.future)
        held = next(
            (one for one in before.call.labels for other in future.call.labels if conflict(one, other)),
            None,
        )
        because = f"its {_without_arguments(held, before)}" if held is not None else "an earlier call"
        return Blocker(blocker.future, is_data=False, because=because)


def _without_arguments(label: Label, future: Future) -> str:
    """A label as far as the configuration wrote it: what follows was said by the call."""
    if label in (fixed_labels(future.policy) or ()):
        return str(label)
    written = _namespaces((*future.policy.writes, *future.policy.reads))
    known = max((one for one in written if label.path[: len(one)] == one), key=len, default=())
    place = "/".join(known) + ("/…" if len(label.path) > len(known) else "")
    return f"{label.access} of {place.removeprefix('/') or 'everything'}"


@lru_cache(maxsize=4096)
def _namespaces(templates: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(Template.parse(text).namespace for text in templates)
