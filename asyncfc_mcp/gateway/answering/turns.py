"""The request of a call, from the moment that it is taken in until it can be answered."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import anyio

from asyncfc_mcp.core.events import Answered, CancelRequested
from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.answering.delivery import LONGEST_HOLD_S, STORED_AFTER_S, Delivery
from asyncfc_mcp.gateway.answering.explaining import Explanations
from asyncfc_mcp.gateway.answering.forgetting import Forgetter
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.keeping.keeper import Keeper, NotKept
from asyncfc_mcp.gateway.keeping.values import Values
from asyncfc_mcp.gateway.questions.asking import Question, Questions, Waiter
from asyncfc_mcp.gateway.requester import Requester
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.words import wording
from asyncfc_mcp.gateway.words.shaping import names_its_token


class Withdrawn(GatewayError):
    """A `sync` call whose turn did not come in time."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for beyond the tool's own arguments."""

    wait_s: float | None = None
    token: str | None = None


NOTHING_WISHED = Wishes()


@dataclass(frozen=True, slots=True)
class Turn:
    """How far the request of a call has come."""

    future: Future
    questions: tuple[Question, ...] = ()
    """What the client has to be asked before the request can go on; empty once it can be answered."""


class Turns:
    """Has each request wait as long as its tool's policy and its caller want."""

    def __init__(
        self,
        runner: Runner,
        questions: Questions,
        delivery: Delivery,
        *,
        keeper: Keeper,
        explanations: Explanations,
        forgetter: Forgetter,
        values: Values,
    ) -> None:
        self._runner = runner
        self._questions = questions
        self._delivery = delivery
        self._keeper = keeper
        self._explanations = explanations
        self._forgetter = forgetter
        self._values = values
        self.tokens = 0
        """Calls that were answered with a token."""
        self.inline_answers = 0
        """Calls that were answered with how they settled."""

    async def take(
        self,
        future: Future,
        wishes: Wishes,
        requester: Requester | None,
        is_lost: Callable[[], bool] = lambda: False,
    ) -> Turn:
        """Wait, and count the call as answered unless its client has to be asked something first.

        `is_lost`: whether the request ends because its connection broke, and not because it was cancelled.

        Raises:
            Withdrawn: (`sync`) its turn did not come.
            NotKept: its token cannot leave.
        """
        try:
            return await self._wait_for_answer(future.caller, future, wishes, requester)
        except BaseException as end:
            is_cancelled = isinstance(end, anyio.get_cancelled_exc_class())
            if is_cancelled and future.is_keyed and (is_lost() or future.listeners):
                self._runner.send(Answered(future.call.future, time.monotonic(), with_token=False))
            else:  # in every case nobody holds its token
                self._withdraw(future, "its request ended before it could be answered")
            raise

    async def repeat(self, caller: Caller, future: Future, wishes: Wishes, requester: Requester | None) -> Turn:
        """The same for a call that has come again: answered as a first one would be now; its end ends no call.

        Raises:
            Withdrawn, NotKept: as `take`.
        """
        return await self._wait_for_answer(caller, future, wishes, requester)

    async def _wait_for_answer(
        self, caller: Caller, future: Future, wishes: Wishes, requester: Requester | None
    ) -> Turn:
        with future.heard_by(requester):
            questions = await self._wait_inline(caller, future, wishes, requester)
        if questions:
            future.is_shown = True
            return Turn(future, questions)
        await self._load(future)
        ends_at = time.monotonic() + LONGEST_HOLD_S
        if future.record.state is FutureState.RUNNING:
            # what settles by then leaves no token, so there is nothing to store
            await self._delivery.hold(future, ends_at, STORED_AFTER_S)
        if not future.record.is_settled:
            # the store takes up a part of the time for which the token is held back anyway
            await self._keeper.let_out(future, partial(self._delivery.hold, future, ends_at))
        elif names_its_token(future):
            with suppress(NotKept):  # the value can go without a token that says how to pass it on
                await self._keeper.let_out(future)
        await self._load(future)
        self._answer(caller, future)
        return Turn(future)

    async def _load(self, future: Future) -> None:
        """Have the value at hand; what no client knows of never leaves memory."""
        if future.is_known:
            await self._values.load((future,))

    def _answer(self, caller: Caller, future: Future) -> None:
        """The answer goes out now: with the value, which the client is told so, or with the token."""
        is_settled = future.record.is_settled
        self.inline_answers += is_settled
        self.tokens += not is_settled
        if not self._runner.knows(future):
            return  # a call that came again, of a future that was forgotten while its value was fetched
        # whoever writes next among strangers has not been told of this token, and must not learn of its failure
        leaves_token = not is_settled and not future.caller.is_among_strangers
        self._runner.send(Answered(future.call.future, time.monotonic(), with_token=leaves_token))
        self._delivery.answered(caller)
        if is_settled:
            self._delivery.tell(future)
            self._forgetter.forget_unless_known(future)

    def _withdraw(self, future: Future, message: str) -> None:
        """The call was not answered and nobody waits for it."""
        now = time.monotonic()
        self._runner.send(CancelRequested(future.call.future, now, message))
        self._runner.send(Answered(future.call.future, now, with_token=False))

    async def _wait_inline(
        self, caller: Caller, future: Future, wishes: Wishes, requester: Requester | None
    ) -> tuple[Question, ...]:
        policy = future.policy
        if policy.mode == "sync":
            return await self._wait_in_turn(caller, future, requester)
        cap_s = caller.cap_s
        waiter = Waiter(caller, (future,), requester)
        if wishes.wait_s is not None:
            wait_s = min(wishes.wait_s, cap_s)
        elif policy.mode == "async":
            wait_s = 0.0
        elif policy.waits_for_failure and not future.record.is_blocked:
            wait_s = cap_s
        else:
            wait_s = min(self._delivery.inline_wait_s(future), cap_s)
        if wait_s > 0:
            questions = await self._questions.wait(waiter, future.settled.wait, wait_s, cap_s)
            if questions:
                return questions
        return ()

    async def _wait_in_turn(self, caller: Caller, future: Future, requester: Requester | None) -> tuple[Question, ...]:
        """Wait as without a gateway; only a turn that does not come ends it."""
        cap_s = caller.cap_s
        waiter = Waiter(caller, (future,), requester)
        questions = await self._questions.wait(waiter, future.settled.wait, cap_s, cap_s)
        if questions:
            return questions
        if future.record.state is FutureState.PENDING:
            waits = self._explanations.why_it_waits(future, caller)
            message = wording.withdrawn(future.tool_name, waits, cap_s)
            self._withdraw(future, message)
            raise Withdrawn(message)
        return await self._questions.wait(waiter, future.settled.wait, math.inf, math.inf)
