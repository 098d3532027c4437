"""`python -m benchmarks.workloads`: the workloads in figures, and how many programs go wrong without order."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.common import machine
from benchmarks.workloads.bfcl.package import INSTALL, is_there
from benchmarks.workloads.catalog import programs
from benchmarks.workloads.labels import POLICIES, Policy
from benchmarks.workloads.latency import LogNormalLatency, durations_s
from benchmarks.workloads.overlapped import run_overlapped
from benchmarks.workloads.program import WORKLOADS, Program, Turn, Workload

SEEDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One workload."""

    workload: Workload
    programs: int
    turns: int
    calls: int
    turns_of_one_call: int
    calls_with_data_of_their_turn: int
    calls_that_can_take_a_token: int
    """Of those: all that they need of their turn may be passed as tokens."""
    tools: int
    """That the programs call."""
    wrong: dict[str, int]
    """By label policy: programs that went wrong for at least one seed."""
    wrong_where_turns_overlap: dict[str, int]


def row(workload: Workload, seeds: int, sample: int | None) -> Row:
    """A workload in figures."""
    chosen = programs(workload)[:sample]
    turns = [turn for program in chosen for turn in program.turns]
    calls = [call for program in chosen for call in program.calls]
    needs = [own for turn in turns for own in _needs(turn)]
    return Row(
        workload=workload,
        programs=len(chosen),
        turns=len(turns),
        calls=len(calls),
        turns_of_one_call=sum(len(turn.calls) == 1 for turn in turns),
        calls_with_data_of_their_turn=len(needs),
        calls_that_can_take_a_token=sum(all(own) for own in needs),
        tools=len({(call.server, call.tool) for call in calls}),
        wrong={policy: _wrong(chosen, policy, seeds, do_turns_overlap=False) for policy in POLICIES},
        wrong_where_turns_overlap={policy: _wrong(chosen, policy, seeds, do_turns_overlap=True) for policy in POLICIES},
    )


def _needs(turn: Turn) -> list[list[bool]]:
    """For each call that needs data of its turn: for each such use, whether it is verbatim."""
    own = {call.index for call in turn.calls}
    found = ([use.is_verbatim for use in call.uses if use.producer in own] for call in turn.calls)
    return [uses for uses in found if uses]


def _wrong(chosen: Sequence[Program], policy: Policy, seeds: int, *, do_turns_overlap: bool) -> int:
    return sum(
        any(
            not run_overlapped(
                program, durations_s(program, LogNormalLatency(1, seed)), policy, do_turns_overlap=do_turns_overlap
            ).is_as_expected(program)
            for seed in range(seeds)
        )
        for program in chosen
    )


def _shown(value: str | int | dict[str, int]) -> str:
    return ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else str(value)


def main() -> None:
    """Print the table; with `--json` keep it as well."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workloads", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="eight programs of each, one seed")
    options = parser.parse_args()
    before = machine()
    print(", ".join(f"{key} {value}" for key, value in before.items()))
    present: list[Workload] = [workload for workload in WORKLOADS if workload != "bfcl" or is_there()]
    rows = [row(workload, *((1, 8) if options.quick else (SEEDS, None))) for workload in present]
    for each in rows:
        print()
        for name, value in asdict(each).items():
            print(f"{name.replace('_', ' '):30} {_shown(value)}")
    if "bfcl" not in present:
        print(f"\nbfcl is not there: {INSTALL}")
    if options.json:
        document = {"benchmark": "workloads", "machine": before, "rows": [asdict(each) for each in rows]}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
