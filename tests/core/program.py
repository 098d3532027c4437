"""A scheduler with a short way of saying what happens to it, for the tests of the core."""

from __future__ import annotations

from collections.abc import Mapping

from asyncfc_mcp.core.commands import CancelDownstream, Dispatch
from asyncfc_mcp.core.events import (
    Answered,
    Call,
    CancelRequested,
    Ended,
    Event,
    Finished,
    Forgotten,
    Recalled,
    Reconfigured,
    Submitted,
    Told,
)
from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.core.invariants import check
from asyncfc_mcp.core.label import Access, Label
from asyncfc_mcp.core.scheduler import Scheduler


def label(text: str) -> Label:
    """`r:fs/a` reads, `w:fs/a` writes, `R:` and `W:` are declared; the root is `w:`."""
    access, _, path = text.partition(":")
    segments = tuple(segment for segment in path.split("/") if segment)
    return Label(segments, Access.READ if access in "rR" else Access.WRITE, is_declared=access.isupper())


class Program:
    """Feeds events, checks the invariants after each, and remembers what was started and cancelled."""

    def __init__(self, scheduler: Scheduler | None = None) -> None:
        self.scheduler = scheduler or Scheduler()
        self.started: list[str] = []
        self.cancelled_downstream: list[str] = []
        self.now = 0.0

    def feed(self, event: Event) -> list[str]:
        """Take one event in; the futures that it started."""
        started: list[str] = []
        for command in self.scheduler.handle(event):
            if isinstance(command, Dispatch):
                started.append(command.future)
            elif isinstance(command, CancelDownstream):
                self.cancelled_downstream.append(command.future)
        self.started += started
        check(self.scheduler)
        return started

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def submit(
        self,
        future: str,
        *labels: str,
        needs: tuple[str, ...] = (),
        scope: str = "s",
        server: str = "srv",
        had_started: bool = False,
    ) -> list[str]:
        call = Call(future, future, scope, server, "tool", tuple(label(text) for text in labels), frozenset(needs))
        return self.feed(Submitted(call, self.tick(), had_started=had_started))

    def recall(self, future: str, state: FutureState = FutureState.RESOLVED, scope: str = "s") -> list[str]:
        """Bring back a future that settled in an earlier process."""
        failure = None if state is FutureState.RESOLVED else Failure(FailureReason.TOOL_ERROR, "long ago")
        call = Call(future, future, scope, "srv", "tool", ())
        return self.feed(Recalled(call, state, self.tick(), self.now - 200, self.now - 100, failure))

    def answer(self, future: str, *, with_token: bool = True) -> list[str]:
        return self.feed(Answered(future, self.tick(), with_token=with_token))

    def send(
        self, future: str, *labels: str, needs: tuple[str, ...] = (), scope: str = "s", server: str = "srv"
    ) -> bool:
        """Submit and answer with a token, as a client that sends one call after another; whether it started at once."""
        started = self.submit(future, *labels, needs=needs, scope=scope, server=server)
        self.answer(future)
        return future in started

    def succeed(self, future: str) -> list[str]:
        return self.feed(Finished(future, self.tick()))

    def fail(self, future: str, message: str = "boom") -> list[str]:
        return self.feed(Finished(future, self.tick(), Failure(FailureReason.TOOL_ERROR, message)))

    def time_out(self, future: str) -> list[str]:
        failure = Failure(FailureReason.TIMED_OUT, "too slow")
        return self.feed(Finished(future, self.tick(), failure, has_ended=False))

    def end(self, future: str) -> list[str]:
        return self.feed(Ended(future, self.tick()))

    def cancel(self, future: str, message: str = "not needed") -> list[str]:
        return self.feed(CancelRequested(future, self.tick(), message))

    def tell(self, future: str) -> list[str]:
        return self.feed(Told(future, self.tick()))

    def forget(self, future: str) -> list[str]:
        return self.feed(Forgotten(future, self.tick()))

    def reconfigure(
        self,
        concurrency: Mapping[str, int] | None = None,
        max_running: int | None = None,
        *,
        is_strict: bool = False,
        stops_unseen: bool = True,
    ) -> list[str]:
        """Have other limits and rules hold from now on; the futures that this has started."""
        return self.feed(Reconfigured(self.tick(), concurrency or {}, max_running, is_strict, stops_unseen))

    def state(self, future: str) -> FutureState:
        return self.scheduler.record(future).state

    def failure(self, future: str) -> Failure:
        failure = self.scheduler.record(future).failure
        assert failure is not None
        return failure
