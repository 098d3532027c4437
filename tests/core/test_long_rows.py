"""Many calls that conflict, and many failures that nobody has seen: who is in whose way must stay easy to tell."""

from __future__ import annotations

from asyncfc_mcp.core.future import FutureState
from tests.core.program import Program


def test_of_a_long_row_of_writes_the_one_that_runs_is_in_the_way_of_all() -> None:
    program = Program()
    for number in range(6):
        program.send(f"f{number}", "w:")
    for ended in range(4):
        assert [one.future for one in program.scheduler.blockers("f5")] == [f"f{ended}"]
        program.succeed(f"f{ended}")


def test_a_row_of_writes_that_one_was_cancelled_in_is_still_told_apart() -> None:
    program = Program()
    for number in range(5):
        program.send(f"f{number}", "w:")
    program.cancel("f1")
    program.succeed("f0")
    assert [one.future for one in program.scheduler.blockers("f4")] == ["f2"]


def test_a_failed_write_stops_those_behind_it_at_its_place_above_and_below() -> None:
    program = Program()
    program.send("failed", "W:fs/a")
    for name, path in (("same", "fs/a"), ("below", "fs/a/b"), ("above", "fs")):
        program.send(name, f"W:{path}")
    program.send("beside", "W:fs/c")
    program.fail("failed")
    states = {name: program.scheduler.record(name).state for name in ("same", "below", "above", "beside")}
    assert states == {
        "same": FutureState.FAILED,
        "below": FutureState.FAILED,
        "above": FutureState.FAILED,
        "beside": FutureState.RUNNING,
    }


def test_failures_that_ended_before_a_call_came_do_not_stop_it() -> None:
    program = Program()
    for number in range(3):
        program.send(f"f{number}", f"W:db/{number}")
        program.fail(f"f{number}")
    program.send("ahead", "W:db")
    program.send("later", "W:db/1")
    program.succeed("ahead")
    assert program.scheduler.record("later").state is FutureState.RUNNING


def test_a_failure_that_was_told_stops_nobody_any_more() -> None:
    program = Program()
    program.send("failed", "W:db/1", "W:db/2")
    program.send("ahead", "W:db/2/x")
    program.send("later", "W:db/1")
    program.fail("failed")
    assert program.scheduler.record("later").state is FutureState.FAILED
    program.tell("failed")
    program.send("newer", "W:db/1")
    assert program.scheduler.record("newer").state is FutureState.RUNNING
    assert not any(scope.unseen_failures for scope in program.scheduler.scopes.values())
