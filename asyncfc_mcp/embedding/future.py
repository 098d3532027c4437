"""A future as a program holds it: pass it on, look at it, wait for it, cancel it."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.embedding.engine import Engine
from asyncfc_mcp.embedding.values import Reference, Result
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future as LiveFuture
from asyncfc_mcp.gateway.future import Progress
from asyncfc_mcp.gateway.words import wording


class CallFailed(GatewayError):
    """A call has no value: its tool or server failed, it was cancelled, or it never started."""

    def __init__(self, message: str, future: Future, failure: Failure, result: Result | None) -> None:
        super().__init__(message)
        self.future = future
        self.failure = failure
        """Why: `reason` in one word, `message` in words, and `cause`, the token of the failed future that it needed."""
        self.result = result
        """What the tool said as it failed; None where it said nothing."""

    @property
    def reason(self) -> FailureReason:
        """Why, in one word: `tool_error`, `timed_out`, `poisoned`, `cancelled` and so on."""
        return self.failure.reason


class WaitTimedOut(GatewayError, TimeoutError):
    """A wait that ended before its future had settled. The call goes on."""

    def __init__(self, future: Future, timeout_s: float) -> None:
        super().__init__(
            f"{future} ({future.tool}) has not settled within {timeout_s:g} s ({future.state}"
            f"{f', waits {why}' if (why := future.why_it_waits) else ''}); it goes on: wait for it again, or cancel it"
        )
        self.future = future
        self.timeout_s = timeout_s


class Future:
    """A call that was taken in, and stands for its value; `await future` gives it.

    It may stand anywhere in the arguments of later calls, at any depth; so may a part of it, `future / "items/0/url"`.
    Inside a longer text, write `future.embedded`. Two of them are equal when they stand for the same call.
    """

    def __init__(self, engine: Engine, future: LiveFuture, caller: Caller) -> None:
        self._engine = engine
        self._future = future
        self._caller = caller

    @property
    def token(self) -> str:
        """How it is written in arguments: `fut_search_8k2m4x7qa`."""
        return self._future.token

    @property
    def tool(self) -> str:
        """The tool, as the gateway names it."""
        return self._future.tool_name

    @property
    def server(self) -> str:
        """The key of the tool's server."""
        return self._future.policy.server

    @property
    def state(self) -> FutureState:
        """Where it stands now; `is_settled` says whether that is for good."""
        return self._future.record.state

    @property
    def is_settled(self) -> bool:
        """Whether it has resolved, failed or been cancelled."""
        return self._future.record.is_settled

    @property
    def failure(self) -> Failure | None:
        """Why it failed or was cancelled; None as long as it has not."""
        return self._future.record.failure

    @property
    def progress(self) -> Progress | None:
        """How far its server says that it is: `done`, `total` and `message`; None when it says nothing."""
        return self._future.progress

    @property
    def why_it_waits(self) -> str:
        """What keeps it from running, in words: `for the value of fut_…`; empty when nothing does."""
        return self._engine.app.gateway.why_it_waits(self._future, self._caller)

    @property
    def embedded(self) -> str:
        """As it is written inside a longer text: `${fut_search_8k2m4x7qa}`."""
        return Reference(self.token).embedded

    def __truediv__(self, part: str | int) -> Reference:
        """A part of its value, as a JSON Pointer: `future / "items/0/url"`, `future / "items" / 0`."""
        return Reference(self.token) / part

    def __str__(self) -> str:
        """Its token."""
        return self.token

    def __repr__(self) -> str:
        return f"<Future {self.token} {self.state}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Future) and other._future is self._future

    def __hash__(self) -> int:
        return hash(self._future.call.future)

    def __await__(self) -> Generator[Any, Any, Result]:
        """Its value, as `result()` gives it."""
        return self.result().__await__()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has settled; whether it has. Never raises for a failed call.

        Being cancelled, or running out of time, ends the wait alone: the call goes on.

        Raises:
            NotRunning: the gateway's block was left meanwhile.
        """
        if not self.is_settled:
            requester = self._engine.requester(self._caller)
            wait_s = wait_seconds(timeout_s)
            with self._engine.in_use() as app:
                await app.gateway.wait(self._caller, (self._future,), "all", wait_s, requester)
        return self.is_settled

    async def result(self, timeout_s: float | None = None) -> Result:
        """Wait for its value; reading it again gives it again.

        Args:
            timeout_s: how long to wait, in seconds; None for as long as it takes, which the `timeout_s` of its tool in
                the configuration bounds. It never cancels the call, and neither does a cancelled wait.

        Raises:
            CallFailed: it has none.
            WaitTimedOut: not in time; also a `TimeoutError`.
            NotRunning: the gateway's block was left meanwhile.
            GatewayError: its value is not kept any more, or the store cannot give it.
        """
        if not await self.wait(timeout_s):
            raise WaitTimedOut(self, timeout_s or 0)
        await self._engine.app.gateway.values.load((self._future,))
        if self._future.caller.scope == self._caller.scope:
            self._engine.tell(self._future)
        return self._read()

    def _read(self) -> Result:
        future = self._future
        outcome, failure = future.outcome, self.failure
        result = Result(outcome.result) if outcome is not None else None
        if failure is None and result is not None:
            return result
        known_as = future.token if future.has_known_token else "the call"
        failed = failure or Failure(FailureReason.CANCELLED, "it was cancelled")
        raise CallFailed(wording.without_value(future, known_as), self, failed, result)

    def cancel(self, reason: str = "cancelled by the program") -> None:
        """Stop the call; nothing happens to one that has settled.

        One that has not started is cancelled at once. Of a running one the server is asked to stop, and `state` is
        `cancelling` until it answers or `cancel_grace_s` is over.

        Raises:
            NotRunning: the gateway's block was left.
        """
        if not self.is_settled:
            self._engine.now().gateway.cancel((self._future,), reason)


def wait_seconds(timeout_s: float | None) -> float:
    """How long to wait: infinity for None.

    Raises:
        ValueError: it is NaN, which is neither over nor to come.
    """
    if timeout_s is None:
        return math.inf
    if math.isnan(timeout_s):
        raise ValueError("timeout_s is NaN: give seconds, or None to wait as long as it takes")
    return timeout_s
