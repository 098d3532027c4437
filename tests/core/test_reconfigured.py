"""Other limits and rules while calls run and wait."""

from __future__ import annotations

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.scheduler import Scheduler
from tests.core.program import Program


def test_more_room_on_a_server_starts_those_who_wait_for_it_in_their_turn() -> None:
    program = Program(Scheduler(concurrency={"srv": 1}))
    assert [program.send(f"c{number}") for number in range(4)] == [True, False, False, False]
    assert program.reconfigure({"srv": 3}) == ["c1", "c2"]


def test_less_room_takes_no_place_away_and_gives_none_before_enough_have_ended() -> None:
    program = Program(Scheduler(concurrency={"srv": 3}))
    for number in range(5):
        program.send(f"c{number}")
    assert program.reconfigure({"srv": 1}) == []
    assert [program.succeed(f"c{number}") for number in range(3)] == [[], [], ["c3"]]


def test_a_server_that_is_not_named_keeps_its_room() -> None:
    program = Program(Scheduler(concurrency={"srv": 1}))
    program.send("c0")
    program.send("c1")
    assert program.reconfigure({"another": 5}) == []


def test_more_room_in_all_is_given_at_once_and_less_as_calls_end() -> None:
    program = Program(Scheduler(max_running=1))
    for number in range(5):
        program.send(f"c{number}", server=f"srv{number}")
    assert program.reconfigure(max_running=3) == ["c1", "c2"]
    assert program.reconfigure(max_running=1) == []
    assert [program.succeed("c0"), program.succeed("c1"), program.succeed("c2")] == [[], [], ["c3"]]


def test_labels_become_declared_for_calls_that_come_after_the_change_alone() -> None:
    program = Program(Scheduler())
    program.submit("before", "w:a")
    program.reconfigure(is_strict=True)
    assert program.submit("side by side", "w:a") == ["side by side"]
    assert program.submit("strictly behind", "w:a") == []


def test_a_write_that_waits_behind_an_unseen_failure_goes_by_the_rule_as_its_turn_comes() -> None:
    def second_write_after(*, stops_unseen: bool) -> FutureState:
        program = Program(Scheduler(stops_unseen=not stops_unseen))
        program.send("first", "w:a")
        program.send("second", "w:a")
        program.reconfigure(stops_unseen=stops_unseen)
        program.fail("first")
        return program.state("second")

    assert second_write_after(stops_unseen=True) is FutureState.FAILED
    assert second_write_after(stops_unseen=False) is FutureState.RUNNING
