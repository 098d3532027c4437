"""Corners of the order that whole programs reach too seldom, said to the scheduler alone."""

from __future__ import annotations

from asyncfc_mcp.core.future import FutureState
from tests.core.program import Program


def test_a_cancelled_call_leaves_the_way_of_all_that_it_waited_for() -> None:
    program = Program()
    program.send("a", "w:fs/a")
    program.send("b", "w:fs/b")
    program.send("both", "w:fs/a", "w:fs/b")
    program.cancel("both")
    program.succeed("a")
    program.succeed("b")
    assert program.state("a") is program.state("b") is FutureState.RESOLVED


def test_a_failed_write_stops_no_call_that_was_sent_beside_it() -> None:
    program = Program()
    program.submit("w1", "W:db")
    program.submit("w2", "W:db")
    program.answer("w1")
    program.answer("w2")
    assert program.fail("w1") == ["w2"]
