"""Futures of earlier processes: those that had settled order nothing, those that had begun wait for nothing."""

from __future__ import annotations

from asyncfc_mcp.core.future import FailureReason, FutureState
from tests.core.program import Program


def test_a_recalled_value_starts_the_call_that_needs_it() -> None:
    program = Program()
    assert program.recall("old") == []
    assert program.submit("new", needs=("old",)) == ["new"]


def test_a_recalled_failure_poisons_the_call_that_needs_it() -> None:
    program = Program()
    program.recall("old", FutureState.FAILED)
    assert program.submit("new", needs=("old",)) == []
    failure = program.failure("new")
    assert (failure.reason, failure.cause) == (FailureReason.POISONED, "old")


def test_a_recalled_future_orders_nothing_and_stops_no_write() -> None:
    program = Program()
    program.recall("old", FutureState.FAILED)
    assert program.send("new", "w:a")
    assert program.scheduler.record("old").is_told


def test_a_recalled_future_can_be_forgotten_once_nothing_needs_it() -> None:
    program = Program()
    program.recall("old", scope="nobody's")
    program.submit("new", needs=("old",))
    assert not program.scheduler.record("old").is_forgettable
    program.succeed("new")
    program.forget("old")
    assert "nobody's" not in program.scheduler.scopes


def test_calls_that_had_begun_side_by_side_are_begun_again_side_by_side() -> None:
    program = Program()
    for call in ("one", "two"):
        assert program.submit(call, "w:", had_started=True) == [call]
        program.answer(call)
    assert not program.send("later", "w:")


def test_a_write_that_had_begun_is_not_stopped_by_the_failure_of_another() -> None:
    program = Program()
    for call in ("one", "two"):
        program.submit(call, "w:", had_started=True)
        program.answer(call)
    program.send("pending", "w:")
    program.fail("one")
    assert program.state("two") is FutureState.RUNNING
    program.fail("two")
    assert program.failure("pending").reason is FailureReason.UNSEEN_FAILURE
