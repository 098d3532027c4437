"""The time that overlapping calls save."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.telemetry.savings import Burst, Savings, Totals, totals_of

INTERVALS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda one: (float(one[0]), float(one[0] + one[1]))),
    max_size=12,
)


def replayed(intervals: list[tuple[float, float]], now_s: float) -> tuple[Savings, list[Burst]]:
    """Tell of the intervals as a gateway would, up to that moment; an end comes before a start of the same moment."""
    savings = Savings()
    bursts: list[Burst] = []
    events = [(start, 1, start) for start, _ in intervals] + [(end, 0, start) for start, end in intervals]
    for at, kind, start in sorted(events):
        if at > now_s:
            break
        if kind:
            savings.start("s", at)
        elif (burst := savings.settle("s", "get", start, at)) is not None:
            bursts.append(burst)
    return savings, bursts


@given(INTERVALS)
def test_what_is_added_up_as_it_comes_is_what_the_intervals_say(intervals: list[tuple[float, float]]) -> None:
    savings, bursts = replayed(intervals, 1e9)
    assert savings.at(1e9) == totals_of(intervals)
    assert sum(burst.saved_s for burst in bursts) == pytest.approx(totals_of(intervals).saved_s)


@given(INTERVALS, st.integers(1, 90))
def test_calls_that_still_run_count_up_to_now(intervals: list[tuple[float, float]], now_s: int) -> None:
    savings, _ = replayed(intervals, now_s)
    cut = [(start, min(end, float(now_s))) for start, end in intervals if start < now_s]
    at_now = savings.at(now_s)
    assert at_now.run_s == pytest.approx(totals_of(cut).run_s)
    assert at_now.busy_s == pytest.approx(totals_of(cut).busy_s)


def test_calls_one_after_another_save_nothing() -> None:
    assert totals_of([(0, 2), (2, 5)]) == Totals(calls=2, overlapped=0, run_s=5, busy_s=5)


def test_the_union_counts_gaps_once() -> None:
    assert totals_of([(0, 4), (1, 3), (6, 7)]) == Totals(calls=3, overlapped=2, run_s=7, busy_s=5)


def test_scopes_do_not_save_each_others_time() -> None:
    savings = Savings()
    savings.start("one", 0)
    savings.start("other", 0)
    savings.settle("one", "get", 0, 3)
    savings.settle("other", "get", 0, 3)
    assert savings.at(9).saved_s == 0


def test_two_searches_are_called_searches() -> None:
    assert str(Burst("s", 2, ("search_flights", "search_hotels"), 12.2, 6.1)) == "2 searches overlapped, 6.1 s saved"


def test_different_tools_are_called_calls() -> None:
    assert str(Burst("s", 3, ("search", "forecast"), 3, 2)) == "3 calls overlapped, 1.0 s saved"


def test_a_burst_that_saved_less_than_a_tenth_of_a_second_is_not_told() -> None:
    assert not Burst("s", 2, ("get",), 0.2, 0.15).is_noteworthy


def test_a_call_that_was_never_started_ends_no_burst() -> None:
    assert Savings().settle("s", "get", 0, 1) is None
