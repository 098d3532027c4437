"""Programs of public workloads played end to end: `python -m benchmarks.end_to_end`.

Scripted models play each program through the gateway and, as baselines, straight at the servers: one call after
another, and parallel calls in one step. All runs in a time-lapse (see `timelapse`). Exit code 1 when a target is
missed, but not by a quick run.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args

import click

from benchmarks.agents import AGENTS, Agent, Decode, Mode
from benchmarks.common import machine
from benchmarks.replay import real_time
from benchmarks.replay.cells import cells_of, overview
from benchmarks.replay.playing import InlineWait, Measurement, Sample, Setting, Variant, warm_up
from benchmarks.replay.regret import curve, curve_table
from benchmarks.replay.verdicts import verdicts
from benchmarks.workloads.bfcl.package import MissingPackage
from benchmarks.workloads.bfcl.package import is_there as is_bfcl_there
from benchmarks.workloads.catalog import programs
from benchmarks.workloads.labels import Policy
from benchmarks.workloads.program import WORKLOADS, Workload

MEANS_S = (0.2, 1.0, 5.0)
DECODES: tuple[Decode, ...] = (1.0, 3.0, 8.0, "tokens")
ORDERED: tuple[Policy, ...] = ("root", "server", "read_write")
MODES: tuple[Mode, ...] = get_args(Mode)
UNORDERED = (Agent("eager", "one"), Agent("eager", "turn"), Agent("choosing", "turn"))
"""Who plays with labels off, to see what goes wrong; labels are nothing to those without a gateway."""
SAMPLE = 12
CURVE_SAMPLE = 4
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Task:
    """What one worker does at once."""

    setting: Setting
    variants: tuple[Variant, ...]
    unordered: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it."""

    samples: list[Sample]
    unordered: list[tuple[str, str, bool]]
    """With labels off: workload, agent, and whether it went wrong."""


def work(task: Task) -> Done:
    """Measure one program under one latency and one speed of writing."""
    warm_up()
    measurement = Measurement(task.setting)
    workload = task.setting.workload
    return Done(
        [measurement.sample(variant) for variant in task.variants],
        [(workload, variant.agent.name, measurement.goes_wrong(variant)) for variant in task.unordered],
    )


def results(tasks: Sequence[Task], workers: int) -> Iterator[Done]:
    """Do all tasks, in as many processes."""
    if workers == 1:
        yield from map(work, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for number, done in enumerate(pool.imap_unordered(work, tasks), 1):
            if sys.stderr.isatty():
                print(f"\r{number} of {len(tasks)}", end="", file=sys.stderr)
            yield done


def settings_for(workloads: Iterable[Workload], sample: int, grid: Iterable[tuple[float, Decode]]) -> list[Setting]:
    """A sample of the programs of each workload under each latency and speed of writing."""
    conditions = list(grid)
    return [
        Setting(workload, number, mean_s, decode)
        for mean_s, decode in conditions
        for workload in workloads
        for number in _drawn(len(programs(workload)), sample)
    ]


def _drawn(count: int, sample: int) -> list[int]:
    """Always the same ones; no even steps, since some workloads choose what a program does by its number."""
    order = list(range(count))
    random.Random(0).shuffle(order)
    return sorted(order[:sample])


def grid_tasks(workloads: Sequence[Workload], sample: int, *, is_quick: bool) -> list[Task]:
    """Every cell, or with `is_quick` one in which everything happens."""
    grid = [(1.0, 1.0)] if is_quick else list(product(MEANS_S, DECODES))
    variants = tuple(Variant(*chosen) for chosen in product(AGENTS, ORDERED, MODES))
    unordered = tuple(Variant(agent, "off", "waits") for agent in UNORDERED)
    return [Task(setting, variants, unordered) for setting in settings_for(workloads, sample, grid)]


def curve_tasks(
    workloads: Sequence[Workload], sample: int, waits: Sequence[InlineWait], *, is_quick: bool
) -> list[Task]:
    """The cells of those whom the setting concerns, for each of its values."""
    grid = [(1.0, 1.0)] if is_quick else list(product(MEANS_S, DECODES))
    agents = [agent for agent in AGENTS if agent.style != "choosing"]
    policies: tuple[Policy, ...] = ("root", "read_write")
    variants = tuple(Variant(*chosen) for chosen in product(agents, policies, MODES, waits))
    return [Task(setting, variants) for setting in settings_for(workloads, sample, grid)]


@click.command()
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write everything there, too.")
@click.option("--quick", is_flag=True, help="One cell of each kind, in a few seconds.")
@click.option("--only", type=click.Choice(WORKLOADS), multiple=True, help="These workloads alone.")
@click.option("--sample", type=click.IntRange(min=1), help="How many programs of each workload.")
@click.option("--full", is_flag=True, help="All programs.")
@click.option("--workers", default=WORKERS, show_default=True, type=click.IntRange(min=1), help="Processes.")
@click.option("--inline-wait", "waits", help="Compare these values of `inline_wait_s` instead: 0,0.5,1,…")
@click.option(
    "--real-time",
    "programs_in_real_time",
    type=click.IntRange(min=1),
    help="Check so many programs of each cell in real time instead.",
)
def main(
    *,
    json_file: Path | None,
    quick: bool,
    only: tuple[Workload, ...],
    sample: int | None,
    full: bool,
    workers: int,
    waits: str | None,
    programs_in_real_time: int | None,
) -> None:
    """Measure how long whole programs take."""
    workloads = only or WORKLOADS
    if "bfcl" in workloads and not is_bfcl_there():
        raise click.ClickException(f"{MissingPackage()}; or leave it out: --only fanout --only coding")
    before = machine()
    count = sys.maxsize if full else sample or (1 if quick else CURVE_SAMPLE if waits else SAMPLE)
    print(", ".join(f"{key} {value}" for key, value in before.items()))
    if programs_in_real_time is not None:
        report = check(settings_for(workloads, programs_in_real_time, [(0.2, 1.0), (1.0, 1.0)][: 1 if quick else 2]))
    elif waits is not None:
        report = regret(curve_tasks(workloads, count, inline_waits(waits), is_quick=quick), workers)
    else:
        report = grid(grid_tasks(workloads, count, is_quick=quick), workers)
    if json_file is not None:
        json_file.write_text(json.dumps({"machine_before": before, "machine_after": machine()} | report.rows, indent=1))
    sys.exit(0 if report.is_met or quick else 1)


@dataclass(frozen=True, slots=True)
class Report:
    """What goes into the JSON file, and whether all targets are met."""

    rows: dict[str, Any]
    is_met: bool


def grid(tasks: Sequence[Task], workers: int) -> Report:
    """All cells, and what goes wrong without labels."""
    samples: list[Sample] = []
    wrong, runs = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for done in results(tasks, workers):
        samples += done.samples
        for workload, agent, went_wrong in done.unordered:
            wrong[workload, agent] += went_wrong
            runs[workload, agent] += 1
    cells = sorted(cells_of(samples), key=lambda cell: cell.where)
    found = verdicts(cells)
    print("\n".join(overview(cells)))
    print("labels off: runs whose results or final state differ from the sequential ones")
    off = [
        {"workload": workload, "agent": agent, "wrong": wrong[workload, agent], "runs": count}
        for (workload, agent), count in runs.items()
    ]
    print("\n".join(f"{row['workload']:7} {row['agent']:14} {row['wrong']:>5} of {row['runs']}" for row in off))
    print("\n".join(map(str, found)))
    rows = {"cells": [cell.row() for cell in cells], "labels_off": off, "verdicts": [asdict(one) for one in found]}
    return Report(rows, all(verdict.is_met for verdict in found))


def regret(tasks: Sequence[Task], workers: int) -> Report:
    """The curve over the values of the inline wait."""
    cells = cells_of(sample for done in results(tasks, workers) for sample in done.samples)
    points = curve(cells)
    print("\n".join(curve_table(points)))
    return Report({"curve": [point.row() for point in points], "cells": [cell.row() for cell in cells]}, is_met=True)


def check(chosen: Sequence[Setting]) -> Report:
    """Whether the time-lapse tells the truth."""
    pairs = real_time.compare(chosen)
    print("\n".join(real_time.table(pairs)))
    return Report({"real_time": [asdict(pair) for pair in pairs]}, all(pair.is_right for pair in pairs))


def inline_waits(text: str) -> list[InlineWait]:
    """The values of a list; what is no number is passed on as it is."""
    return [_number(value.strip()) for value in text.split(",")]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()
