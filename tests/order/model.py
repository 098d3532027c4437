"""What a program must give when its calls run one after another: the pure model that the gateway is compared with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.order.program import Earlier, Operation, Program

State = dict[tuple[str, str], str]
"""By server and key."""

Labels = Literal["assumed", "declared", "mixed", "isolated"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a client learns of one call in the end."""

    end: Literal["value", "failed", "poisoned", "stopped"]
    text: str = ""
    """The value, or what the tool said when it failed."""
    cause: int | None = None
    """The operation whose failure this one inherits."""


def apply(operation: Operation, key: str, value: str, state: State) -> Result:
    """Do one operation whose arguments are known."""
    place = (operation.server, key)
    if operation.kind == "get":
        return Result("value", state.get(place, "nothing"))
    if operation.fails:
        return Result("failed", f"cannot {'put' if operation.kind == 'put' else 'append to'} {key}")
    if operation.kind == "put":
        state[place] = value
        return Result("value", f"{key} is {value}")
    state[place] = state.get(place, "") + value
    return Result("value", state[place])


def filled(argument: str | Earlier, results: Sequence[Result | None]) -> str:
    """The text that stands in an argument once the value it refers to is there."""
    if isinstance(argument, str):
        return argument
    result = results[argument.index]
    assert result is not None
    return result.text


def inherited(operation: Operation, results: Sequence[Result | None]) -> Result | None:
    """How the operation ends because the value it needs will never be there; None when it is there or not needed."""
    if operation.need is None:
        return None
    needed = results[operation.need.index]
    assert needed is not None
    if needed.end == "value":
        return None
    return Result("poisoned", cause=needed.cause if needed.end == "poisoned" else operation.need.index)


def run(
    program: Program, *, order: Sequence[int] | None = None, stopped: Collection[int] = ()
) -> tuple[list[Result | None], State]:
    """The results and the final state of one operation after another, without those that were stopped."""
    state: State = {}
    results: list[Result | None] = [None] * len(program.operations)
    for index in order if order is not None else range(len(program.operations)):
        operation = program.operations[index]
        result = inherited(operation, results)
        if result is None and index in stopped:
            result = Result("stopped")
        if result is None:
            result = apply(operation, filled(operation.key, results), filled(operation.value, results), state)
        results[index] = result
    return results, state


def to_be_stopped(program: Program, labels: Labels) -> dict[int, set[int]]:
    """The writes that must be stopped when every call waits and no failure is told, each with the failures it may name.

    A call that is stopped or poisoned has not failed by itself and stops no others.
    """
    stopped: dict[int, set[int]] = {}
    for index, operation in enumerate(program.operations):
        results, _ = run(program, stopped=stopped)
        if not operation.writes or inherited(operation, results) is not None:
            continue
        causes = {
            before
            for before in range(index)
            if (result := results[before]) is not None
            and result.end == "failed"
            and may_stop(program.operations[before], operation, labels)
        }
        if causes:
            stopped[index] = causes
    return stopped


def may_stop(failed: Operation, later: Operation, labels: Labels) -> bool:
    """Whether both write the same state, as their server or their declared labels say."""
    one, is_one_declared = _written(failed, labels)
    other, is_other_declared = _written(later, labels)
    length = min(len(one), len(other))
    on_one_line = one[:length] == other[:length]
    return on_one_line and (failed.server == later.server or (is_one_declared and is_other_declared))


def _written(operation: Operation, labels: Labels) -> tuple[tuple[str, ...], bool]:
    """The path that a write holds while its references have no values yet, and whether it was declared."""
    if labels == "isolated":
        return (operation.server,), False
    if labels == "assumed" or (labels == "mixed" and operation.kind == "put"):
        return (), False
    return (("db", operation.key) if isinstance(operation.key, str) else ("db",)), True
