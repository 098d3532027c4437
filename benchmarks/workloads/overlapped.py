"""A program with all calls of a turn started at once, without MCP: what labels must prevent, and that they do.

A call waits for what its arguments need and for earlier calls that its labels conflict with, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncfc_mcp.core.label import Label, conflict
from benchmarks.workloads.labels import Policy, labels_of
from benchmarks.workloads.program import Call, Program
from benchmarks.workloads.world import Answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    answers: tuple[Answer, ...]
    state: Any

    def is_as_expected(self, program: Program) -> bool:
        """Whether nothing differs from the sequential run."""
        return self.answers == program.expected and self.state == program.expected_state


def run_overlapped(
    program: Program, durations_s: Sequence[float], policy: Policy, *, do_turns_overlap: bool = False
) -> Outcome:
    """The program's calls, each with its effect at the moment when it ends."""
    world = program.new_world()
    answers: list[Answer | None] = [None] * len(program.calls)
    groups = [program.calls] if do_turns_overlap else [turn.calls for turn in program.turns]
    for calls in groups:
        ends_s = _ends_s(program, calls, durations_s, policy)
        for call in sorted(calls, key=lambda call: ends_s[call.index]):
            answers[call.index] = world.call(call.server, call.tool, call.arguments)
    return Outcome(tuple(answer for answer in answers if answer), world.state())


def _ends_s(program: Program, calls: Sequence[Call], durations_s: Sequence[float], policy: Policy) -> dict[int, float]:
    labels = {call.index: labels_of(program, call, policy) for call in calls}
    ends_s: dict[int, float] = {}
    for place, call in enumerate(calls):
        needed = [ends_s[use.producer] for use in call.uses if use.producer in ends_s]
        ahead = [
            ends_s[earlier.index]
            for earlier in calls[:place]
            if _may_not_overlap(labels[earlier.index], labels[call.index])
        ]
        ends_s[call.index] = max([0.0, *needed, *ahead]) + durations_s[call.index]
    return ends_s


def _may_not_overlap(earlier: Sequence[Label], later: Sequence[Label]) -> bool:
    return any(conflict(one, other) for one in earlier for other in later)
