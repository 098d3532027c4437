"""Who may come in when as many futures are unsettled as may be: calls wait, and scopes take turns.

First come, first served within a scope. A scope at its own limit keeps no other out.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from asyncfc_mcp.core.future import SETTLED, Move
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.answering.forgetting import Forgetter
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.running.runner import Runner

MOST_WAITING_A_SCOPE = 1_000
"""Calls of one scope that wait to come in."""
MOST_WAITING = 10_000
"""Calls of all scopes that wait to come in."""


class TooManyUnsettled(GatewayError):
    """The scope, or all of them together, has as many unsettled futures as it may."""

    def __init__(self, limit: int, *, is_total: bool) -> None:
        whose, setting = (" in all", "max_unsettled_total") if is_total else ("", "max_unsettled")
        others = " Some of them are not yours and will settle without you." if is_total else ""
        super().__init__(
            f"not started: {limit} futures are unsettled already{whose}, which is the limit ({setting}).{others} Await "
            "some with await_future, or stop some with cancel_future, then send this call again."
        )
        self.limit = limit


class TooManyWaiting(GatewayError):
    """So many calls wait to come in that no more are let wait."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"not started: {limit} calls wait to be taken in already, behind as many unsettled futures as there may "
            "be. Send fewer calls at once: await some of your futures with await_future, then send this call again."
        )
        self.limit = limit


class MemoryFull(GatewayError):
    """Values take up as much memory as they may, and none of them can go."""

    def __init__(self) -> None:
        super().__init__(
            "not started: the values of finished calls take up as much memory as they may (max_kept_mb), and no client "
            "has seen any of them. Read some with await_future or get_future, so that they can be forgotten, then send "
            "this call again in a minute."
        )


class Entrance:
    """Lets calls in as futures settle.

    Args:
        runner: knows how many futures are unsettled, and reports when one settles.
        forgetter: knows whether there is memory for their values.
        max_unsettled: how many a scope may have.
        max_unsettled_total: how many all scopes may have together.
    """

    def __init__(self, runner: Runner, forgetter: Forgetter, *, max_unsettled: int, max_unsettled_total: int) -> None:
        self._scheduler = runner.scheduler
        self._forgetter = forgetter
        self._most = max_unsettled
        self._most_in_all = max_unsettled_total
        self._held: Counter[str] = Counter()
        """By scope, places of calls that were let in and are not among the unsettled yet."""
        self._queues: dict[str, OrderedDict[anyio.Event, None]] = {}
        self._turns: OrderedDict[str, None] = OrderedDict()
        """The scopes in which calls wait for the total alone, in the order of their turns."""
        self._waiting = 0
        runner.listen(self._note_move)

    def take_up(self, *, max_unsettled: int, max_unsettled_total: int) -> None:
        """Have other limits hold from now on; who waits and fits now comes in."""
        self._most = max_unsettled
        self._most_in_all = max_unsettled_total
        for scope in self._queues:
            self._line_up(scope)
        self._let_in()

    def check_memory(self) -> None:
        """See that there is room for one more value.

        Raises:
            MemoryFull: there is not.
        """
        if self._forgetter.is_full:
            raise MemoryFull

    def is_open(self, scope: str) -> bool:
        """Whether a call of the scope may come in at once, ahead of nobody."""
        return scope not in self._queues and self._has_room(scope) and self._has_room_in_all()

    @asynccontextmanager
    async def place(self, caller: Caller) -> AsyncGenerator[None]:
        """A place for one call, waited for as long as the caller's client allows.

        Raises:
            TooManyUnsettled: none became free.
            TooManyWaiting: too many wait already.
        """
        await self._wait(caller.scope, caller.cap_s)
        try:
            yield
        finally:
            self._give_back(caller.scope)

    async def _wait(self, scope: str, cap_s: float) -> None:
        if len(self._queues.get(scope, ())) >= MOST_WAITING_A_SCOPE:
            raise TooManyWaiting(MOST_WAITING_A_SCOPE)
        if self._waiting >= MOST_WAITING:
            raise TooManyWaiting(MOST_WAITING)
        let_in = anyio.Event()
        self._queues.setdefault(scope, OrderedDict())[let_in] = None
        self._waiting += 1
        self._line_up(scope)
        self._let_in()
        try:
            with anyio.move_on_after(cap_s):
                await let_in.wait()
                return
        except BaseException:
            if let_in.is_set():
                self._give_back(scope)
            raise
        finally:
            self._leave(scope, let_in)
        if let_in.is_set():  # in the very moment in which the time was over
            return
        raise self._refusal(scope)

    def _refusal(self, scope: str) -> TooManyUnsettled:
        if self._has_room(scope):
            return TooManyUnsettled(self._most_in_all, is_total=True)
        return TooManyUnsettled(self._most, is_total=False)

    def _leave(self, scope: str, let_in: anyio.Event) -> None:
        self._waiting -= 1
        queue = self._queues.get(scope)
        if queue is not None and let_in in queue:
            del queue[let_in]
            if not queue:
                del self._queues[scope]
            self._line_up(scope)

    def _give_back(self, scope: str) -> None:
        """The place is taken by a future now, or by nobody."""
        self._held[scope] -= 1
        if not self._held[scope]:
            del self._held[scope]
        self._line_up(scope)
        self._let_in()

    def _note_move(self, move: Move, future: Future) -> None:
        if move.to_state in SETTLED and self._queues:
            self._line_up(future.call.scope)
            self._let_in()

    def _let_in(self) -> None:
        while self._turns and self._has_room_in_all():
            scope, _ = self._turns.popitem(last=False)
            let_in, _ = self._queues[scope].popitem(last=False)
            if not self._queues[scope]:
                del self._queues[scope]
            self._held[scope] += 1
            self._line_up(scope)
            let_in.set()

    def _line_up(self, scope: str) -> None:
        """Have a scope among those whose turn comes, at the end, as long as it waits for the total alone."""
        if scope in self._queues and self._has_room(scope):
            self._turns.setdefault(scope)
        else:
            self._turns.pop(scope, None)

    def _has_room(self, scope: str) -> bool:
        return self._scheduler.unsettled(scope) + self._held[scope] < self._most

    def _has_room_in_all(self) -> bool:
        return self._scheduler.unsettled_total + self._held.total() < self._most_in_all
