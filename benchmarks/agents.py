"""How scripted models go about a program: which calls each step sends, and what it must have been told for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from benchmarks.schedule import Job, Plan, Step
from benchmarks.workloads.labels import Policy, conflicts
from benchmarks.workloads.program import Call, Program, Turn, decode_tokens, tokens_of

Style = Literal["sync", "parallel", "eager", "careful", "choosing"]
Grouping = Literal["one", "levels", "turn"]
Decode = float | Literal["tokens"]
"""How long a step takes to write, in seconds, or by what is written."""
Mode = Literal["waits", "overlaps"]
"""Whether the user's next message comes after the answer, or at once."""

TOKENS_PER_S = 60.0
AWAIT_TOKENS = decode_tokens("await_future", {"futures": ["fut_search_8k2m4x7qa"]})
AWAIT_FURTHER_TOKENS = tokens_of(', "fut_search_8k2m4x7qa"')
AWAIT_ALL_TOKENS = decode_tokens("await_future", {})
WAIT_TOKENS = tokens_of(', "_wait_s": 30')
NAME_TOKENS = tokens_of(', "_as": "c12"')
PATIENT_S = 30.0


@dataclass(frozen=True, slots=True)
class Agent:
    """One way to go about a program."""

    style: Style
    """`sync` and `parallel` talk to the servers themselves; `eager` goes on with tokens and passes them; `careful`
    awaits before each use; `choosing` is eager and says with `_wait_s` whether its next step needs the value."""
    grouping: Grouping
    """One call a step, what does not depend on anything unfinished, or a whole turn with the help of `_as`."""

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.style}/{self.grouping}" if self.uses_gateway else self.style

    @property
    def uses_gateway(self) -> bool:
        """Whether it is no baseline."""
        return self.style not in ("sync", "parallel")


SYNC, PARALLEL = Agent("sync", "one"), Agent("parallel", "levels")
AGENTS = (
    Agent("eager", "one"),
    Agent("eager", "levels"),
    Agent("eager", "turn"),
    Agent("careful", "one"),
    Agent("careful", "levels"),
    Agent("choosing", "one"),
    Agent("choosing", "levels"),
    Agent("choosing", "turn"),
)


@dataclass(frozen=True, slots=True)
class AgentStep:
    """One step of a model."""

    decode_s: float
    calls: tuple[Call, ...] = ()
    """None: it speaks to the user."""
    sees: frozenset[int] = frozenset()
    named: frozenset[int] = frozenset()
    """Calls that other calls of the step refer to, by a name of the model's own."""
    wait_s: Mapping[int, float] = field(default_factory=dict[int, float])
    """What it says with `_wait_s`."""


def steps_of(program: Program, agent: Agent, policy: Policy, mode: Mode, decode: Decode) -> tuple[AgentStep, ...]:
    """Everything that the agent will write but its awaits."""
    steps: list[AgentStep] = []
    for number, turn in enumerate(program.turns):
        is_last = number == len(program.turns) - 1
        sent = frozenset(call.index for one in program.turns[: number + 1] for call in one.calls)
        steps += [_call_step(group, agent, decode) for group in _groups(program, turn, agent.grouping, policy)]
        answer_sees = sent if mode == "waits" or is_last else frozenset[int]()
        steps.append(AgentStep(_seconds(decode, turn.answer_tokens), sees=answer_sees))
    return tuple(_choosing(steps, decode)) if agent.style == "choosing" else tuple(steps)


def _choosing(steps: Sequence[AgentStep], decode: Decode) -> Iterator[AgentStep]:
    """The steps with `_wait_s`: long where the next calls, or the answer before them, need the value.

    Where turns overlap the user's next message is there already, so the model knows what those calls are.
    """
    needed_next = frozenset[int]()
    chosen: list[AgentStep] = []
    for step in reversed(steps):
        if not step.calls:
            chosen.append(step)
            needed_next |= step.sees
            continue
        wait_s = {call.index: PATIENT_S if call.index in needed_next else 0.0 for call in step.calls}
        longer_s = WAIT_TOKENS * len(wait_s) / TOKENS_PER_S if decode == "tokens" else 0.0
        chosen.append(replace(step, wait_s=wait_s, decode_s=step.decode_s + longer_s))
        needed_next = step.sees
    return reversed(chosen)


def await_s(decode: Decode, futures: int = 1) -> float:
    """How long an await of so many futures takes to write."""
    return _seconds(decode, AWAIT_TOKENS + AWAIT_FURTHER_TOKENS * (futures - 1))


def await_all_s(decode: Decode) -> float:
    """The same for one that names none, and waits for all that is unsettled."""
    return _seconds(decode, AWAIT_ALL_TOKENS)


def plan_of(steps: Sequence[AgentStep], jobs: tuple[Job, ...], decode: Decode) -> Plan:
    """The same for the solver."""
    planned = (Step(step.decode_s, tuple(call.index for call in step.calls), step.sees) for step in steps)
    further_s = await_s(decode, 2) - await_s(decode)
    return Plan(jobs, tuple(planned), await_s(decode), further_s, await_all_s(decode))


def jobs_of(program: Program, policy: Policy, durations_s: Sequence[float]) -> tuple[Job, ...]:
    """The calls, each with those that it starts after: whose data it uses, or whose labels conflict with its own."""
    calls = program.calls
    return tuple(
        Job(
            seconds,
            frozenset(use.producer for use in call.uses)
            | frozenset(one.index for one in calls[: call.index] if conflicts(program, one, call, policy)),
        )
        for call, seconds in zip(calls, durations_s, strict=True)
    )


def _groups(program: Program, turn: Turn, grouping: Grouping, policy: Policy) -> list[tuple[Call, ...]]:
    if grouping == "one":
        return [(call,) for call in turn.calls]
    place: dict[int, int] = {}
    for call in turn.calls:
        place[call.index] = max(
            (
                place[earlier.index] + distance
                for earlier in turn.calls
                if earlier.index in place
                and (distance := _distance(program, earlier, call, grouping, policy)) is not None
            ),
            default=0,
        )
    levels = range(max(place.values(), default=-1) + 1)
    return [tuple(call for call in turn.calls if place[call.index] == level) for level in levels]


def _distance(program: Program, earlier: Call, later: Call, grouping: Grouping, policy: Policy) -> int | None:
    """How many steps one call has to stay behind another; None when it need not."""
    uses = [use.is_verbatim for use in later.uses if use.producer == earlier.index]
    in_order = conflicts(program, earlier, later, policy)
    if not uses and not in_order:
        return None
    return 0 if grouping == "turn" and all(uses) else 1


def _seen(group: Sequence[Call], agent: Agent) -> set[int]:
    """The calls whose results the model has to know to write these."""
    inside = {call.index for call in group}
    used = {
        use.producer for call in group for use in call.uses if agent.style in ("sync", "careful") or not use.is_verbatim
    }
    return used - inside


def _call_step(group: tuple[Call, ...], agent: Agent, decode: Decode) -> AgentStep:
    indexes = {call.index for call in group}
    named = frozenset(use.producer for call in group for use in call.uses if use.producer in indexes)
    written = sum(call.decode_tokens for call in group) + NAME_TOKENS * len(named)
    return AgentStep(_seconds(decode, written), group, frozenset(_seen(group, agent)), named)


def _seconds(decode: Decode, tokens: int) -> float:
    return tokens / TOKENS_PER_S if decode == "tokens" else decode
