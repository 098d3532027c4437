"""A future with everything round it: its arguments, its work in progress, its outcome, and who may see it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anyio
import anyio.lowlevel

from asyncfc_mcp.config.policy import ToolPolicy
from asyncfc_mcp.core.events import Call
from asyncfc_mcp.core.future import Failure, FutureState
from asyncfc_mcp.core.record import FutureRecord
from asyncfc_mcp.core.reference import Reference
from asyncfc_mcp.core.value import MISSING, Value, wraps_result
from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.outcome import Outcome, RpcError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.requester import Requester
from asyncfc_mcp.store.base import StoreFault
from asyncfc_mcp.telemetry.spans import UNTRACED, CallTrace


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running call says it is."""

    done: float
    total: float | None
    message: str | None

    def __str__(self) -> str:
        """In words: `3 of 10 (copying)`."""
        amount = f"{self.done:g}" if self.total is None else f"{self.done:g} of {self.total:g}"
        return f"{amount} ({self.message})" if self.message else amount


Looks = tuple[FutureState, Progress | None]


@dataclass(frozen=True, slots=True)
class Request:
    """What the client asked for, references and all."""

    arguments: dict[str, Any] | None
    """As sent, without the gateway's own arguments."""
    references: tuple[Reference, ...] = ()
    needs: Mapping[str, Future] = field(default_factory=dict[str, "Future"])
    """By the token in the references."""
    meta: dict[str, Any] | None = None
    input_responses: dict[str, Any] | None = None
    """Answers that the client sent along unasked; for the server to judge."""


NOTHING_ASKED = Request(None)
"""What a settled future keeps of its request: arguments, and the futures they refer to, must not live as long as it."""


class Signal:
    """An `anyio.Event` that takes up next to nothing until somebody waits for it; most futures are never waited for."""

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Let everybody go on who waits."""
        self._is_set = True
        if self._event is not None:
            self._event.set()
            self._event = None

    def is_set(self) -> bool:
        """Whether it was set; for good."""
        return self._is_set

    async def wait(self) -> None:
        """Wait until it is set."""
        if self._is_set:
            await anyio.lowlevel.checkpoint()
            return
        if self._event is None:
            self._event = anyio.Event()
        event = self._event
        try:
            await event.wait()
        finally:
            if not event.statistics().tasks_waiting:
                self._event = None


@cache
def _origin(server: str) -> frozenset[str]:
    """One for all futures of a server."""
    return frozenset({server})


@dataclass(slots=True, eq=False)
class Future:
    """One call from its arrival until it is forgotten. The scheduler's record says how it stands."""

    call: Call
    caller: Caller
    tool: CatalogTool
    request: Request
    created_at: float
    """Seconds since the epoch."""
    record: FutureRecord = field(init=False)
    """Set as the scheduler takes the call in."""
    trace: CallTrace = field(init=False, default=UNTRACED)
    """Set likewise."""
    is_named: bool = False
    """Whether the client gave it its name, and so holds its token from the start."""
    is_out: bool = False
    """Whether the client holds its token."""
    key: str | None = None
    """A hash of the client's own key of the call, under which a repeated call finds it."""
    digest: str | None = None
    """Of the tool and the arguments of a call with a key; None where the store was not to keep it."""
    is_recalled: bool = False
    """Whether it had settled elsewhere, most often in an earlier process, and was read from the store."""
    resumptions: int = 0
    """How many processes have gone on with it after the one that took it in had ended."""
    origins: frozenset[str] = frozenset()
    """The servers that its value is made from: its own, and those of what its arguments refer to."""
    ends_as: Failure | None = None
    """What becomes of a resumed call that is not sent (again) when its turn comes."""
    is_given_up: bool = False
    """Whether the client itself has cancelled it."""
    outcome: Outcome | None = None
    is_spilled: bool = False
    """Whether the store alone has its outcome, for want of memory."""
    late: Outcome | None = None
    """What its server answered after it had settled without that."""
    late_s: float | None = None
    """How long after; None when nobody has kept that."""
    rpc_error: RpcError | None = None
    progress: Progress | None = None
    said: str = ""
    """What its server last said about it in words, where the server runs it as a task."""
    listeners: Sequence[Requester] = ()
    """Requests that wait for it."""
    is_shown: bool = False
    """Whether its request ended with a question for the user, so that the answer comes with another request."""
    _seen_by: dict[str, Looks] | None = None
    settled: Signal = field(default_factory=Signal)
    _is_safe: Signal | None = None
    unkept: StoreFault | None = None
    """Why the store could not take how it settled; nobody is told that until it could."""
    _cancel_requested: CancelRequest | None = None
    _work: anyio.CancelScope | None = None

    def __post_init__(self) -> None:
        """Take over the origins of what it is made from: when it has settled, its request is gone."""
        made_from = [need.origins for need in self.request.needs.values()]
        own = _origin(self.policy.server)
        self.origins = own.union(self.origins, *made_from) if self.origins or made_from else own

    # Few futures are polled, and few run at once; what is only for these would weigh as much as all the rest.

    @property
    def seen_by(self) -> dict[str, Looks]:
        """What each scope saw when it last polled it."""
        if self._seen_by is None:
            self._seen_by = {}
        return self._seen_by

    @property
    def is_safe(self) -> Signal:
        """Set once the store has how it settled, if a client may ask again, or was found unable to take it."""
        if self._is_safe is None:
            self._is_safe = Signal()
        return self._is_safe

    @property
    def cancel_requested(self) -> CancelRequest:
        """Set once its server is to be asked to stop."""
        if self._cancel_requested is None:
            self._cancel_requested = CancelRequest()
        return self._cancel_requested

    @property
    def work(self) -> anyio.CancelScope:
        """Around the downstream request; once it was given up, its deadline ends the wait for a late answer."""
        if self._work is None:
            self._work = anyio.CancelScope()
        return self._work

    def end_work(self) -> None:
        """Its downstream request is over; what was only for that may go."""
        self._work = None

    @property
    def token(self) -> str:
        """What the client calls it."""
        return self.call.token

    @property
    def is_keyed(self) -> bool:
        """Whether its client can find it by sending the call again."""
        return self.key is not None

    @property
    def has_known_token(self) -> bool:
        """Whether its client holds its token, which it may have named itself."""
        return self.is_out or self.is_named

    @property
    def is_known(self) -> bool:
        """Whether its client can ask for it: by its token, or by sending the call again under its key."""
        return self.has_known_token or self.is_keyed

    @property
    def policy(self) -> ToolPolicy:
        """How calls of its tool are treated."""
        return self.tool.policy

    @property
    def tool_name(self) -> str:
        """The tool as the client knows it."""
        return self.tool.name

    @property
    def looks(self) -> Looks:
        """What a poll sees of it."""
        return self.record.state, self.progress

    @contextmanager
    def heard_by(self, requester: Requester | None) -> Generator[None]:
        """Pass on what its server says meanwhile to a request that waits for it."""
        if requester is None:
            yield
            return
        self.listeners = (*self.listeners, requester)
        try:
            yield
        finally:
            rest = list(self.listeners)
            rest.remove(requester)
            self.listeners = tuple(rest)

    def has_expired(self, settled_before: float, shown_before: float) -> bool:
        """Whether it can be forgotten: long settled, or nobody can ask for it (again).

        Args:
            settled_before: for those whose token is known.
            shown_before: for those whose client was shown a question and has not come back.
        """
        record = self.record
        if not record.is_forgettable or record.settled_at is None:
            return False
        if self.is_known:
            return (record.is_answered or self.is_shown) and record.settled_at <= settled_before
        # one that has just settled may still have its request waiting for the value
        return record.is_answered or (self.is_shown and record.settled_at <= shown_before)

    @property
    def wraps_result(self) -> bool:
        """Whether the value of its tool is wrapped in a property that its author never wrote."""
        return wraps_result(self.tool.tool.get("outputSchema"))

    def value(self) -> Value:
        """What it stands for in arguments; only when it has resolved."""
        outcome = self.outcome
        if outcome is None:
            return Value(None, MISSING, (), wraps_result=False)
        return Value(outcome.text, outcome.structured, outcome.block_types, wraps_result=self.wraps_result)


async def first_settled(futures: Iterable[Future]) -> None:
    """Wait until one of the futures has settled."""
    async with anyio.create_task_group() as waiting:

        async def wait_for(future: Future) -> None:
            await future.settled.wait()
            waiting.cancel_scope.cancel()

        for future in futures:
            waiting.start_soon(wait_for, future)
