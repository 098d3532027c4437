"""When results reach the client: inline, as a token, attached to later results; and what the client has been told."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import anyio

from asyncfc_mcp.core.events import Told
from asyncfc_mcp.core.future import SETTLED, FailureReason, FutureState, Move
from asyncfc_mcp.gateway.answering.pace import Pace
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.words import wording
from asyncfc_mcp.gateway.words.imitations import cleaned
from asyncfc_mcp.gateway.words.shaping import Block, text_block, text_first

SAME_STEP_S = 0.1
"""A call this soon after the scope's last answer cannot have been written after reading it."""
QUIET_S = 0.005
"""A token leaves when no further call of the scope has come for so long. Calls of one message come 0.6 to 2.1 ms
apart, calls sent one after another 10 to 15 ms (measured with Claude Code)."""
_SLACK_S = 0.0012
"""The event loop rounds times of waiting up to the next millisecond, and goes round some times more then, so whoever
has less to wait has waited long enough."""
_TURNS = 5
"""Of the event loop, in which it reads what clients have sent; the first request of a connection takes it 4 of them."""
STORED_AFTER_S = 0.003
"""A future whose call runs is stored once it was quiet for so long, so that the writing takes up the rest."""
LONGEST_HOLD_S = 0.25
"""Only a burst that goes on and on is cut here: 64 calls sent at once take 40 ms to come in (docs/decisions)."""
IDLE_S = 60.0
"""A scope that was silent for so long, with nothing to deliver, is forgotten."""
MOST_SCOPES = 10_000
"""Beyond that a scope with nothing to deliver is forgotten as soon as its step is over."""
MOST_CHARACTERS_A_VALUE = 2_000
MOST_CHARACTERS_ATTACHED = 4_000
MOST_LOOKED_AT = 200
"""Finished futures that are looked through for one answer; more do not fit into what is attached."""

Piggyback = Literal["values", "notices", "off"]


@dataclass(frozen=True, slots=True)
class _Hold:
    """What keeps one token back."""

    quiet_s: float
    """How long its scope has to be quiet."""
    ends_at: float
    """When it is over although the scope is not quiet."""
    scope: anyio.CancelScope


@dataclass(slots=True)
class ScopeTimes:
    """When things happened in one scope, in seconds on the monotonic clock, and what its client is about to be told."""

    last_arrival_at: float = float("-inf")
    last_answer_at: float = float("-inf")
    """Of a call."""
    last_reply_at: float = float("-inf")
    """Of one of our own tools."""
    step_started_at: float = float("-inf")
    begins_behind: bool = False
    """Whether calls of earlier steps were unsettled when this one began."""
    pace: Pace = field(default_factory=Pace)
    finished: dict[str, Future] = field(default_factory=dict[str, Future])
    """Settled after their token had left, not attached yet and not told."""
    holds: list[_Hold] = field(default_factory=list[_Hold])
    """Tokens that are kept back until the scope is quiet; as long as there are any, somebody looks whether it is."""
    attached: list[Future] = field(default_factory=list[Future])
    """Attached to results that have been sent; told as soon as the client comes back."""


@dataclass(frozen=True, slots=True)
class Attachments:
    """Results of earlier calls that go with an answer."""

    blocks: tuple[Block, ...]
    futures: tuple[Future, ...]


class Delivery:
    """Decides what each answer holds. It reads the moves and tells the runner what the client knows."""

    def __init__(self, runner: Runner, *, piggyback: Piggyback) -> None:
        self._runner = runner
        self.piggyback: Piggyback = piggyback
        self._scopes: dict[str, ScopeTimes] = {}
        self._crowded_at = MOST_SCOPES
        """How many scopes there have to be for them to be looked through."""
        self._expected: dict[Hashable, float] = {}
        """When each call was read that has not arrived yet, by its request; oldest first."""
        self.attached = 0
        """Futures whose end went with the answer to a later call."""
        runner.listen(self._on_move)

    # Requests come and go

    def expect_call(self, request: Hashable) -> None:
        """A transport has read a tool call; it arrives when the event loop comes round to it, if it is not refused."""
        now = time.monotonic()
        self._forget_refused(now)
        self._expected.setdefault(request, now)

    def take_expected_call(self, request: Hashable) -> float:
        """A tool call has arrived, or will not; when it was read, which is now where nobody has announced it."""
        return self._expected.pop(request, time.monotonic())

    def arrive(self, caller: Caller) -> None:
        """A request of the scope has come: what was attached to earlier answers has been read."""
        scope = self._scope(caller)
        told, scope.attached = scope.attached, []
        for future in told:
            self.tell(future)

    def open_step(self, caller: Caller, arrived_at: float) -> None:
        """A tool call has come: it begins a model step, or belongs to the one that is under way."""
        scope = self._scope(caller)
        if arrived_at - max(scope.last_answer_at, scope.last_arrival_at) > SAME_STEP_S:
            scope.step_started_at = arrived_at
            scope.begins_behind = self._runner.scheduler.unsettled(caller.scope) > 0
            self._note_step(caller, scope, arrived_at)
        scope.last_arrival_at = max(scope.last_arrival_at, arrived_at)

    def _note_step(self, caller: Caller, scope: ScopeTimes, arrived_at: float) -> None:
        read_at = max(scope.last_answer_at, scope.last_reply_at)
        # after calls that are still waiting for their answers it is no step of a model that has read them
        if caller.has_own_scope and read_at >= scope.last_arrival_at > float("-inf"):
            scope.pace.note(arrived_at - read_at)

    def answered(self, caller: Caller) -> None:
        """An answer goes out to the scope."""
        self._scope(caller).last_answer_at = time.monotonic()

    def replied(self, caller: Caller) -> None:
        """One of our own tools answers the scope."""
        self._scope(caller).last_reply_at = time.monotonic()

    def tell(self, future: Future) -> None:
        """The client has seen how the future settled."""
        self._scope(future.caller).finished.pop(future.call.future, None)
        if self._runner.knows(future) and not future.record.is_told:
            self._runner.send(Told(future.call.future, time.monotonic()))

    def drop(self, future: Future) -> None:
        """The future is being forgotten."""
        scope = self._scope(future.caller)
        scope.finished.pop(future.call.future, None)
        if future in scope.attached:
            scope.attached.remove(future)

    def drop_idle_scopes(self) -> None:
        """Forget silent scopes that have nothing to deliver: clients name as many as they like."""
        self._drop_silent_scopes(IDLE_S)

    def _drop_silent_scopes(self, idle_s: float) -> None:
        silent_since = time.monotonic() - idle_s
        for name, scope in list(self._scopes.items()):
            is_silent = max(scope.last_arrival_at, scope.last_answer_at) < silent_since
            if is_silent and not (scope.finished or scope.holds or scope.attached):
                del self._scopes[name]

    @property
    def scopes_known(self) -> int:
        """How many scopes it remembers."""
        return len(self._scopes)

    # Waiting

    def inline_wait_s(self, future: Future) -> float:
        """What is left of the step's budget for a call that has just come; nothing when it is known to take longer.

        That is when others block it; where the wait follows the model's pace, only those of earlier steps count, since
        they have proved to be slow.
        """
        scope = self._scope(future.caller)
        wait_s = future.policy.inline_wait_s
        if future.record.is_blocked and (wait_s != "auto" or scope.begins_behind):
            return 0.0
        if wait_s == "auto":
            wait_s = scope.pace.worth_s
        if not future.caller.has_own_scope:
            return wait_s  # the calls of strangers make no step
        return max(0.0, scope.step_started_at + wait_s - time.monotonic())

    async def hold(self, future: Future, ends_at: float, quiet_s: float = QUIET_S) -> None:
        """Keep a token back until the scope has been quiet so long, so that calls sent side by side are seen to be.

        A call without labels orders nothing, so its token need not wait; one that has settled leaves none. `ends_at`:
        when it leaves anyway.
        """
        if future.record.is_settled or not future.call.labels:
            return
        scope = self._scope(future.caller)
        with anyio.CancelScope() as around:
            scope.holds.append(_Hold(quiet_s, ends_at, around))
            if len(scope.holds) == 1:
                self._look_when_due(scope)
            await future.settled.wait()

    def _look_when_due(self, scope: ScopeTimes) -> None:
        """Set a timer for when the next hold can end: one for the whole burst, however many calls it has."""
        next_s = min(hold.quiet_s for hold in scope.holds)
        due_at = min(scope.last_arrival_at + next_s - _SLACK_S, *(hold.ends_at for hold in scope.holds))
        due_s = max(0.0, due_at - time.monotonic())
        # storing begins without them: a token that is stored has still not left
        turns = _TURNS if next_s == QUIET_S else 0
        asyncio.get_running_loop().call_later(due_s, self._look, scope, next_s, turns)

    def _look(self, scope: ScopeTimes, wanted_s: float, turns: int, looked_at: float = math.inf) -> None:
        """Let go, once all has been read that was sent by now: the event loop may have stood still for long."""
        now = time.monotonic()
        looked_at = min(looked_at, now)
        if turns:
            asyncio.get_running_loop().call_soon(self._look, scope, wanted_s, turns - 1, looked_at)
        else:
            self._let_go(scope, wanted_s, looked_at, now)

    def _let_go(self, scope: ScopeTimes, wanted_s: float, looked_at: float, read_by: float) -> None:
        """End all holds that want no more, if the scope had been quiet for so long; and those that last too long."""
        now = time.monotonic()
        is_known = not self._is_expecting(read_by, now)
        is_quiet = is_known and looked_at - scope.last_arrival_at + _SLACK_S >= wanted_s
        held, scope.holds = scope.holds, []
        for hold in held:
            if hold.ends_at <= now or (is_quiet and hold.quiet_s <= wanted_s):
                hold.scope.cancel()
            else:
                scope.holds.append(hold)
        if scope.holds and is_known:
            self._look_when_due(scope)
        elif scope.holds:
            asyncio.get_running_loop().call_later(_SLACK_S, self._let_go, scope, wanted_s, looked_at, read_by)

    def _is_expecting(self, read_by: float, now: float) -> bool:
        """Whether a call that had been read by then is still on its way here."""
        self._forget_refused(now)
        return next(iter(self._expected.values()), math.inf) <= read_by

    def _forget_refused(self, now: float) -> None:
        """Expect no longer what was read long ago: it was refused before it came to us."""
        while self._expected and self._expected[first := next(iter(self._expected))] < now - LONGEST_HOLD_S:
            del self._expected[first]

    # Attachments

    def attachments(
        self, caller: Caller, room_characters: int, leave_out: Iterable[Future] = (), named: Collection[str] = ()
    ) -> Attachments | None:
        """The finished results that go with an answer to this caller, or None when there are none.

        `named`: the identities of the futures that the request names; the only ones where nothing tells callers apart.
        """
        if self.piggyback == "off":
            return None
        scope = self._scope(caller)
        left_out = {future.call.future for future in leave_out}
        known = (
            scope.finished if caller.has_own_scope else [one for one in dict.fromkeys(named) if one in scope.finished]
        )
        deliverable = (
            scope.finished[one] for one in known if one not in left_out and _is_deliverable(scope.finished[one])
        )
        # whoever never asks may have thousands, of which the room holds a few: no answer may cost more for them
        finished = list(islice(deliverable, MOST_LOOKED_AT))
        if not finished:
            return None
        nonce = secrets.token_hex(4)
        parts = _Parts(nonce, min(MOST_CHARACTERS_ATTACHED, room_characters), with_values=self.piggyback == "values")
        parts.add_all(finished)
        for future in parts.included:
            del scope.finished[future.call.future]
            if caller.has_own_scope:
                scope.attached.append(future)
            else:  # whoever comes next may be a stranger, so there is no better moment
                self.tell(future)
        if not parts.blocks:
            return None
        self.attached += len(parts.included)
        opened, closed = text_block(wording.fence_open(nonce)), text_block(wording.fence_close(nonce))
        return Attachments((opened, *parts.blocks, closed), tuple(parts.included))

    def _on_move(self, move: Move, future: Future) -> None:
        if move.to_state not in SETTLED or not future.is_out or future.resumptions:
            return
        self._scope(future.caller).finished[future.call.future] = future
        if future.is_given_up and move.to_state is FutureState.CANCELLED:
            self.tell(future)

    def _scope(self, caller: Caller) -> ScopeTimes:
        known = self._scopes.get(caller.scope)
        if known is not None:
            return known
        if len(self._scopes) >= self._crowded_at:
            self._drop_silent_scopes(LONGEST_HOLD_S)
            self._crowded_at = max(MOST_SCOPES, 2 * len(self._scopes))
        return self._scopes.setdefault(caller.scope, ScopeTimes())


class _Parts:
    """Collects what is attached, as long as there is room."""

    def __init__(self, nonce: str, room_characters: int, *, with_values: bool) -> None:
        self._nonce = nonce
        self._room = room_characters
        self._with_values = with_values
        self.blocks: list[Block] = []
        self.included: list[Future] = []

    def add_all(self, finished: list[Future]) -> None:
        """Resolved futures one by one, failed ones with all that they took with them."""
        families: dict[str, list[Future]] = {}
        for future in finished:
            failure = future.record.failure
            if failure is not None and failure.reason is FailureReason.POISONED and failure.cause is not None:
                families.setdefault(failure.cause, []).append(future)
        for future in finished:
            if future.record.failure is not None and future.record.failure.reason is FailureReason.POISONED:
                continue
            if future.record.state is FutureState.RESOLVED:
                self._add_value(future)
            else:
                self._add_failure(future, families.pop(future.token, []))
        for members in families.values():
            self._add_failure(members[0], members[1:])

    def _add_value(self, future: Future) -> None:
        blocks = _value_blocks(future) if self._with_values else None
        size = sum(len(block["text"]) for block in blocks or ())
        if blocks is None or size > min(MOST_CHARACTERS_A_VALUE, self._room):
            self._add([text_block(wording.ready(self._nonce, future))], [future])
        else:
            self._add([text_block(wording.attached_head(self._nonce, future)), *blocks], [future])

    def _add_failure(self, root: Future, members: list[Future]) -> None:
        if root.record.failure is None:
            return
        text = wording.without_value(root)
        clipped = text if len(text) <= MOST_CHARACTERS_A_VALUE else f"{text[:MOST_CHARACTERS_A_VALUE]}…"
        line = wording.family(self._nonce, clipped, [member.token for member in members])
        self._add([text_block(line)], [root, *members])

    def _add(self, blocks: list[Block], futures: list[Future]) -> None:
        size = sum(len(block["text"]) for block in blocks)
        if size > self._room:
            return
        self._room -= size
        self.blocks += blocks
        self.included += futures


def _is_deliverable(future: Future) -> bool:
    # else its own request is about to bring it; one whose token could not be kept is not known to its client, and what
    # is told must be durable
    return future.record.is_answered and future.is_out and future.is_safe.is_set() and future.unkept is None


def _value_blocks(future: Future) -> list[Block] | None:
    """The result as text blocks, or None when it holds anything else."""
    if future.outcome is None:
        return None
    content: list[Block] = text_first(future.outcome.result).get("content") or []
    if any(block.get("type") != "text" for block in content):
        return None
    return [text_block(cleaned(str(block.get("text", "")))) for block in content]
