"""The best schedule against every schedule there is, on cases small enough to try them all."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.demo.schedule import Bound, Work, best_finish_s, critical_path_s

NAMES: tuple[str, ...] = ("a", "b", "c")


@st.composite
def small_works(draw: st.DrawFn) -> list[Work]:
    works: list[Work] = []
    for index in range(draw(st.integers(1, len(NAMES)))):
        after = draw(st.frozensets(st.sampled_from(NAMES[:index]))) if index else frozenset[str]()
        works.append(Work(NAMES[index], draw(st.integers(0, 3)), after, draw(st.integers(0, 3))))
    return works


def shortest_by_trying_all(works: list[Work]) -> float:
    horizon = range(len(works) * 3 + 4)
    finishes: list[float] = []
    for starts in itertools.product(horizon, repeat=len(works)):
        start = dict(zip(NAMES, starts, strict=False))
        finish = {work.name: start[work.name] + work.duration_s for work in works}
        if all(
            start[work.name] >= work.ready_s and all(start[work.name] >= finish[name] for name in work.after)
            for work in works
        ):
            finishes.append(max(finish.values()))
    return min(finishes)


@given(small_works())
def test_no_schedule_ends_before_the_best_one(works: list[Work]) -> None:
    assert best_finish_s(works) == shortest_by_trying_all(works)


@given(small_works())
def test_the_bound_holds_for_every_thinking_time(works: list[Work]) -> None:
    thinking_s = sum(work.ready_s for work in works) + 1
    tools_s = sum(work.duration_s for work in works)
    best_s = max(thinking_s, best_finish_s(works))
    assert Bound(thinking_s, tools_s, critical_path_s(works)).ratio >= (thinking_s + tools_s) / best_s


def test_the_critical_path_ignores_when_calls_were_written() -> None:
    works = [Work("a", 2, frozenset(), ready_s=9), Work("b", 3, frozenset({"a"})), Work("c", 4, frozenset())]
    assert critical_path_s(works) == 5


def test_r_is_the_papers_formula() -> None:
    assert Bound(thinking_s=2, tools_s=6, critical_path_s=4).ratio == pytest.approx(2)
