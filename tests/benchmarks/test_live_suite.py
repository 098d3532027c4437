"""Each task of the live suite can be solved, and is not solved by doing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from benchmarks.live.__main__ import Plan, measure
from benchmarks.live.endpoint import Endpoint
from benchmarks.live.report import Arm, Row
from benchmarks.live.suite import TASKS, task
from tests.benchmarks.live_solutions import SOLUTIONS, solver
from tests.benchmarks.scripted_endpoint import endpoint
from tests.bounds import bound_s


def solved(name: str, arms: Sequence[Arm], scale: float) -> list[Row]:
    async def run(url: str) -> list[Row]:
        async with Endpoint(url, "script", None, "NO_KEY") as at:
            with anyio.fail_after(bound_s(60)):
                return await measure(at, Plan([name], arms, repeats=1, scale=scale))

    with endpoint(solver(name)) as stub:
        return anyio.run(run, stub.url)


def test_each_task_has_a_solution() -> None:
    assert SOLUTIONS.keys() == TASKS.keys()


@pytest.mark.parametrize("name", TASKS)
def test_the_solution_of_a_task_is_found_to_be_right(name: str) -> None:
    (row,) = solved(name, ["parallel"], 0)
    assert (row.misses, row.ended, row.made_up, row.broken_calls) == ((), "answered", 0, 0)


def test_a_solution_is_right_through_the_gateway_too() -> None:
    (row,) = solved("job_beside_searches", ["async"], 0.06)
    assert (row.misses, row.made_up, row.useless_polls, row.unread) == ((), 0, 0, 0)


@pytest.mark.parametrize("name", TASKS)
def test_who_does_and_says_nothing_has_solved_nothing(name: str, tmp_path: Path) -> None:
    played = task(name, 1)
    played.prepare(tmp_path, 1, 1.0)
    assert played.misses(tmp_path, [""] * len(played.prompts), frozenset())


@pytest.mark.parametrize("name", TASKS)
def test_another_seed_has_other_facts_and_the_same_seed_the_same(name: str) -> None:
    assert task(name, 1) == task(name, 1)
    assert task(name, 1) != task(name, 2)
