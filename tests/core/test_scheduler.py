"""The scheduler by example: events in, starts out."""

from __future__ import annotations

import pytest

from asyncfc_mcp.core.events import Answered, Call, Finished, InputProvided, InputRequired, Submitted
from asyncfc_mcp.core.future import MOVES, Failure, FailureReason, FutureState, IllegalMove, Move
from asyncfc_mcp.core.scheduler import Scheduler, StillInUse, UnknownFuture
from tests.core.program import Program, label


def test_a_call_without_conflicts_starts_at_once() -> None:
    assert Program().submit("a", "w:db") == ["a"]


def test_a_write_waits_for_every_earlier_read_that_was_answered() -> None:
    program = Program()
    assert program.send("r1", "r:db/users")
    assert program.send("r2", "r:db/orders")
    assert not program.send("w", "w:db")
    assert program.succeed("r1") == []
    assert program.succeed("r2") == ["w"]


def test_reads_of_the_same_state_overlap() -> None:
    program = Program()
    assert program.send("r1", "r:db")
    assert program.send("r2", "r:db/users")


def test_a_read_waits_for_a_write_below_and_above_it() -> None:
    program = Program()
    assert program.send("below", "w:fs/a/b")
    assert not program.send("r1", "r:fs/a")
    assert not program.send("r2", "r:fs/a/b/c")
    assert program.send("r3", "r:fs/z")
    assert program.succeed("below") == ["r1", "r2"]


def test_writes_of_different_branches_overlap() -> None:
    program = Program()
    assert program.send("a", "w:fs/a")
    assert program.send("b", "w:fs/b")
    assert program.send("ab", "w:fs/ab")


def test_assumed_writes_sent_side_by_side_run_side_by_side() -> None:
    program = Program()
    assert program.submit("a", "w:") == ["a"]
    assert program.submit("b", "w:") == ["b"]
    program.answer("a")
    program.answer("b")
    assert not program.send("c", "w:")
    assert program.succeed("a") == []
    assert program.succeed("b") == ["c"]


def test_declared_writes_keep_their_order_of_arrival_side_by_side() -> None:
    program = Program()
    assert program.submit("a", "W:db") == ["a"]
    assert program.submit("b", "W:db") == []
    assert program.submit("c", "W:db") == []
    assert program.succeed("a") == ["b"]
    assert program.succeed("b") == ["c"]


def test_a_declared_label_waits_for_an_assumed_one_only_when_that_was_answered() -> None:
    program = Program()
    program.submit("assumed", "w:")
    assert program.submit("declared", "W:db") == ["declared"]
    program.answer("assumed")
    assert program.submit("later", "W:web") == []


def test_strict_order_treats_every_label_as_declared() -> None:
    program = Program(Scheduler(is_strict=True))
    assert program.submit("a", "w:") == ["a"]
    assert program.submit("b", "w:") == []


def test_a_call_answered_by_a_cancelled_request_still_orders_what_comes_after() -> None:
    program = Program()
    program.submit("a", "w:")
    program.answer("a", with_token=False)
    program.cancel("a")
    assert program.submit("b", "w:") == []
    assert program.end("a") == ["b"]


def test_scopes_do_not_order_each_other() -> None:
    program = Program()
    assert program.send("a", "w:", scope="one")
    assert program.send("b", "w:", scope="two")


def test_a_call_with_several_labels_waits_for_all_of_them() -> None:
    program = Program()
    program.send("a", "w:fs/a")
    program.send("b", "w:fs/b")
    assert not program.send("move", "w:fs/a", "w:fs/b")
    assert program.succeed("a") == []
    assert program.succeed("b") == ["move"]


def test_a_call_without_labels_conflicts_with_nothing() -> None:
    program = Program()
    program.send("w", "w:")
    assert program.send("free")


def test_a_data_edge_waits_for_the_value_and_no_longer() -> None:
    program = Program()
    program.send("a", "r:x")
    assert not program.send("b", "r:y", needs=("a",))
    assert program.succeed("a") == ["b"]


def test_a_data_edge_to_a_resolved_future_is_no_edge() -> None:
    program = Program()
    program.send("a", "r:x")
    program.succeed("a")
    assert program.send("b", "r:y", needs=("a",))


def test_a_data_edge_crosses_scopes() -> None:
    program = Program()
    program.send("a", "w:", scope="one")
    assert not program.send("b", "w:", needs=("a",), scope="two")
    assert program.succeed("a") == ["b"]


def test_a_failure_poisons_the_whole_chain_and_names_the_root() -> None:
    program = Program()
    program.send("a", "r:x")
    program.send("b", "r:y", needs=("a",))
    program.send("c", "r:z", needs=("b",))
    assert program.fail("a", "disk full") == []
    for token in ("b", "c"):
        assert program.state(token) is FutureState.FAILED
        assert program.failure(token).reason is FailureReason.POISONED
        assert program.failure(token).cause == "a"
        assert "disk full" in program.failure(token).message


def test_a_call_that_needs_a_failed_future_is_poisoned_on_arrival() -> None:
    program = Program()
    program.send("a", "r:x")
    program.fail("a")
    assert not program.send("b", "r:y", needs=("a",))
    assert program.failure("b").cause == "a"


def test_a_cancelled_future_poisons_what_needs_it() -> None:
    program = Program()
    program.send("w", "w:")
    program.send("a", "w:")
    program.send("b", "r:y", needs=("a",))
    program.cancel("a", "the user changed their mind")
    assert program.failure("b").cause == "a"
    assert "changed their mind" in program.failure("b").message


def test_a_poisoned_call_releases_its_labels() -> None:
    program = Program()
    program.send("a", "r:x")
    program.send("b", "w:y", needs=("a",))
    assert not program.send("c", "r:y")
    assert program.fail("a") == ["c"]


def test_an_order_edge_does_not_pass_a_failure_on_to_a_read() -> None:
    program = Program()
    program.send("w", "w:db")
    program.send("r", "r:db")
    assert program.fail("w") == ["r"]


def test_a_write_behind_an_unseen_failed_write_is_stopped_and_names_it() -> None:
    program = Program()
    program.send("w1", "w:db")
    program.send("w2", "w:db")
    assert program.fail("w1", "no such table") == []
    assert program.failure("w2").reason is FailureReason.UNSEEN_FAILURE
    assert program.failure("w2").cause == "w1"
    assert "no such table" in program.failure("w2").message


def test_a_stopped_write_stops_no_others() -> None:
    program = Program()
    program.send("w1", "w:db/a")
    program.send("w2", "w:db")
    program.send("w3", "w:db/b")
    assert program.fail("w1") == ["w3"]
    assert program.state("w2") is FutureState.FAILED


def test_a_failure_that_the_client_was_told_of_stops_nothing() -> None:
    program = Program()
    program.send("w1", "w:db")
    program.send("slow", "w:db/x")
    program.send("w2", "w:db/x")
    program.fail("w1")
    assert program.state("slow") is FutureState.FAILED
    program = Program()
    program.send("w1", "w:db")
    program.send("other", "r:db/x")
    program.tell("w1")
    program.send("w2", "w:db/x")
    program.fail("w1")
    assert program.succeed("other") == ["w2"]


def test_a_failure_whose_token_never_left_stops_nothing() -> None:
    program = Program()
    program.submit("w1", "W:db")
    program.submit("w2", "W:db")
    assert program.fail("w1") == ["w2"]


def test_assumed_labels_of_another_server_stop_nothing() -> None:
    program = Program()
    program.send("w1", "w:", server="one")
    program.send("w2", "w:", server="two")
    assert program.fail("w1") == ["w2"]


def test_declared_labels_of_another_server_stop_too() -> None:
    program = Program()
    program.send("w1", "W:fs/a", server="one")
    program.send("w2", "W:fs/a", server="two")
    assert program.fail("w1") == []
    assert program.failure("w2").reason is FailureReason.UNSEEN_FAILURE


def test_a_write_sent_after_the_failed_one_had_ended_is_not_stopped() -> None:
    program = Program()
    program.send("w1", "w:db")
    program.fail("w1")
    assert program.send("w2", "w:db")


def test_unseen_failures_can_be_let_run() -> None:
    program = Program(Scheduler(stops_unseen=False))
    program.send("w1", "w:db")
    program.send("w2", "w:db")
    assert program.fail("w1") == ["w2"]


def test_a_timed_out_call_keeps_its_labels_until_it_has_ended() -> None:
    program = Program(Scheduler(stops_unseen=False))
    program.send("w1", "w:db")
    program.send("w2", "w:db")
    assert program.time_out("w1") == []
    assert program.state("w1") is FutureState.FAILED
    assert program.cancelled_downstream == ["w1"]
    assert program.end("w1") == ["w2"]


def test_a_timed_out_call_that_is_answered_last_in_its_scope_still_orders_what_comes_after() -> None:
    program = Program(Scheduler(stops_unseen=False))
    program.submit("other")
    program.submit("w1", "w:db")
    program.time_out("w1")
    program.succeed("other")
    program.forget("other")
    program.answer("w1")
    assert not program.send("w2", "w:db")
    assert program.end("w1") == ["w2"]


def test_a_cancelled_running_call_keeps_its_labels_until_it_has_ended() -> None:
    program = Program()
    program.send("w1", "w:db")
    program.send("w2", "w:db")
    assert program.cancel("w1") == []
    assert program.state("w1") is FutureState.CANCELLING
    assert program.cancelled_downstream == ["w1"]
    assert program.end("w1") == ["w2"]
    assert program.state("w1") is FutureState.CANCELLED


def test_a_value_that_arrives_while_cancelling_is_kept() -> None:
    program = Program()
    program.send("a", "w:db")
    program.cancel("a")
    program.succeed("a")
    assert program.state("a") is FutureState.RESOLVED


def test_an_error_that_arrives_while_cancelling_is_the_cancellation() -> None:
    program = Program()
    program.send("a", "w:db")
    program.cancel("a", "stop it")
    program.fail("a")
    assert program.state("a") is FutureState.CANCELLED
    assert program.failure("a").message == "stop it"


def test_a_cancelled_pending_call_never_starts_and_keeps_the_order_of_the_others() -> None:
    program = Program()
    program.send("w1", "w:db")
    program.send("w2", "w:db")
    program.send("w3", "w:db")
    assert program.cancel("w2") == []
    assert program.state("w2") is FutureState.CANCELLED
    assert program.succeed("w1") == ["w3"]


def test_cancelling_what_has_settled_changes_nothing() -> None:
    program = Program()
    program.send("a", "w:")
    program.succeed("a")
    program.cancel("a")
    assert program.state("a") is FutureState.RESOLVED


def test_a_late_outcome_of_a_timed_out_call_changes_nothing_but_ends_it() -> None:
    program = Program()
    program.send("a", "w:")
    program.time_out("a")
    program.succeed("a")
    assert program.state("a") is FutureState.FAILED
    assert program.scheduler.record("a").has_ended


def test_a_full_server_runs_no_more_than_its_limit() -> None:
    program = Program(Scheduler(concurrency={"srv": 2}))
    assert program.send("a")
    assert program.send("b")
    assert not program.send("c")
    assert program.succeed("a") == ["c"]


def test_a_call_that_has_not_ended_keeps_its_place_on_the_server() -> None:
    program = Program(Scheduler(concurrency={"srv": 1}))
    program.send("a")
    program.send("b")
    assert program.time_out("a") == []
    assert program.end("a") == ["b"]


def test_a_busy_scope_does_not_starve_another() -> None:
    program = Program(Scheduler(concurrency={"srv": 1}))
    for number in range(5):
        program.send(f"busy{number}", scope="busy")
    program.send("quiet", scope="quiet")
    assert program.succeed("busy0") == ["busy1"]
    assert program.succeed("busy1") == ["quiet"]
    assert program.succeed("quiet") == ["busy2"]


def test_a_call_cancelled_in_the_queue_of_a_full_server_is_passed_over() -> None:
    program = Program(Scheduler(concurrency={"srv": 1}))
    for token in "abc":
        program.send(token)
    program.cancel("b")
    assert program.succeed("a") == ["c"]


def test_blockers_say_which_call_and_which_label() -> None:
    program = Program()
    program.send("w", "w:fs/a")
    program.send("v", "r:x")
    program.send("r", "r:fs/a/b", needs=("v",))
    data, order = program.scheduler.blockers("r")
    assert (data.future, data.is_data) == ("v", True)
    assert (order.future, order.is_data, order.because) == ("w", False, "its write of fs/a")


def test_blockers_look_through_groups() -> None:
    program = Program()
    for number in range(4):
        program.submit(f"r{number}", "r:db")
    for number in range(4):
        program.answer(f"r{number}")
    program.send("w", "w:db")
    (order,) = program.scheduler.blockers("w")
    assert order.future == "r0"


def test_blockers_say_when_the_server_is_full() -> None:
    program = Program(Scheduler(concurrency={"srv": 1}))
    program.send("a")
    program.send("b")
    (full,) = program.scheduler.blockers("b")
    assert full.future is None
    assert "1 of 1" in full.because


def test_a_running_call_that_asks_the_user_holds_its_labels() -> None:
    program = Program()
    program.send("a", "w:db")
    program.feed(InputRequired("a", program.tick()))
    assert program.state("a") is FutureState.INPUT_REQUIRED
    assert not program.send("b", "w:db")
    program.feed(InputProvided("a", program.tick()))
    assert program.state("a") is FutureState.RUNNING


def test_a_forgotten_future_is_unknown() -> None:
    program = Program()
    program.send("a", "w:")
    program.succeed("a")
    program.forget("a")
    with pytest.raises(UnknownFuture, match="a"):
        program.scheduler.record("a")


def test_a_future_in_use_cannot_be_forgotten() -> None:
    program = Program()
    program.send("a", "w:")
    with pytest.raises(StillInUse):
        program.forget("a")


def test_a_value_that_a_pending_call_refers_to_cannot_be_forgotten() -> None:
    program = Program()
    program.send("a", "r:x")
    program.succeed("a")
    program.send("w", "w:y")
    program.send("b", "w:y", needs=("a",))
    with pytest.raises(StillInUse):
        program.forget("a")
    program.succeed("w")
    program.succeed("b")
    program.forget("a")


def test_nothing_is_left_when_everything_has_ended_and_was_told() -> None:
    program = Program()
    for number in range(20):
        program.send(f"f{number}", f"w:db/{number % 3}", f"r:fs/{number}/x")
    for number in range(20):
        token = f"f{number}"
        if not program.scheduler.record(token).is_settled:
            program.succeed(token)
    assert program.scheduler.scopes == {}


def test_ten_thousand_conflicting_calls_cost_a_few_edges_each() -> None:
    scheduler = Scheduler()
    count = 10_000
    labels = (label("w:"),)
    for number in range(count):
        scheduler.handle(Submitted(Call(f"f{number}", f"f{number}", "s", "srv", "t", labels), 0.0))
        scheduler.handle(Answered(f"f{number}", 0.0, with_token=True))
    edges = sum(len(record.node.blockers) for record in scheduler.records.values())
    assert edges <= 2 * count
    for number in range(count):
        scheduler.handle(Finished(f"f{number}", 0.0))
    assert scheduler.scopes == {}


def test_a_chain_of_ten_thousand_tokens_fails_without_recursion() -> None:
    scheduler = Scheduler()
    scheduler.handle(Submitted(Call("f0", "f0", "s", "srv", "t", ()), 0.0))
    for number in range(1, 10_000):
        needs = frozenset({f"f{number - 1}"})
        scheduler.handle(Submitted(Call(f"f{number}", f"f{number}", "s", "srv", "t", (), needs), 0.0))
    program = Program(scheduler)
    moves = [
        command
        for command in scheduler.handle(Finished("f0", 0.0, Failure(FailureReason.TOOL_ERROR, "boom")))
        if isinstance(command, Move)
    ]
    assert len(moves) == 10_000
    assert program.failure("f9999").cause == "f0"


@pytest.mark.parametrize("settled", [FutureState.RESOLVED, FutureState.FAILED, FutureState.CANCELLED])
def test_nothing_moves_out_of_a_settled_state(settled: FutureState) -> None:
    assert MOVES[settled] == frozenset()


def test_an_illegal_move_names_the_future_and_both_states() -> None:
    program = Program()
    program.send("a", "w:")
    program.succeed("a")
    with pytest.raises(IllegalMove, match="future a cannot go from resolved to input_required"):
        program.feed(InputRequired("a", program.tick()))
