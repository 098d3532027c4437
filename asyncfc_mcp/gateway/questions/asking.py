"""What running calls ask of the user: kept here until somebody whose request waits for them can be asked.

A question belongs to the calls that may have asked it. It is put to the client whose request waits for one of them, or
for a call that is blocked by one of them; else to the session that a call came from, where that can be reached.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

from asyncfc_mcp.core.events import InputProvided, InputRequired
from asyncfc_mcp.core.future import AT_WORK, FutureState, Move
from asyncfc_mcp.downstream.outcome import InputRefused
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.questions.form import can_be_asked, check_question
from asyncfc_mcp.gateway.requester import ClientGone, Requester
from asyncfc_mcp.gateway.running.runner import Runner

InputRequests = Mapping[str, Any]
"""As on the wire of 2026-07-28: from a key to `{"method": …, "params": …}`."""

Ask = Callable[[str, Mapping[str, Any] | None, float], Awaitable[dict[str, Any]]]
"""Puts one request to a client: its method, its parameters, and how many seconds there are; the raw result."""

MOST_OPEN = 1_000
"""Questions that users are asked at once."""

log = structlog.get_logger()


class BackChannel(Protocol):
    """Reaches legacy sessions outside of any request."""

    def reaches(self, session: str) -> bool:
        """Whether a request would arrive there now."""
        ...

    async def ask(
        self, session: str, method: str, params: Mapping[str, Any] | None, timeout_s: float
    ) -> dict[str, Any]:
        """Put a server's request to the client of a session; the raw result.

        Raises:
            InputRefused, ClientGone: as `Requester.ask`.
        """
        ...


@dataclass(slots=True, eq=False)
class Question:
    """Requests of one server that one answer settles."""

    futures: tuple[Future, ...]
    """The calls that may have asked; several when a server does not say which."""
    requests: InputRequests
    ends_at: float
    """On the monotonic clock, in seconds."""
    identity: str = field(default_factory=lambda: secrets.token_hex(4))
    is_being_asked: bool = False
    """Whether somebody has put it to a client and waits for the answer."""
    was_pushed: bool = False
    """Whether a session was asked outside of any request; not again, when its client did not answer."""
    responses: dict[str, Any] = field(default_factory=dict[str, Any])
    refusal: InputRefused | None = None
    closed: anyio.Event = field(default_factory=anyio.Event)
    asking: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Around whoever asks it; cancelled as nobody wants the answer any more."""

    @property
    def is_free(self) -> bool:
        """Whether somebody may be asked it now."""
        return not (self.is_being_asked or self.closed.is_set())

    @property
    def in_words(self) -> str:
        """What is asked, as far as it can be said in a line."""
        asked = [_in_words(request) for request in self.requests.values()]
        return "; ".join(asked) or "more input"

    def refuse(self, refusal: InputRefused) -> None:
        """There will be no answer."""
        self.refusal = refusal
        self.closed.set()


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """One request that waits."""

    caller: Caller
    futures: Sequence[Future]
    """For any of these."""
    requester: Requester | None


class Questions:
    """All questions that are open now.

    Args:
        runner: is told which futures wait for their user.
        timeout_s: how long a question stays open.
    """

    def __init__(self, runner: Runner, *, timeout_s: float) -> None:
        self._runner = runner
        self.timeout_s = timeout_s
        self._open: dict[str, Question] = {}
        self._waiters: dict[anyio.CancelScope, Waiter] = {}
        self._tasks: TaskGroup | None = None
        self.back_channel: BackChannel | None = None
        runner.listen(self._on_move)

    def own_tasks(self, tasks: TaskGroup) -> None:
        """Where questions are asked that no request waits for."""
        self._tasks = tasks

    # Asking

    async def ask(self, futures: Sequence[Future], requests: InputRequests) -> dict[str, Any]:
        """Have the user of these calls answer; the responses under the keys of the requests.

        Raises:
            InputRefused: nobody can be asked, the client refused, or nobody answered in time.
        """
        asking = [future for future in futures if future.record.state in AT_WORK]
        if not asking:
            raise InputRefused("the call that it belongs to has ended or is being cancelled")
        for request in requests.values():
            for future in asking:
                check_question(future.caller.claims, request)
        if len(self._open) >= MOST_OPEN:
            raise InputRefused(f"{MOST_OPEN} questions are open already, which is the most at once")
        question = Question(tuple(asking), requests, time.monotonic() + self.timeout_s)
        with self._opened(question), anyio.move_on_after(self.timeout_s) as patience:
            self._offer(question)
            await question.closed.wait()
        if patience.cancelled_caught:
            raise InputRefused(f"nobody answered within {self.timeout_s:g} s")
        if question.refusal is not None:
            raise question.refusal
        return question.responses

    @contextmanager
    def _opened(self, question: Question) -> Generator[None]:
        self._open[question.identity] = question
        for future in question.futures:
            if future.record.state is FutureState.RUNNING:
                self._runner.send(InputRequired(future.call.future, time.monotonic()))
        try:
            yield
        finally:
            del self._open[question.identity]
            question.closed.set()
            question.asking.cancel()
            for scope in self._waiters:  # those that asked it have stopped the clock meanwhile
                scope.cancel()
            still_asking = {future.call.future for one in self._open.values() for future in one.futures}
            for future in question.futures:
                is_over = future.call.future not in still_asking
                if is_over and future.record.state is FutureState.INPUT_REQUIRED:
                    self._runner.send(InputProvided(future.call.future, time.monotonic()))

    def _offer(self, question: Question) -> None:
        """Put the question before a request that waits for it, else before a session that can be reached."""
        waiting = [scope for scope, waiter in self._waiters.items() if question in self._concerning(waiter)]
        for scope in waiting:
            scope.cancel()
        channel = self.back_channel
        if waiting or channel is None or question.was_pushed:
            return
        for future in question.futures:
            session = future.caller.session
            if session is not None and channel.reaches(session):
                question.was_pushed = True
                self._begin(question, partial(channel.ask, session))
                return

    def _begin(self, question: Question, ask: Ask) -> None:
        """Ask a client that takes requests; in a task of its own, since the request that waits may end before."""
        if self._tasks is not None:
            question.is_being_asked = True
            question.asking = anyio.CancelScope()
            self._tasks.start_soon(self._put, question, ask)

    async def _put(self, question: Question, ask: Ask) -> None:
        with question.asking:
            try:
                for key, request in question.requests.items():
                    if key not in question.responses:
                        rest_s = question.ends_at - time.monotonic()
                        question.responses[key] = await ask(request["method"], request.get("params"), rest_s)
                question.closed.set()
            except InputRefused as refusal:
                question.refuse(refusal)
            except ClientGone:
                log.info("question_unanswered", why="its client has gone", asked=question.in_words)
            except Exception:  # one question that cannot be put must not end the gateway
                log.exception("question_broke")
                question.refuse(InputRefused("the gateway itself failed to ask it; its log says why"))
        question.is_being_asked = False
        if not question.closed.is_set():
            self._offer(question)

    # Waiting

    async def wait(
        self, waiter: Waiter, is_over: Callable[[], Awaitable[None]], wait_s: float, longest_s: float
    ) -> tuple[Question, ...]:
        """Wait until it is over, for `wait_s` at most; or the questions that the client has to be shown first.

        The time in which this client is being asked does not count, within `longest_s`.
        """
        asked: dict[Question, anyio.CancelScope] = {}
        try:
            return await self._wait(waiter, is_over, wait_s, longest_s, asked)
        except anyio.get_cancelled_exc_class():
            self._take_back(waiter, asked)
            raise

    async def _wait(
        self,
        waiter: Waiter,
        is_over: Callable[[], Awaitable[None]],
        wait_s: float,
        longest_s: float,
        asked: dict[Question, anyio.CancelScope],
    ) -> tuple[Question, ...]:
        began_at = now = time.monotonic()
        ends_at = began_at + wait_s
        requester = waiter.requester
        while True:
            concerning = self._concerning(waiter)
            for question in concerning:
                if requester is None or requester.shows_questions:
                    return concerning
                if question not in asked:
                    self._begin(question, requester.ask)
                    asked[question] = question.asking
            is_asking = any(not question.closed.is_set() for question in asked)
            until = began_at + longest_s if is_asking else ends_at
            is_woken = await self._woken(waiter, is_over, until - now)
            before, now = now, time.monotonic()
            if is_asking:
                ends_at = min(ends_at + now - before, began_at + longest_s)
            if not is_woken:
                return ()

    def _take_back(self, waiter: Waiter, asked: Mapping[Question, anyio.CancelScope]) -> None:
        """A request broke off in the course of which its client was asked: unless that can be reached, ask others."""
        session, channel = waiter.caller.session, self.back_channel
        can_be_reached = session is not None and channel is not None and channel.reaches(session)
        for question, asking in asked.items():
            # its client may be gone without a word, and the answer with it: whoever waits next is asked anew
            question.is_being_asked = False
            if not can_be_reached:
                asking.cancel()

    async def _woken(self, waiter: Waiter, is_over: Callable[[], Awaitable[None]], wait_s: float) -> bool:
        """Whether a question, and neither the end nor the time, has ended this wait."""
        loop = asyncio.get_running_loop()
        scope = anyio.CancelScope(deadline=loop.time() + wait_s)
        self._waiters[scope] = waiter
        try:
            with scope:
                await is_over()
                return False
        finally:
            del self._waiters[scope]
        return loop.time() < scope.deadline

    def _concerning(self, waiter: Waiter) -> tuple[Question, ...]:
        """The open questions that nobody is asked yet and that one of its futures, or a blocker, waits for.

        As far as its client can answer them: the call may be that of another client, which can.
        """
        free = [question for question in self._open.values() if question.is_free]
        if not free or waiter.requester is None:
            return ()
        reached = self._runner.waited_for(waiter.caller, waiter.futures, self.asking)
        return tuple(
            question
            for question in free
            if any(future.call.future in reached for future in question.futures)
            and all(can_be_asked(waiter.caller.claims, request) for request in question.requests.values())
        )

    def _on_move(self, _: Move, __: Future) -> None:
        """What a call waits for has changed, and so perhaps whose question it waits for."""
        if self._open:
            for question in self._open.values():
                if not any(future.record.state in AT_WORK for future in question.futures):
                    question.refuse(InputRefused("the call that it belongs to has ended or is being cancelled"))
            for scope, waiter in self._waiters.items():
                if self._concerning(waiter):
                    scope.cancel()

    # Answers

    @property
    def asking(self) -> list[Future]:
        """The calls that ask something now."""
        return [future for one in self._open.values() for future in one.futures]

    def open(self, future: Future) -> tuple[Question, ...]:
        """What the call itself asks now."""
        return tuple(one for one in self._open.values() if future in one.futures and not one.closed.is_set())

    def provide(self, shown: Mapping[str, str], responses: Mapping[str, Any]) -> None:
        """Take the answers of a client that was shown questions.

        Args:
            shown: from each key that the client was shown to the identity of its question.
            responses: as on the wire; keys that were never shown go to the only question, if there is but one.
        """
        identities = set(shown.values())
        for identity in identities:
            question = self._open.get(identity)
            if question is None or question.closed.is_set():
                continue
            mine = {own_key(key, identity): value for key, value in responses.items() if shown.get(key) == identity}
            if len(identities) == 1 and mine:
                mine |= {key: value for key, value in responses.items() if key not in shown}
            if mine or not question.requests:
                question.responses.update(mine)
                question.closed.set()


def shown_requests(questions: Iterable[Question]) -> tuple[dict[str, Any], dict[str, str]]:
    """The input requests as a client is shown them, and from each of their keys to its question."""
    listed = list(questions)
    requests: dict[str, Any] = {}
    shown: dict[str, str] = {}
    for question in listed:
        for key, request in question.requests.items():
            if key in question.responses:
                continue
            name = key if len(listed) == 1 else f"{question.identity}.{key}"
            requests[name] = request
            shown[name] = question.identity
    return requests, shown


def own_key(key: str, identity: str) -> str:
    """The key as the server gave it."""
    return key.removeprefix(f"{identity}.")


def _in_words(request: Mapping[str, Any]) -> str:
    params: Mapping[str, Any] = request.get("params") or {}
    message = params.get("message")
    return f'"{message[:200]}"' if isinstance(message, str) else str(request.get("method"))
