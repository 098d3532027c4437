"""The scheduler: events in, commands out. It alone moves futures.

A call starts once its values are there (data edges), once no earlier unfinished call conflicts with it (order edges,
kept by the state tree of its scope), and once its server has room. After AsyncFC, arXiv 2605.15077, with the order
narrowed to what a synchronous client could have relied on: see docs/architecture.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from asyncfc_mcp.core import chain, failures
from asyncfc_mcp.core.commands import CancelDownstream, Command, Dispatch
from asyncfc_mcp.core.events import (
    Answered,
    Call,
    CancelRequested,
    Ended,
    Event,
    Finished,
    Forgotten,
    InputProvided,
    InputRequired,
    Recalled,
    Reconfigured,
    Submitted,
    Told,
)
from asyncfc_mcp.core.future import MOVES, Failure, FutureState, IllegalMove, Move
from asyncfc_mcp.core.graph import Node, first_blocker, release
from asyncfc_mcp.core.label import conflict
from asyncfc_mcp.core.record import Blocker, FutureRecord, Scope
from asyncfc_mcp.core.room import Rooms, ServerRoom
from asyncfc_mcp.core.tree import Plane
from asyncfc_mcp.errors import GatewayError


class UnknownFuture(GatewayError):
    """An event names a future that the scheduler does not hold: always a fault in this package."""

    def __init__(self, future: str) -> None:
        super().__init__(f"no future {future} is known to the scheduler")
        self.future = future


class StillInUse(GatewayError):
    """A future was to be forgotten while it is unsettled, holds labels or is needed: always a fault in this package."""

    def __init__(self, future: str, state: FutureState) -> None:
        super().__init__(f"future {future} is {state} and cannot be forgotten yet")
        self.future = future
        self.state = state


class Scheduler:
    """The state of all futures. Not thread-safe; one owner hands it every event.

    Args:
        concurrency: how many calls run at once on each server, by the server's key; no limit where it is silent.
        max_running: how many calls run at once on all servers together; None for no limit.
        is_strict: treat every label as declared.
        stops_unseen: fail a write that was waiting behind a failed write which the client has not been told of.
    """

    def __init__(
        self,
        *,
        concurrency: Mapping[str, int] | None = None,
        max_running: int | None = None,
        is_strict: bool = False,
        stops_unseen: bool = True,
    ) -> None:
        self._is_strict = is_strict
        self._stops_unseen = stops_unseen
        self._records: dict[str, FutureRecord] = {}
        self._scopes: dict[str, Scope] = {}
        self._rooms = Rooms(concurrency or {}, max_running)
        self._unsettled = 0
        self._step = 0
        self._commands: list[Command] = []
        self._agenda: deque[Callable[[], None]] = deque()
        """What follows from what has just happened; a queue and not recursion, since chains may be 10 000 long."""

    # Questions

    def record(self, future: str) -> FutureRecord:
        """The record of a future.

        Raises:
            UnknownFuture: no such future.
        """
        try:
            return self._records[future]
        except KeyError:
            raise UnknownFuture(future) from None

    @property
    def records(self) -> Mapping[str, FutureRecord]:
        """Every future that has not been forgotten, oldest first."""
        return self._records

    @property
    def scopes(self) -> Mapping[str, Scope]:
        """Every scope that holds something."""
        return self._scopes

    @property
    def rooms(self) -> Rooms:
        """Where calls run, and whose turn is next."""
        return self._rooms

    def unsettled(self, scope: str) -> int:
        """How many futures of the scope have not settled."""
        found = self._scopes.get(scope)
        return found.unsettled if found else 0

    @property
    def unsettled_total(self) -> int:
        """How many futures of all scopes have not settled."""
        return self._unsettled

    def number_after(self, needs: Collection[str], most: int) -> int:
        """The number of a call with these needs among the unsettled calls that each need the value of the one before.

        Up to `most` it may be a little too high.
        """
        number = chain.number_after(needs, self._records)
        if number > most:
            chain.count_again(needs, self._records)
            number = chain.number_after(needs, self._records)
        return number

    def blockers(self, future: str) -> tuple[Blocker, ...]:
        """Why a call is pending; empty when it is not."""
        record = self.record(future)
        if record.state is not FutureState.PENDING:
            return ()
        found = [Blocker(need, is_data=True, because="its value") for need in sorted(record.unsettled_needs)]
        if (before := first_blocker(record.node)) is not None:
            because = _conflict_in_words(self.record(before).call, record.call)
            found.append(Blocker(before, is_data=False, because=because))
        return tuple(found) or (self._lack_of_room(record.call.server),)

    def _lack_of_room(self, server: str) -> Blocker:
        room = self._rooms.of(server)
        if room.is_full:
            return Blocker(None, is_data=False, because=_fullness_in_words(room, "on its server"), server=server)
        return Blocker(None, is_data=False, because=_fullness_in_words(self._rooms, "on all servers together"))

    # Events

    def handle(self, event: Event) -> list[Command]:
        """Take one event in; what to do about it, in order.

        Raises:
            UnknownFuture, IllegalMove: the owner broke the protocol between shell and core.
        """
        self._step += 1
        self._commands = []
        match event:
            case Submitted():
                self._on_submitted(event)
            case Recalled():
                self._on_recalled(event)
            case Answered():
                self._on_answered(event)
            case Told():
                self._on_told(event)
            case Finished():
                self._on_finished(event)
            case Ended():
                self._on_ended(event)
            case CancelRequested():
                self._on_cancel_requested(event)
            case InputRequired():
                self._on_input_required(event)
            case InputProvided():
                self._on_input_provided(event)
            case Forgotten():
                self._on_forgotten(event)
            case Reconfigured():
                self._on_reconfigured(event)
        while self._agenda:
            self._agenda.popleft()()
        return self._commands

    def _on_submitted(self, event: Submitted) -> None:
        call = event.call
        if self._is_strict:
            call = replace(call, labels=tuple(replace(label, is_declared=True) for label in call.labels))
        needed = [self.record(need) for need in call.needs]
        record = FutureRecord(call, Node(call.future), event.at, self._step, had_started=event.had_started)
        self._records[call.future] = record
        self._hold_labels(record)
        for need in needed:
            need.pins += 1
            if not need.is_settled:
                if need.data_dependants is None:
                    need.data_dependants = []
                need.data_dependants.append(record)
        if needed:
            record.unsettled_needs = {need.call.future for need in needed if not need.is_settled}
        record.number = chain.number_after(record.unsettled_needs, self._records)
        failed = next((need for need in needed if need.is_settled and need.state is not FutureState.RESOLVED), None)
        if failed is not None:
            self._settle_unstarted(record, FutureState.FAILED, failures.inherited(failed), event.at)
        else:
            self._start_if_free(record, event.at)

    def _on_recalled(self, event: Recalled) -> None:
        record = FutureRecord(event.call, Node(event.call.future), event.arrived_at, self._step, event.state)
        record.answer = record.end = self._step
        record.has_token = record.is_told = True
        record.failure = event.failure
        record.started_at = event.arrived_at if event.state is FutureState.RESOLVED else None
        record.settled_at = event.settled_at
        self._records[event.call.future] = record

    def _on_answered(self, event: Answered) -> None:
        record = self.record(event.future)
        if record.is_answered:
            return
        record.answer = self._step
        record.has_token = event.with_token
        if not record.has_ended:
            for label in record.call.labels:
                # a timed-out call may be the last of its scope, and hold labels that nobody had to wait for yet
                self._scope(record.call.scope).tree.enter(record.node, label, Plane.ANSWERED)
        self._note_unseen(record)

    def _on_told(self, event: Told) -> None:
        record = self.record(event.future)
        record.is_told = True
        self._drop_unseen(record)

    def _on_finished(self, event: Finished) -> None:
        record = self.record(event.future)
        if not record.is_settled:
            if event.failure is None:
                self._settle(record, FutureState.RESOLVED, None, event.at)
            elif record.state is FutureState.CANCELLING:
                self._settle(record, FutureState.CANCELLED, failures.cancelled(record), event.at)
            else:
                self._settle(record, FutureState.FAILED, event.failure, event.at)
        if event.has_ended:
            self._end(record, event.at)
        else:
            self._commands.append(CancelDownstream(event.future, event.failure.message if event.failure else ""))

    def _on_ended(self, event: Ended) -> None:
        record = self.record(event.future)
        if record.state is FutureState.CANCELLING:
            self._settle(record, FutureState.CANCELLED, failures.cancelled(record), event.at)
        self._end(record, event.at)

    def _on_cancel_requested(self, event: CancelRequested) -> None:
        record = self.record(event.future)
        if record.is_settled or record.state is FutureState.CANCELLING:
            return
        record.cancel_message = event.message
        if record.state is FutureState.PENDING:
            self._settle_unstarted(record, FutureState.CANCELLED, failures.cancelled(record), event.at)
        else:
            self._move(record, FutureState.CANCELLING, event.at)
            self._commands.append(CancelDownstream(event.future, event.message))

    def _on_input_required(self, event: InputRequired) -> None:
        self._move(self.record(event.future), FutureState.INPUT_REQUIRED, event.at)

    def _on_input_provided(self, event: InputProvided) -> None:
        self._move(self.record(event.future), FutureState.RUNNING, event.at)

    def _on_forgotten(self, event: Forgotten) -> None:
        record = self.record(event.future)
        if not record.is_forgettable:
            raise StillInUse(event.future, record.state)
        del self._records[event.future]
        self._drop_unseen(record)

    def _on_reconfigured(self, event: Reconfigured) -> None:
        self._is_strict = event.is_strict
        self._stops_unseen = event.stops_unseen
        self._rooms.resize(event.concurrency, event.max_running)
        self._fill(event.at)

    # Starting

    def _hold_labels(self, record: FutureRecord) -> None:
        scope = self._scope(record.call.scope)
        scope.unsettled += 1
        self._unsettled += 1
        for label in record.call.labels if not record.had_started else ():
            record.node.wait_for(scope.tree.blockers(label))
        for label in record.call.labels:
            if label.is_declared:
                scope.tree.enter(record.node, label, Plane.ARRIVED)

    def _start_if_free(self, record: FutureRecord, at: float) -> None:
        if record.is_startable:
            self._rooms.queue(record.call.server, record.call.scope, record.call.future)
            self._fill(at)

    def _fill(self, at: float) -> None:
        while (future := self._rooms.take()) is not None:
            record = self._records[future]
            if (unseen := self._unseen_failure_before(record)) is not None:
                self._rooms.give_back(record.call.server)
                self._settle_unstarted(record, FutureState.FAILED, failures.unseen(unseen), at)
            else:
                record.started_at = at
                self._move(record, FutureState.RUNNING, at)
                self._commands.append(Dispatch(future))

    # Settling and ending

    def _settle(self, record: FutureRecord, state: FutureState, failure: Failure | None, at: float) -> None:
        record.failure = failure
        record.settled_at = at
        self._move(record, state, at)
        self._scopes[record.call.scope].unsettled -= 1
        self._unsettled -= 1
        for need in record.call.needs:
            self._records[need].pins -= 1
        self._note_unseen(record)
        if record.data_dependants:
            self._agenda.append(partial(self._pass_on, record, at))

    def _settle_unstarted(self, record: FutureRecord, state: FutureState, failure: Failure, at: float) -> None:
        self._rooms.leave(record.call.server, record.call.scope, record.call.future)
        self._settle(record, state, failure, at)
        self._end(record, at)

    def _pass_on(self, record: FutureRecord, at: float) -> None:
        """Give the value, or the failure, to the calls that need it."""
        dependants, record.data_dependants = record.data_dependants, None
        for dependant in dependants or ():
            dependant.unsettled_needs -= {record.call.future}
            if dependant.is_settled:
                continue
            if record.state is FutureState.RESOLVED:
                self._start_if_free(dependant, at)
            else:
                self._settle_unstarted(dependant, FutureState.FAILED, failures.inherited(record), at)

    def _end(self, record: FutureRecord, at: float) -> None:
        if not record.has_ended:
            record.end = self._step
            if (scope := self._scopes.get(record.call.scope)) is not None:
                scope.unseen.note_end(record)
            self._agenda.append(partial(self._let_go, record, at))

    def _let_go(self, record: FutureRecord, at: float) -> None:
        """Release the labels and the room of a call that has ended."""
        for future in release(record.node):
            self._start_if_free(self._records[future], at)
        if record.started_at is not None:
            self._rooms.give_back(record.call.server)
            self._fill(at)
        self._drop_if_empty(record.call.scope)

    def _move(self, record: FutureRecord, to: FutureState, at: float) -> None:
        if to not in MOVES[record.state]:
            raise IllegalMove(record.call.future, record.state, to)
        self._commands.append(Move(record.call.future, record.state, to, at, record.failure))
        record.state = to

    # Failures that the client has not seen

    def _note_unseen(self, record: FutureRecord) -> None:
        # one that has ended before its token left was in nobody's way who knew of it
        if not record.has_ended and failures.may_be_unseen(record):
            self._scope(record.call.scope).unseen.add(record)

    def _unseen_failure_before(self, record: FutureRecord) -> FutureRecord | None:
        if not self._stops_unseen or not record.call.writes or record.had_started:
            return None
        unseen = self._scopes[record.call.scope].unseen.before(record)
        return next((failed for failed in unseen if failures.would_have_stopped(failed, record)), None)

    def _drop_unseen(self, record: FutureRecord) -> None:
        if (scope := self._scopes.get(record.call.scope)) is not None:
            scope.unseen.remove(record)
            self._drop_if_empty(record.call.scope)

    def _scope(self, name: str) -> Scope:
        if (scope := self._scopes.get(name)) is None:
            scope = self._scopes[name] = Scope()
        return scope

    def _drop_if_empty(self, name: str) -> None:
        if (scope := self._scopes.get(name)) is not None and scope.is_empty:
            del self._scopes[name]


def _fullness_in_words(room: ServerRoom | Rooms, where: str) -> str:
    if room.over:
        return f"{room.running} calls still run {where}, and since the limit was lowered only {room.capacity} may"
    return f"{room.running} of {room.capacity} calls already run {where}"


def _conflict_in_words(before: Call, after: Call) -> str:
    held = next((one for one in before.labels for other in after.labels if conflict(one, other)), None)
    return f"its {held}" if held is not None else "an earlier call"
