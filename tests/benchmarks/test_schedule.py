"""The best schedule agrees with brute force, which tries every wait and every await anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from math import inf

import pytest

from benchmarks.schedule import Job, Plan, Step, Taken, best_s, bound, critical_path_s, ends_of, replayed_s

PROGRAMS = 600
LONGER_AWAIT = 4062
"""One of the few programs in which it pays to await for longer than what is needed at once."""


def brute_force_s(plan: Plan) -> float:
    """A step lasts until any end up to that of its own last call, or not; before every step there may be an await of
    any settling; nothing is pruned."""

    def awaited(
        step: Step, now: float, ends: Mapping[int, float], told: frozenset[int]
    ) -> Iterator[tuple[float, frozenset[int]]]:
        yield now, told
        yield max([now + plan.await_all_s, *ends.values()]), frozenset(ends)
        # only what a step needs has to be named; where each name costs, nobody awaits what no step needs
        named = len([call for call in step.sees if call not in told])
        if plan.each_further_s and not named:
            return
        await_s = plan.await_s + plan.each_further_s * max(0, named - 1)
        for end in {end for call, end in ends.items() if call not in told}:
            then = max(now + await_s, end)
            yield then, frozenset(call for call, ends_at in ends.items() if ends_at <= then)

    def after(place: int, now: float, ends: Mapping[int, float], told: frozenset[int]) -> float:
        if place == len(plan.steps):
            return now
        step, found = plan.steps[place], float("inf")
        for ready, known in awaited(step, now, ends, told):
            if not step.sees <= known:
                continue
            sent = ready + step.decode_s
            issued = dict(ends) | ends_of(plan.jobs, step.calls, sent, ends)
            longest = max((issued[call] for call in step.calls), default=sent)
            for over in (sent, *(end for end in issued.values() if sent < end <= longest)):
                also = (
                    frozenset(call for call, end in issued.items() if end <= over) if step.calls else frozenset[int]()
                )
                found = min(found, after(place + 1, over, issued, known | also))
        return found

    return after(0, 0.0, {}, frozenset())


def random_plan(seed: int, each_further_s: float = 0.0, await_all_s: float = inf) -> Plan:
    """Up to six calls with edges, in steps of one or more, some of which must see earlier values."""
    chance = random.Random(seed)
    count = chance.randint(1, 6)
    density = chance.choice((0.1, 0.3, 0.6))
    jobs = tuple(
        Job(chance.lognormvariate(0, 1), frozenset(one for one in range(number) if chance.random() < density))
        for number in range(count)
    )
    steps: list[Step] = []
    sent = 0
    while sent < count:
        size = 1 if chance.random() < 0.6 else chance.randint(1, count - sent)
        seen = frozenset(one for one in range(sent) if chance.random() < density)
        steps.append(Step(chance.choice((0.1, 1.0)), tuple(range(sent, sent + size)), seen))
        sent += size
        if sent == count or chance.random() < 0.3:
            is_answer = sent == count or chance.random() < 0.5
            steps.append(Step(0.5, (), frozenset(range(sent)) if is_answer else frozenset()))
    return Plan(jobs, tuple(steps), chance.choice((0.05, 0.5, 3.0)), each_further_s, await_all_s)


def test_the_best_schedule_is_what_brute_force_finds() -> None:
    for seed in (*range(PROGRAMS), LONGER_AWAIT):
        plan = random_plan(seed)
        assert best_s(plan) == pytest.approx(brute_force_s(plan)), (seed, plan)


def test_it_is_so_too_where_an_await_costs_more_the_more_it_names() -> None:
    for seed in range(PROGRAMS):
        plan = random_plan(seed, each_further_s=0.4)
        assert best_s(plan) == pytest.approx(brute_force_s(plan)), (seed, plan)


def test_it_is_so_too_where_an_await_may_name_none_and_wait_for_all() -> None:
    for seed in range(PROGRAMS):
        plan = random_plan(seed, each_further_s=0.4, await_all_s=0.2)
        assert best_s(plan) == pytest.approx(brute_force_s(plan)), (seed, plan)


def test_no_schedule_beats_the_bound() -> None:
    for seed in range(PROGRAMS):
        plan = random_plan(seed)
        decode_s = sum(step.decode_s for step in plan.steps)
        sync_s = decode_s + sum(job.seconds for job in plan.jobs)
        assert sync_s / best_s(plan) <= bound(decode_s, plan.jobs) + 1e-9


def test_a_slow_call_is_not_waited_for_while_there_is_something_else_to_write() -> None:
    plan = Plan((Job(3), Job(1)), (Step(1, (0,)), Step(1, (1,)), Step(1, (), frozenset({0, 1}))), await_s=1)
    assert best_s(plan) == 1 + 1 + 2 + 1  # the await's own step passes while the first call runs


def test_a_call_that_ends_as_the_next_is_written_needs_no_await() -> None:
    plan = Plan((Job(2), Job(1)), (Step(1, (0,)), Step(1, (1,)), Step(1, (), frozenset({0, 1}))), await_s=9)
    assert best_s(plan) == 1 + 1 + 1 + 1


def test_a_token_may_come_late_so_that_an_earlier_result_comes_with_it() -> None:
    plan = Plan(
        (Job(3), Job(9), Job(0)),
        (Step(1, (0,)), Step(1, (1,)), Step(1, (2,), frozenset({0})), Step(1, (), frozenset({0, 1, 2}))),
        await_s=5,
    )
    # the second step waits two seconds, until the first call has ended; only the last answer needs an await
    assert best_s(plan) == 1 + 1 + 2 + 1 + (11 - 5) + 1


def test_calls_of_one_step_that_conflict_run_one_after_another() -> None:
    plan = Plan((Job(2), Job(3, frozenset({0}))), (Step(1, (0, 1)), Step(1, (), frozenset({0, 1}))), await_s=9)
    assert best_s(plan) == 1 + 2 + 3 + 1
    assert critical_path_s(plan.jobs) == 5


def test_a_replay_keeps_the_waits_that_were_taken() -> None:
    jobs = (Job(3), Job(1, frozenset({0})))
    taken = (
        Taken(1, (0,), frozenset(), at_least_s=0.5),
        Taken(1, (1,), frozenset()),
        Taken(1, (), frozenset({0, 1})),
        Taken(1, (), frozenset()),
    )
    assert replayed_s(jobs, taken) == 1 + 3 + 1 + 1
