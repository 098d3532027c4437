"""What no rule for waiting can reach."""

from __future__ import annotations

import pytest

from benchmarks.best_rule import best_fraction, taken_s
from benchmarks.schedule import Job, Plan, Step, best_s


def test_a_call_that_waits_for_its_result_costs_no_step_more() -> None:
    assert taken_s(3, 1, [1]) == 3 + 1 + 3


def test_a_token_costs_the_await() -> None:
    assert taken_s(3, 1, [0]) == 3 + 3 + 3


def test_one_call_through_the_best_schedule_is_one_call_that_waits() -> None:
    assert best_s(Plan((Job(1),), (Step(3, (0,)), Step(3, (), frozenset({0}))), 3)) == taken_s(3, 1, [1])


@pytest.mark.parametrize(("decode_s", "tool_s"), [(1, 0.2), (3, 1), (8, 1), (8, 5)])
def test_no_rule_keeps_0_95_of_the_best_schedule(decode_s: float, tool_s: float) -> None:
    assert best_fraction(decode_s, tool_s) < 0.95


def test_where_tools_outlast_the_steps_a_rule_can_be_perfect() -> None:
    assert best_fraction(1, 5) == 1
