"""What the demonstration says about its runs, from fixed times."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from asyncfc_mcp.demo.program import TRIP
from asyncfc_mcp.demo.record import CallTimes, Run, Span, Timeline, Way
from asyncfc_mcp.demo.report import RunsDiffer, report
from asyncfc_mcp.demo.screen import Screen, summary

RESULTS = {call.name: f"result of {call.tool}" for call in TRIP}
FILES = {"bookings.json": "[1, 2]"}


def run(way: Way, end_s: float) -> Run:
    """Each call is written in 1 s and takes 2 s."""
    thinking = tuple(Span(at, at + 1) for at in range(len(TRIP) + (2 if way is Way.FUTURES else 1)))
    calls = tuple(CallTimes(call.tool, at, Span(at, at + 2)) for at, call in enumerate(TRIP, start=1))
    return Run(Timeline(way, thinking, calls, end_s), RESULTS, FILES)


RUNS = {way: run(way, end_s) for way, end_s in zip(Way, (25, 18, 14), strict=True)}


def test_a_result_that_differs_fails_the_demonstration() -> None:
    other = replace(RUNS[Way.FUTURES], results={**RESULTS, "hotel": "TRIP-1"})
    with pytest.raises(RunsDiffer, match=r"'Futures' differs .* result hotel: expected 'result of book_hotel'"):
        report({**RUNS, Way.FUTURES: other})


def test_a_file_that_is_missing_fails_the_demonstration() -> None:
    other = replace(RUNS[Way.PARALLEL], files={})
    with pytest.raises(RunsDiffer, match=r"file bookings\.json: expected '\[1, 2\]', found None"):
        report({**RUNS, Way.PARALLEL: other})


def test_the_best_schedule_waits_for_the_agent_the_values_and_the_order() -> None:
    # flight 4-6, hotel 6-8, itinerary 8-10, note 10-12, and the answer's second.
    assert report(RUNS).best_s == 13


def test_the_bound_has_the_papers_terms() -> None:
    bound = report(RUNS).bound
    assert (bound.thinking_s, bound.tools_s, bound.critical_path_s) == (9, 16, 10)
    assert bound.ratio == 2.5


def test_the_gain_is_measured_wall_time_against_measured_wall_time() -> None:
    assert report(RUNS).gain(Way.PARALLEL) == pytest.approx(18 / 14)


def test_the_summary_fits_eighty_columns_and_says_what_is_simulated() -> None:
    lines = summary(report(RUNS), speed=1.0)
    assert max(map(len, lines)) <= 80
    assert any(line.split() == ["One", "call", "after", "another", "25.00", "s", "1.79x"] for line in lines)
    assert any("R = 2.50x" in line for line in lines)
    assert any("Simulated:" in line for line in lines)


def test_slower_and_faster_runs_keep_the_summary_within_eighty_columns() -> None:
    assert max(len(line) for speed in (0.3, 3, 7) for line in summary(report(RUNS), speed)) <= 80


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_chart_of_a_finished_run_stays_on_the_screen(is_terminal: bool) -> None:
    output = StringIO()
    screen = Screen(Console(file=output, width=80, force_terminal=is_terminal, color_system=None), speed=1.0)
    with screen.watching(Way.PARALLEL, lambda: RUNS[Way.PARALLEL].timeline):
        pass
    assert output.getvalue().rstrip().splitlines()[-1].startswith("  write_note")
