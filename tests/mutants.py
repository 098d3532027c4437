"""Faults that the core could have, each with the test that finds it: `python -m tests.mutants` shows that it does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
LIMIT_S = 120.0
_TESTS_FAILED = 1
"""The exit code of pytest that says so; others say that it could not run them."""
CHAINS = "tests/core/test_chains.py"
RECONFIGURED = "tests/core/test_reconfigured.py"
ROOMS = "tests/core/test_rooms.py"
SCHEDULER = "tests/core/test_scheduler.py"
TEMPLATES = "tests/labels/test_template.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of behaviour in `asyncfc_mcp/core`."""

    file: str
    original: str
    mutated: str
    killed_by: str
    """The id of the test that fails with it."""

    @property
    def path(self) -> Path:
        return Path("asyncfc_mcp", "core", self.file)


MUTANTS = (
    # A write does not wait for reads.
    Mutant(
        "tree.py",
        "(Access.WRITE,) if access is Access.READ else (Access.WRITE, Access.READ)",
        "(Access.WRITE,)",
        f"{SCHEDULER}::test_a_write_waits_for_every_earlier_read_that_was_answered",
    ),
    # Reads wait for reads.
    Mutant(
        "tree.py",
        "(Access.WRITE,) if access is Access.READ else (Access.WRITE, Access.READ)",
        "(Access.WRITE, Access.READ)",
        f"{SCHEDULER}::test_reads_of_the_same_state_overlap",
    ),
    # Declared labels order no better than assumed ones.
    Mutant(
        "tree.py",
        "(Plane.ARRIVED, Plane.ANSWERED) if label.is_declared else (Plane.ANSWERED,)",
        "(Plane.ANSWERED,)",
        f"{SCHEDULER}::test_declared_writes_keep_their_order_of_arrival_side_by_side",
    ),
    # Different branches under one parent conflict.
    Mutant(
        "tree.py",
        "label.access, below=False)",
        "label.access, below=True)",
        f"{SCHEDULER}::test_writes_of_different_branches_overlap",
    ),
    # A call does not see what is held below its path.
    Mutant(
        "tree.py",
        "label.access, below=True)",
        "label.access, below=False)",
        f"{SCHEDULER}::test_a_read_waits_for_a_write_below_and_above_it",
    ),
    # Assumed labels order by arrival, so that calls sent side by side wait.
    Mutant(
        "scheduler.py",
        "            if label.is_declared:\n",
        "            if label.path is not None:\n",
        f"{SCHEDULER}::test_a_declared_label_waits_for_an_assumed_one_only_when_that_was_answered",
    ),
    # `order: strict` holds for the first call alone.
    Mutant(
        "scheduler.py",
        "        if self._is_strict:\n",
        "        if self._is_strict and not self._scopes:\n",
        f"{SCHEDULER}::test_strict_order_treats_every_label_as_declared",
    ),
    # A value that a pending call needs may be forgotten.
    Mutant(
        "scheduler.py",
        "need.pins += 1",
        "need.pins += 0",
        f"{SCHEDULER}::test_a_value_that_a_pending_call_refers_to_cannot_be_forgotten",
    ),
    # A call that needs what has failed already is let run.
    Mutant(
        "scheduler.py",
        "        if failed is not None:\n",
        "        if failed is record:\n",
        f"{SCHEDULER}::test_a_call_that_needs_a_failed_future_is_poisoned_on_arrival",
    ),
    # A failure is handed on as if it were a value.
    Mutant(
        "scheduler.py",
        "if record.state is FutureState.RESOLVED:",
        "if record.is_settled:",
        f"{SCHEDULER}::test_a_failure_poisons_the_whole_chain_and_names_the_root",
    ),
    # A cancelled call that ends with an error has failed.
    Mutant(
        "scheduler.py",
        "            elif record.state is FutureState.CANCELLING:\n",
        "            elif record.state is FutureState.PENDING:\n",
        f"{SCHEDULER}::test_an_error_that_arrives_while_cancelling_is_the_cancellation",
    ),
    # A timed-out call gives its labels up at once.
    Mutant(
        "scheduler.py",
        "        if event.has_ended:\n",
        "        if event.future:\n",
        f"{SCHEDULER}::test_a_timed_out_call_keeps_its_labels_until_it_has_ended",
    ),
    # `on_unseen_failure: run` is not listened to.
    Mutant(
        "scheduler.py",
        "if not self._stops_unseen or not record.call.writes or record.had_started:",
        "if not record.call.writes or record.had_started:",
        f"{SCHEDULER}::test_unseen_failures_can_be_let_run",
    ),
    # A call that was cancelled in the queue keeps a place on its server.
    Mutant(
        "scheduler.py",
        "        self._rooms.leave(record.call.server, record.call.scope, record.call.future)\n",
        "",
        f"{SCHEDULER}::test_a_call_cancelled_in_the_queue_of_a_full_server_is_passed_over",
    ),
    # A call starts without the value that it needs.
    Mutant(
        "record.py",
        "bool(self.unsettled_needs or self.node.blockers)",
        "bool(self.node.blockers)",
        f"{SCHEDULER}::test_a_data_edge_waits_for_the_value_and_no_longer",
    ),
    # A call starts before those ahead of it have ended.
    Mutant(
        "record.py",
        "bool(self.unsettled_needs or self.node.blockers)",
        "bool(self.unsettled_needs)",
        f"{SCHEDULER}::test_declared_writes_keep_their_order_of_arrival_side_by_side",
    ),
    # A group ends with its first member.
    Mutant(
        "graph.py",
        "            if dependant.blockers:\n",
        "            if dependant.blockers and dependant.future is not None:\n",
        f"{SCHEDULER}::test_a_write_waits_for_every_earlier_read_that_was_answered",
    ),
    # A cancelled call drags along the edges to those it waited for.
    Mutant(
        "graph.py",
        "        blocker.dependants = _without(blocker.dependants, node)\n",
        "        blocker.dependants = _without(blocker.dependants, node)\n        break\n",
        "tests/order/test_core_corners.py::test_a_cancelled_call_leaves_the_way_of_all_that_it_waited_for",
    ),
    # A failure stops calls that were sent before its token was out.
    Mutant(
        "failures.py",
        "failed.answer is not None and failed.answer < later.arrival",
        "failed.answer is not None",
        "tests/order/test_core_corners.py::test_a_failed_write_stops_no_call_that_was_sent_beside_it",
    ),
    # A failure stops calls that were sent after it.
    Mutant(
        "failures.py",
        "failed.end is None or failed.end > later.arrival",
        "failed.answer is not None",
        f"{SCHEDULER}::test_a_write_sent_after_the_failed_one_had_ended_is_not_stopped",
    ),
    # A failure that the client has seen stops calls.
    Mutant(
        "failures.py",
        "        and not record.is_told\n",
        "",
        f"{SCHEDULER}::test_a_failure_that_the_client_was_told_of_stops_nothing",
    ),
    # A stopped call stops others.
    Mutant(
        "failures.py",
        "        and record.failure.reason not in _NEVER_STARTED\n",
        "",
        f"{SCHEDULER}::test_a_stopped_write_stops_no_others",
    ),
    # Labels that nobody declared tie servers together.
    Mutant(
        "failures.py",
        "(one.is_declared and other.is_declared)",
        "(one.access is other.access)",
        f"{SCHEDULER}::test_assumed_labels_of_another_server_stop_nothing",
    ),
    # Declared labels do not.
    Mutant(
        "failures.py",
        " or (one.is_declared and other.is_declared)",
        "",
        f"{SCHEDULER}::test_declared_labels_of_another_server_stop_too",
    ),
    # A poisoned call names its neighbour, not the root of the failure.
    Mutant(
        "failures.py",
        "failure.reason is FailureReason.POISONED:",
        "failure.reason is FailureReason.CANCELLED:",
        f"{SCHEDULER}::test_a_failure_poisons_the_whole_chain_and_names_the_root",
    ),
    # One call too many runs on a server.
    Mutant(
        "room.py",
        '"""Whether no place is free."""\n        return self.capacity is not None and self.running >= self.capacity',
        '"""Whether no place is free."""\n        return self.capacity is not None and self.running > self.capacity',
        f"{SCHEDULER}::test_a_full_server_runs_no_more_than_its_limit",
    ),
    # One call too many runs on all servers together.
    Mutant(
        "room.py",
        'on whichever server."""\n        return self.capacity is not None and self.running >= self.capacity',
        'on whichever server."""\n        return self.capacity is not None and self.running > self.capacity',
        f"{ROOMS}::test_no_more_run_than_there_are_places_in_all",
    ),
    # The server that came first is served until it has nothing left.
    Mutant(
        "room.py",
        "        self._turns.move_to_end(server)\n",
        "",
        f"{ROOMS}::test_servers_take_turns_for_the_last_places",
    ),
    # Room that a change of the configuration makes is given to nobody.
    Mutant(
        "scheduler.py",
        "        self._rooms.resize(event.concurrency, event.max_running)\n        self._fill(event.at)\n",
        "        self._rooms.resize(event.concurrency, event.max_running)\n",
        f"{RECONFIGURED}::test_more_room_on_a_server_starts_those_who_wait_for_it_in_their_turn",
    ),
    # A server that a change of the configuration does not name has no limit any more.
    Mutant(
        "room.py",
        "        self._capacities.update(capacities)\n",
        "        self._capacities = dict(capacities)\n",
        f"{RECONFIGURED}::test_a_server_that_is_not_named_keeps_its_room",
    ),
    # The length of a row of calls is never counted again.
    Mutant(
        "scheduler.py",
        "            chain.count_again(needs, self._records)\n",
        "",
        f"{CHAINS}::test_a_row_of_calls_gets_shorter_as_they_settle",
    ),
    # The scope that came first is served until it has nothing left.
    Mutant(
        "room.py",
        "            self._queues.move_to_end(scope)\n",
        "            self._queues.move_to_end(scope, last=False)\n",
        f"{SCHEDULER}::test_a_busy_scope_does_not_starve_another",
    ),
    # Only a label above conflicts, not one below.
    Mutant(
        "label.py",
        "is_prefix(one.path, other.path) or is_prefix(other.path, one.path)",
        "is_prefix(one.path, other.path)",
        f"{SCHEDULER}::test_a_stopped_write_stops_no_others",
    ),
    # A token is taken for the name of what it will stand for.
    Mutant(
        "label.py",
        "argument not in arguments or is_opaque(argument)",
        "argument not in arguments",
        f"{TEMPLATES}::test_an_argument_with_a_reference_gives_the_namespace",
    ),
    # A name with a slash in it is a path, and conflicts with its parts.
    Mutant(
        "label.py",
        'normal_segment(text.replace("/", "%2F"))',
        "normal_segment(text)",
        f"{TEMPLATES}::test_a_name_is_one_segment_with_its_slashes_escaped",
    ),
)


def main() -> None:
    """Try every mutant; exit code 1 when one survives."""
    with tempfile.TemporaryDirectory() as folder:
        clean = _copy(Path(folder, "clean"))
        named = sorted({mutant.killed_by for mutant in MUTANTS})
        if (code := _pytest(clean, *named)) != 0:
            click.echo(f"the named tests do not pass without a mutant: pytest says {code}")
            sys.exit(2)
        places = [Path(folder, str(number)) for number in range(len(MUTANTS))]
        with ThreadPoolExecutor(2) as pool:
            survived = 0
            for mutant, is_killed in zip(MUTANTS, pool.map(_is_killed, MUTANTS, places), strict=True):
                survived += not is_killed
                change = " ".join(mutant.original.split())[:60]
                end = "killed  " if is_killed else "SURVIVED"
                click.echo(f"{end}  {mutant.file:<13} {change:<60}  {mutant.killed_by}")
    click.echo(f"{len(MUTANTS) - survived} of {len(MUTANTS)} killed")
    sys.exit(1 if survived else 0)


def _copy(place: Path) -> Path:
    """The package and its tests; a test run finds the package in its own folder first."""
    for part in ("asyncfc_mcp", "tests"):
        shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", place)
    return place


def _is_killed(mutant: Mutant, place: Path) -> bool:
    file = _copy(place) / mutant.path
    source = file.read_text()
    if source.count(mutant.original) != 1:
        raise click.ClickException(f"{mutant.path}: {mutant.original!r} does not stand there once; renew the list")
    file.write_text(source.replace(mutant.original, mutant.mutated))
    code = _pytest(place, mutant.killed_by)
    shutil.rmtree(place)
    return code == _TESTS_FAILED


def _pytest(folder: Path, *tests: str) -> int:
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "-x", "-q", *tests]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=LIMIT_S).returncode


if __name__ == "__main__":
    try:
        main()
    except click.ClickException as problem:
        problem.show()
        sys.exit(2)
