"""The gateway conforms as the server behind it does, by the official suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.legs import LEGS, Expected, Leg, measure
from tests.conformance.suite import PACKAGES, WITHOUT_PACKAGES

pytestmark = pytest.mark.anyio

SCORED = {"2025-11-25": 30, "2026-07-28": 37, "tasks": 9}
each_leg = pytest.mark.parametrize("leg", LEGS, ids=[leg.name for leg in LEGS])


@each_leg
@pytest.mark.skipif(not PACKAGES, reason=WITHOUT_PACKAGES)
async def test_every_scenario_goes_through_the_gateway_as_expected(leg: Leg, tmp_path: Path) -> None:
    rows = await measure(leg, tmp_path)
    assert {row.scenario: row.wrong for row in rows if row.wrong} == {}


@each_leg
def test_the_list_of_expected_results_names_as_many_scenarios_as_count(leg: Leg) -> None:
    expected = Expected.of(leg)
    counted = [*expected.scored, *expected.exceptions]
    assert len(counted) == SCORED[leg.name]
    assert len(set(counted)) == len(counted)


def test_at_most_one_scenario_of_the_tasks_extension_is_an_exception() -> None:
    (tasks,) = (leg for leg in LEGS if leg.judges_tasks)
    assert len(Expected.of(tasks).exceptions) <= 1


@each_leg
def test_each_exception_has_a_reason(leg: Leg) -> None:
    expected = Expected.of(leg)
    assert all(len(reason) > 40 for reason in (*expected.exceptions.values(), *expected.ignored.values()))
