"""What must hold of a scheduler after every event; run by the property tests, and by anyone who doubts."""

from __future__ import annotations

from itertools import combinations

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.label import Label, conflict
from asyncfc_mcp.core.record import FutureRecord
from asyncfc_mcp.core.scheduler import Scheduler
from asyncfc_mcp.errors import GatewayError


class InvariantBroken(GatewayError):
    """The scheduler is in a state it must never be in: always a fault in this package."""


def check(scheduler: Scheduler) -> None:
    """Look at everything; quadratic in the unfinished calls, so not for production.

    Raises:
        InvariantBroken: the first thing found wrong.
    """
    unfinished = [record for record in scheduler.records.values() if not record.has_ended]
    _ordered_calls_do_not_overlap(unfinished)
    _what_can_run_runs(scheduler, unfinished)
    _states_agree(scheduler)
    _rooms_agree(scheduler, unfinished)
    _trees_hold_only_the_unfinished(scheduler, unfinished)
    _unseen_failures_are_of_this_process(scheduler)


def must_precede(first: FutureRecord, second: FutureRecord) -> bool:
    """The order rule, said once more and plainly: the reference that the state tree is tested against."""
    if first.call.scope != second.call.scope or first.arrival >= second.arrival or second.had_started:
        return False
    was_answered = first.answer is not None and first.answer < second.arrival
    return any(
        conflict(one, other) and (was_answered or _both_declared(one, other))
        for one in first.call.labels
        for other in second.call.labels
    )


def _both_declared(one: Label, other: Label) -> bool:
    return one.is_declared and other.is_declared


def _ordered_calls_do_not_overlap(unfinished: list[FutureRecord]) -> None:
    for first, second in combinations(unfinished, 2):
        if must_precede(first, second) and second.started_at is not None:
            raise InvariantBroken(f"{second.call.future} runs before {first.call.future} has ended")


def _what_can_run_runs(scheduler: Scheduler, unfinished: list[FutureRecord]) -> None:
    for record in unfinished:
        if record.state is not FutureState.PENDING:
            continue
        lacks_value = any(not scheduler.record(need).is_settled for need in record.call.needs)
        waits_its_turn = any(must_precede(other, record) for other in unfinished)
        is_full = scheduler.rooms.is_full or scheduler.rooms.of(record.call.server).is_full
        if not (lacks_value or waits_its_turn or is_full):
            raise InvariantBroken(f"{record.call.future} could run and does not")


def _states_agree(scheduler: Scheduler) -> None:
    for record in scheduler.records.values():
        future = record.call.future
        if record.is_settled != (record.settled_at is not None):
            raise InvariantBroken(f"{future} is {record.state} and its settling time says otherwise")
        if (record.failure is not None) != (record.state in {FutureState.FAILED, FutureState.CANCELLED}):
            raise InvariantBroken(f"{future} is {record.state} and its failure says otherwise")
        if record.has_ended and not record.is_settled:
            raise InvariantBroken(f"{future} has ended and is {record.state}")
        if record.state is FutureState.RESOLVED and record.started_at is None:
            raise InvariantBroken(f"{future} resolved without having run")
    unsettled = sum(1 for record in scheduler.records.values() if not record.is_settled)
    if scheduler.unsettled_total != unsettled:
        raise InvariantBroken(f"{scheduler.unsettled_total} unsettled futures are counted, there are {unsettled}")


def _rooms_agree(scheduler: Scheduler, unfinished: list[FutureRecord]) -> None:
    for server, room in scheduler.rooms.by_server.items():
        running = sum(1 for record in unfinished if record.call.server == server and record.started_at is not None)
        if room.running != running:
            raise InvariantBroken(f"server {server} counts {room.running} running calls, there are {running}")
        if room.over != _excess(running, room.capacity):
            raise InvariantBroken(f"server {server} runs {running} calls, its limit is {room.capacity}")
    rooms, total = scheduler.rooms, sum(1 for record in unfinished if record.started_at is not None)
    if rooms.running != total:
        raise InvariantBroken(f"{rooms.running} running calls are counted on all servers, there are {total}")
    if rooms.over != _excess(total, rooms.capacity):
        raise InvariantBroken(f"{total} calls run on all servers together, their limit is {rooms.capacity}")


def _excess(running: int, capacity: int | None) -> int:
    """How many more run than may: only those that ran as the limit was lowered, which the room has counted.

    Reckoned here once more: a check that asked the room's own code would pass whatever that said.
    """
    return 0 if capacity is None else max(0, running - capacity)


def _trees_hold_only_the_unfinished(scheduler: Scheduler, unfinished: list[FutureRecord]) -> None:
    holding = {record.call.scope for record in unfinished if record.call.labels}
    for name, scope in scheduler.scopes.items():
        if not scope.tree.is_empty and name not in holding:
            raise InvariantBroken(f"the state tree of scope {name} holds labels of nobody")


def _unseen_failures_are_of_this_process(scheduler: Scheduler) -> None:
    for scope in scheduler.scopes.values():
        for future, record in scope.unseen_failures.items():
            if scheduler.records.get(future) is not record or record.is_told:
                raise InvariantBroken(f"the failure of {future} counts as unseen, and its client knows of it")
