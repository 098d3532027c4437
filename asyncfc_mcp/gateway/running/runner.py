"""The shell round the scheduler: it alone feeds it events, and carries out its commands in a task for each call."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, cast

import anyio
import structlog
from anyio.abc import TaskStatus

from asyncfc_mcp.core.commands import CancelDownstream, Command, Dispatch
from asyncfc_mcp.core.events import Ended, Event, Finished, Recalled, Submitted, Told
from asyncfc_mcp.core.future import SETTLED, Failure, FailureReason, Move
from asyncfc_mcp.core.reference import ArgumentFault
from asyncfc_mcp.core.scheduler import Scheduler
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.outcome import (
    DownstreamLost,
    DownstreamUnavailable,
    InputRefused,
    Outcome,
    ResultTooLarge,
    RpcError,
)
from asyncfc_mcp.downstream.pins import ToolHeld
from asyncfc_mcp.downstream.pool import Pool, UnknownServer
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.arguments.preparation import Preparation
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.flows.policy import QUESTION as FLOW_QUESTION
from asyncfc_mcp.gateway.flows.policy import FlowDenied, Flows, Target
from asyncfc_mcp.gateway.future import NOTHING_ASKED, Future, Progress
from asyncfc_mcp.gateway.keeping.keeper import Keeper, NotSent
from asyncfc_mcp.gateway.keeping.values import Values
from asyncfc_mcp.gateway.reporting import nameable
from asyncfc_mcp.gateway.running.attempts import call_repeatedly
from asyncfc_mcp.gateway.running.late import LateAnswers
from asyncfc_mcp.gateway.running.tracing import trace_of
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.gateway.task_group import TaskGroup
from asyncfc_mcp.store.base import StoreFault

_LONGEST_MESSAGE = 2_000

MoveListener = Callable[[Move, Future], None]
ArrivalListener = Callable[[Future], None]
ToolOf = Callable[[Future], Awaitable[CatalogTool | Failure]]
AskUser = Callable[[Sequence[Future], Mapping[str, Any]], Awaitable[dict[str, Any]]]

log = structlog.get_logger()


class Runner:
    """Owns the scheduler. `send` runs to its end without awaiting, so events never overlap and need no lock."""

    def __init__(
        self,
        scheduler: Scheduler,
        table: FutureTable,
        pool: Pool,
        preparation: Preparation,
        keeper: Keeper,
        *,
        values: Values,
        flows: Flows,
    ) -> None:
        self.scheduler = scheduler
        self._table = table
        self._pool = pool
        self._preparation = preparation
        self._keeper = keeper
        self._values = values
        self._flows = flows
        self._late = LateAnswers(table)
        self._graces: dict[str, asyncio.TimerHandle] = {}
        """The ends of the graces of calls that were given up and are still at work."""
        self._sent: set[str] = set()
        """Calls whose server may be at work on them."""
        self._listeners: list[MoveListener] = []
        self._arrival_listeners: list[ArrivalListener] = []
        self._events: deque[Event] = deque()
        self._is_handling = False
        self._tasks: TaskGroup | None = None
        self._log: Any = log.bind()  # bound once: each call says several things that nobody may listen to
        self.ask_user: AskUser | None = None
        """Answers what a server asks in the middle of a call."""
        self.tool_of: ToolOf | None = None
        """The tool that a call of an earlier process is sent to now, or why it is not."""

    def listen(self, listener: MoveListener) -> None:
        """Have every move reported; a listener must neither await nor raise."""
        self._listeners.append(listener)

    def greet(self, listener: ArrivalListener) -> None:
        """Have every call reported as it is taken in, before its first move; a listener must not await."""
        self._arrival_listeners.append(listener)

    def knows(self, future: Future) -> bool:
        """Whether the scheduler still holds the future."""
        return future.call.future in self.scheduler.records

    def has_sent(self, future: Future) -> bool:
        """Whether its server may be at work on it."""
        return future.call.future in self._sent

    def waited_for(self, caller: Caller, futures: Sequence[Future], asking: Collection[Future]) -> set[str]:
        """The identities of these futures, and of those that they need or the caller may know to be in their way.

        `asking`: the calls that ask their user something; those take up room on their server meanwhile.
        """
        reached: set[str] = set()
        waiting = [future.call.future for future in futures]
        while waiting:
            identity = waiting.pop()
            if identity not in reached and identity in self.scheduler.records:
                reached.add(identity)
                blockers = self.scheduler.blockers(identity)
                for lack in (one for one in blockers if one.future is None):
                    beside = [one for one in asking if lack.server in (None, one.policy.server)]
                    waiting += [one.call.future for one in beside if caller.may_name(one.caller)]
                # whoever may ask for a value may answer what it hangs on; what is only in its way may be a stranger's
                waiting += [
                    one.future
                    for one in blockers
                    if one.future is not None
                    and (one.is_data or caller.may_name(self._table.by_identity(one.future).caller))
                ]
        return reached

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the tasks of all calls until cancelled."""
        async with TaskGroup() as self._tasks:
            task_status.started()
            await anyio.sleep_forever()

    def send(self, event: Event) -> None:
        """Feed one event to the scheduler and carry out what it asks for."""
        self._events.append(event)
        if self._is_handling:
            return
        self._is_handling = True
        try:
            while self._events:
                event = self._events.popleft()
                commands = self.scheduler.handle(event)
                if isinstance(event, Submitted | Recalled):
                    self._take_in(event)
                elif isinstance(event, Told):
                    self._keeper.note_told(self._table.by_identity(event.future))
                for command in commands:
                    self._carry_out(command)
        finally:
            self._is_handling = False

    def _take_in(self, event: Submitted | Recalled) -> None:
        future = self._table.by_identity(event.call.future)
        future.record = self.scheduler.record(event.call.future)
        if isinstance(event, Submitted):
            future.trace = trace_of(future, self._table)
            self._report_arrival(future)

    def _carry_out(self, command: Command) -> None:
        future = self._table.by_identity(command.future)
        match command:
            case Dispatch():
                self._begin(self._run_call, future)
            case CancelDownstream():
                loop = asyncio.get_running_loop()
                grace = loop.call_later(future.policy.cancel_grace_s, self._give_up, future)
                self._graces[command.future] = grace
                future.cancel_requested.set()
            case Move():
                self._report(command, future)

    def _report_arrival(self, future: Future) -> None:
        for listener in self._arrival_listeners:
            try:
                listener(future)
            except Exception:  # one that breaks must not keep the call from being carried out
                log.exception("listener_failed", token=nameable(future))

    def _report(self, move: Move, future: Future) -> None:
        self._log.debug("future_moved", token=nameable(future), from_state=move.from_state, to_state=move.to_state)
        for listener in self._listeners:
            try:
                listener(move, future)
            except Exception:  # one that breaks must not keep the other commands of this step from being carried out
                log.exception("listener_failed", token=nameable(future))
        future.trace.note(move, future.record)
        if move.to_state in SETTLED:
            future.request = NOTHING_ASKED
            future.settled.set()
            if not (future.is_known and self._begin(self._keep, future)):
                future.is_safe.set()

    def _begin(self, work: Callable[[Future], Coroutine[Any, Any, None]], future: Future) -> bool:
        """Begin a task, unless the gateway has ended: a request that ends with it may come here later than that."""
        if self._tasks is None or self._tasks.has_ended:
            return False
        self._tasks.start(work, future)
        return True

    async def _keep(self, future: Future) -> None:
        try:
            await self._keeper.keep_settled(future)
        except Exception:  # a store that fails once must not end every call; the value is still in memory
            log.exception("future_not_stored", token=nameable(future))

    # One call

    async def _run_call(self, future: Future) -> None:
        future.trace.enter()  # else it would run in the context of whatever has set it free
        identity = future.call.future
        clock = asyncio.get_running_loop().call_later(future.policy.timeout_s, self._time_out, future)
        failure: Failure | None = None
        try:
            with future.work:
                failure = await self._outcome(future)
        finally:
            clock.cancel()
            if (grace := self._graces.pop(identity, None)) is not None:
                grace.cancel()
            self._sent.discard(identity)
            self._late.stop_waiting(future)
            future.end_work()
        if not future.record.has_ended:
            self.send(Finished(identity, time.monotonic(), failure))

    async def _outcome(self, future: Future) -> Failure | None:
        """Call downstream; None when the future has a value now."""
        try:
            if future.resumptions and (failure := await self._take_up(future)) is not None:
                return failure
            self._pool.catalog.check(future.tool)
            await self._values.load(future.request.needs.values())
            arguments = self._preparation.final_arguments(future)
            await self._let_values_cross(future)
            await self._keeper.keep_before_sending(future)
            outcome = await self._call_downstream(future, arguments)
        except GatewayError as error:
            if isinstance(error, RpcError) and not future.record.is_settled:
                future.rpc_error = error
            return Failure(_reason(error), str(error)[:_LONGEST_MESSAGE])
        except Exception as error:  # a fault of ours in one call must not end all the others
            log.exception("call_broke", token=nameable(future), tool=future.tool_name)
            return Failure(FailureReason.INTERNAL, f"the gateway itself failed ({type(error).__name__}); see its log")
        if future.record.is_settled:  # an answer after the time-out must not change what the client was told
            if self._late.take(future, outcome):
                await self._keep(future)
            return None
        future.outcome = outcome
        if outcome.is_error:
            text = outcome.text or "the tool says that it failed"
            # the whole of it is in the outcome; what hangs on this failure repeats it
            return Failure(FailureReason.TOOL_ERROR, text[:_LONGEST_MESSAGE])
        return None

    async def _take_up(self, future: Future) -> Failure | None:
        """Find the tool of a call that an earlier process took in; or how it ends, since it is not sent."""
        if future.ends_as is not None or self.tool_of is None:
            return future.ends_as
        found = await self.tool_of(future)
        if isinstance(found, Failure):
            return found
        future.tool = found
        return None

    async def _let_values_cross(self, future: Future) -> None:
        """See that the values in its arguments may go to its server, ask the user where need be, and record it."""
        request = future.request
        target = Target(future.policy.server, "tool", future.policy.tool, future)
        passage = self._flows.check(future.caller, request.references, request.needs, target)
        if passage is not None:
            await self._flows.permit(passage, partial(self._ask_about_flow, future))

    async def _ask_about_flow(self, future: Future, request: Mapping[str, Any]) -> Mapping[str, Any]:
        answers = await self._ask_user(future, {FLOW_QUESTION: request})
        answer: object = answers.get(FLOW_QUESTION)
        return cast("Mapping[str, Any]", answer) if isinstance(answer, Mapping) else {}

    async def _call_downstream(self, future: Future, arguments: dict[str, object] | None) -> Outcome:
        server, claims = future.policy.server, future.caller.claims

        async def note_progress(progress: float, total: float | None, message: str | None) -> None:
            await self._note_progress(future, Progress(progress, total, message))

        def admit() -> None:
            # the server may have come up with other tools than those that were known as its turn came
            self._pool.catalog.check(future.tool)
            self._sent.add(future.call.future)

        async def call_over(connection: Connection) -> Outcome:
            return await connection.call_tool(
                future.policy.tool,
                arguments,
                meta=future.request.meta,
                on_progress=note_progress,
                cancel_requested=future.cancel_requested,
                claims=claims,
                owner=future,
                on_input=partial(self._ask_user, future),
                on_status=partial(self._note_status, future),
                input_responses=future.request.input_responses,
                check=admit,
            )

        async def call() -> Outcome:
            while True:
                connection = self._pool.connection(server, claims)
                try:
                    return await call_over(connection)
                except DownstreamUnavailable:  # it was not sent
                    if self._pool.connection(server, claims) is connection:
                        raise

        def may_repeat() -> bool:
            is_wanted = not future.cancel_requested.is_set()
            return is_wanted and future.policy.may_repeat and not self._pool.connection(server).status.fails_fast

        return await call_repeatedly(call, may_repeat)

    async def _ask_user(self, future: Future, requests: Mapping[str, Any]) -> dict[str, Any]:
        if self.ask_user is None:
            raise InputRefused("nobody can be asked")
        return await self.ask_user((future,), requests)

    def _note_status(self, future: Future, said: str) -> None:
        future.said = said

    async def _note_progress(self, future: Future, progress: Progress) -> None:
        future.progress = progress
        for listener in list(future.listeners):
            await listener.progress(progress.done, progress.total, progress.message)

    def _time_out(self, future: Future) -> None:
        if future.record.has_ended:  # given up before, and perhaps forgotten; only a late answer is waited for
            return
        limit = f"{future.policy.timeout_s:g} s"
        if future.call.future in self._sent:
            message = f"it ran longer than {limit}; it may still take effect"
        else:
            message = f"it could not be sent within {limit} of its turn; it has not taken effect"
        failure = Failure(FailureReason.TIMED_OUT, message)
        self.send(Finished(future.call.future, time.monotonic(), failure, has_ended=False))

    def _give_up(self, future: Future) -> None:
        if future.call.future in self._sent:
            self._late.wait_for(future)
        else:
            future.work.cancel()
        log.warning(
            "labels_released_early",
            token=nameable(future),
            tool=future.tool_name,
            server=future.policy.server,
            grace_s=future.policy.cancel_grace_s,
            risk="the server never confirmed the cancellation: the call may still be at work beside later ones",
        )
        self.send(Ended(future.call.future, time.monotonic()))


_REASONS: Mapping[type[GatewayError], FailureReason] = {
    ArgumentFault: FailureReason.BAD_SUBSTITUTION,
    FlowDenied: FailureReason.FLOW_DENIED,
    ToolHeld: FailureReason.NOT_STARTED,
    NotSent: FailureReason.NOT_STARTED,
    UnknownServer: FailureReason.NOT_STARTED,  # it was taken out of the configuration
    StoreFault: FailureReason.NOT_STARTED,  # a value that it needs cannot be had, or not yet
    DownstreamLost: FailureReason.OUTCOME_UNKNOWN,
    RpcError: FailureReason.RPC_ERROR,
    DownstreamUnavailable: FailureReason.UNAVAILABLE,
    ResultTooLarge: FailureReason.RESULT_TOO_LARGE,
    InputRefused: FailureReason.INPUT_REFUSED,
}


def _reason(error: GatewayError) -> FailureReason:
    fitting = (reason for kind, reason in _REASONS.items() if isinstance(error, kind))
    return next(fitting, FailureReason.DOWNSTREAM_ERROR)
