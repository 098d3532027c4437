"""Whether results of calls that were sent side by side can come from some interleaving of their small steps.

A call of `append` is a read and a write with time between them, so two of them at once may lose an update: that is how
the toy behaves without a gateway too, and a client that sends both side by side asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.order.model import Result, State, filled
from tests.order.program import Operation, Program

_FrozenState = frozenset[tuple[tuple[str, str], str]]


@dataclass(frozen=True, slots=True)
class _Position:
    """How far each call of a step has come, and what the state is then."""

    done: tuple[int, ...]
    """Small steps taken, by call."""
    read: tuple[str, ...]
    """What each call has read."""
    state: _FrozenState


@dataclass(frozen=True, slots=True)
class _Running:
    """A call whose arguments and result are known, of which only the order is to be found."""

    operation: Operation
    key: str
    value: str
    result: Result
    needs: int | None
    """The call of the same step that must have ended first."""

    @property
    def length(self) -> int:
        if self.result.end in ("poisoned", "stopped") or self.operation.fails:
            return 0
        return 2 if self.operation.kind == "append" else 1

    def take(self, number: int, read: str, state: State) -> str | None:
        """Take one small step; what the call has read, or None when its result says that it cannot have been so."""
        place = (self.operation.server, self.key)
        if self.operation.kind == "get":
            return "" if state.get(place, "nothing") == self.result.text else None
        if self.operation.kind == "append" and number == 0:
            before = state.get(place, "")
            return before if before + self.value == self.result.text else None
        state[place] = read + self.value
        return ""


def explains(program: Program, results: Sequence[Result | None], state: State) -> bool:
    """Whether some order of the small steps inside each step of the program gives these results and this state."""
    states: set[_FrozenState] = {frozenset()}
    for step in program.steps:
        calls: list[_Running] = []
        for index in step:
            operation, result = program.operations[index], results[index]
            assert result is not None
            is_sibling = operation.need is not None and operation.need.index in step
            calls.append(
                _Running(
                    operation,
                    filled(operation.key, results),
                    filled(operation.value, results),
                    result,
                    operation.need.index - step.start if operation.need is not None and is_sibling else None,
                )
            )
        states = _ends(calls, states)
    return frozenset(state.items()) in states


def _ends(calls: Sequence[_Running], starts: set[_FrozenState]) -> set[_FrozenState]:
    """Every state that the calls of one step can lead to."""
    first = [_Position((0,) * len(calls), ("",) * len(calls), state) for state in starts]
    seen = set(first)
    found: set[_FrozenState] = set()
    while first:
        position = first.pop()
        if all(done == call.length for done, call in zip(position.done, calls, strict=True)):
            found.add(position.state)
        for number in range(len(calls)):
            following = _after(position, calls, number)
            if following is not None and following not in seen:
                seen.add(following)
                first.append(following)
    return found


def _after(position: _Position, calls: Sequence[_Running], number: int) -> _Position | None:
    """The position when one call takes its next small step; None when it cannot."""
    call, done = calls[number], position.done[number]
    if done == call.length:
        return None
    if call.needs is not None and position.done[call.needs] < calls[call.needs].length:
        return None
    state = dict(position.state)
    read = call.take(done, position.read[number], state)
    if read is None:
        return None
    steps, reads = list(position.done), list(position.read)
    steps[number], reads[number] = done + 1, read
    return _Position(tuple(steps), tuple(reads), frozenset(state.items()))
