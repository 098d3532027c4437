"""The best schedule of a program for an agent whose steps are fixed, found with all durations known and no overhead.

A step of the model takes its decode time and then sends its calls, or speaks to the user. What may be chosen is how
long each step waits for its own calls, and which steps are preceded by an await, which is a step too. The model has
been told a result once it has come with any answer: its own, that of an await, or that of a later step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """One call: how long it runs, and after the end of which earlier ones it can start."""

    seconds: float
    after: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the model."""

    decode_s: float
    calls: tuple[int, ...] = ()
    """In the order in which they are sent; none: it speaks to the user."""
    sees: frozenset[int] = frozenset()
    """Calls whose results it must have been told to write this step."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A program as one agent goes about it."""

    jobs: tuple[Job, ...]
    steps: tuple[Step, ...]
    await_s: float
    """The decode time of an await that names one call."""
    each_further_s: float = 0.0
    await_all_s: float = float("inf")
    """Of one that names none, and waits for all."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A step, or an await, as it was really taken."""

    decode_s: float
    calls: tuple[int, ...]
    until: frozenset[int]
    """The calls whose end it waited for."""
    at_least_s: float = 0.0
    """How long it waited for what did not come in time."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """Between two steps."""

    now: float
    ends: Mapping[int, float]
    """When each call ends, or has ended, whose result the model has not been told."""

    def told_until(self, end: float) -> _Moment:
        """The model gets an answer at `end`, and with it all that has settled."""
        return _Moment(end, {call: ends for call, ends in self.ends.items() if ends > end})

    def with_calls(self, plan: Plan, step: Step) -> _Moment:
        """The step has been written and its calls are sent."""
        now = self.now + step.decode_s
        return _Moment(now, dict(self.ends) | ends_of(plan.jobs, step.calls, now, self.ends))

    def is_as_good_as(self, other: _Moment) -> bool:
        """Whether nothing that follows can end later than after the other one, which is not earlier than this."""
        return all(call in other.ends and end <= other.ends[call] for call, end in self.ends.items())


def ends_of(jobs: Sequence[Job], calls: Iterable[int], now: float, ends: Mapping[int, float]) -> dict[int, float]:
    """When calls end that are sent now, in this order; of the earlier ones, those count that have not ended by now."""
    found: dict[int, float] = {}
    for call in calls:
        starts = max((found.get(one, ends.get(one, now)) for one in jobs[call].after), default=now)
        found[call] = max(now, starts) + jobs[call].seconds
    return found


def best_s(plan: Plan) -> float:
    """When the last step of the best schedule has been written.

    An await that names calls names all that the next step needs: earlier, it would only delay the step in between.
    """
    moments = [_Moment(0.0, {})]
    for step in plan.steps:
        ready = [later for moment in moments for later in _told_enough(plan, step, moment)]
        moments = _undominated([later for moment in _undominated(ready) for later in _answered(plan, step, moment)])
    return moments[0].now


def _told_enough(plan: Plan, step: Step, moment: _Moment) -> list[_Moment]:
    """The moments at which the model can begin to write the step."""
    missing = [moment.ends[call] for call in step.sees if call in moment.ends]
    for_all = moment.told_until(max([moment.now + plan.await_all_s, *moment.ends.values()]))
    if not missing:
        return [moment, for_all]
    earliest = max(moment.now + plan.await_s + plan.each_further_s * (len(missing) - 1), *missing)
    return [for_all, *map(moment.told_until, {earliest, *(end for end in moment.ends.values() if end > earliest)})]


def _answered(plan: Plan, step: Step, moment: _Moment) -> list[_Moment]:
    """The moments at which the step can be over."""
    sent = moment.with_calls(plan, step)
    if not step.calls:
        return [sent]
    longest = max(sent.ends[call] for call in step.calls)
    # also for as long as an earlier call takes: its result comes along with the token of this step's own
    return [
        sent.told_until(end) for end in {sent.now, *(end for end in sent.ends.values() if sent.now < end <= longest)}
    ]


def _undominated(moments: Iterable[_Moment]) -> list[_Moment]:
    """Those of which no other one is at least as good in every way; the earliest comes first."""
    kept: list[_Moment] = []
    for moment in sorted(moments, key=lambda one: (one.now, len(one.ends))):
        if not any(one.is_as_good_as(moment) for one in kept):
            kept.append(moment)
    return kept


def replayed_s(jobs: Sequence[Job], taken: Iterable[Taken]) -> float:
    """When the last step has been written, with the same waits and awaits and no overhead."""
    now, ends = 0.0, dict[int, float]()
    for step in taken:
        now += step.decode_s
        ends |= ends_of(jobs, step.calls, now, ends)
        now = max([now + step.at_least_s, *(ends[call] for call in step.until)])
    return now


def critical_path_s(jobs: Sequence[Job]) -> float:
    """How long the calls take at least, with no model in between."""
    return max(ends_of(jobs, range(len(jobs)), 0.0, {}).values(), default=0.0)


def bound(decode_s: float, jobs: Sequence[Job]) -> float:
    """The paper's R: the speed-up over sync that no schedule exceeds, were answers free to come before results."""
    tools_s = sum(job.seconds for job in jobs)
    return (decode_s + tools_s) / max(decode_s, critical_path_s(jobs))
