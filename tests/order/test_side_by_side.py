"""Calls that are sent side by side: some interleaving where labels are assumed, the order of arrival where declared."""

from __future__ import annotations

import pytest

from tests.order.interleaving import explains
from tests.order.model import Labels, Result, run
from tests.order.play import Played, gateway_for, play_all
from tests.order.program import Operation, Program, draw_steps
from tests.order.test_one_after_another import ALL_LABELS, COUNT

pytestmark = pytest.mark.anyio


def unlike_arrival(played: list[Played]) -> list[str]:
    """The programs whose results are not those of the calls one after another in their order of arrival."""
    found: list[str] = []
    for one in played:
        results, state = run(one.program, order=one.arrived)
        if one.results != results or one.state != state:
            found.append(f"{one.program}\n arrived as {one.arrived}\n gave {one.results}\n expected {results}")
    return found


def unexplained(played: list[Played]) -> list[str]:
    """The programs whose results no interleaving gives."""
    return [
        f"{one.program}\n gave {one.results}\n state {one.state}"
        for one in played
        if not explains(one.program, one.results, one.state)
    ]


@pytest.mark.parametrize("labels", ALL_LABELS)
async def test_steps_of_calls_side_by_side_equal_some_interleaving(labels: Labels) -> None:
    programs = [draw_steps(seed) for seed in range(5_000, 5_000 + COUNT)]
    async with gateway_for(labels, on_unseen_failure="run") as gateway:
        played = await play_all(gateway, programs, named=True)
    assert not unexplained(played)


@pytest.mark.parametrize("labels", ALL_LABELS)
async def test_references_may_arrive_before_the_calls_that_they_name(labels: Labels) -> None:
    programs = [draw_steps(seed) for seed in range(7_000, 7_000 + COUNT // 2)]
    assert any(
        operation.need is not None and operation.need.index in step
        for program in programs
        for step in program.steps
        for operation in (program.operations[index] for index in step)
    )
    async with gateway_for(labels, on_unseen_failure="run") as gateway:
        played = await play_all(gateway, programs, named=True, backwards=True)
    assert not unexplained(played)


@pytest.mark.parametrize(("labels", "order"), [("declared", "observed"), ("assumed", "strict"), ("mixed", "strict")])
async def test_declared_labels_keep_the_order_of_arrival_side_by_side(labels: Labels, order: str) -> None:
    programs = [draw_steps(seed) for seed in range(6_000, 6_000 + COUNT)]
    async with gateway_for(labels, on_unseen_failure="run", order=order) as gateway:
        played = await play_all(gateway, programs, named=True)
    assert all(sorted(one.arrived) == list(range(len(one.program.operations))) for one in played)
    assert not unlike_arrival(played)


async def test_assumed_labels_let_calls_side_by_side_differ_from_their_order_of_arrival() -> None:
    programs = [draw_steps(seed) for seed in range(6_000, 6_000 + COUNT)]
    async with gateway_for("assumed", on_unseen_failure="run") as gateway:
        played = await play_all(gateway, programs, named=True)
    assert unlike_arrival(played)


async def test_without_labels_results_appear_that_no_interleaving_gives() -> None:
    programs = [draw_steps(seed) for seed in range(5_000, 5_000 + COUNT)]
    async with gateway_for("declared", labels_off=True, on_unseen_failure="run") as gateway:
        played = await play_all(gateway, programs, named=True)
    assert unexplained(played)


def appended(text: str) -> Operation:
    return Operation("append", "one", "k", text)


def test_a_lost_update_is_an_interleaving_of_one_step_and_of_no_two() -> None:
    results = [Result("value", "a"), Result("value", "b")]
    state = {("one", "k"): "b"}
    assert explains(Program(0, (appended("a"), appended("b")), (2,)), results, state)
    assert not explains(Program(0, (appended("a"), appended("b")), (1, 1)), results, state)


def test_a_value_that_nobody_wrote_is_no_interleaving() -> None:
    program = Program(0, (appended("a"), Operation("get", "one", "k")), (2,))
    for text, is_possible in (("a", True), ("nothing", True), ("b", False)):
        results = [Result("value", "a"), Result("value", text)]
        assert explains(program, results, {("one", "k"): "a"}) is is_possible
