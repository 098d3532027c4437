"""What the scheduler and its state tree cost by themselves as futures grow: `python -m benchmarks.core_alone`.

No clock, no gateway: events go in, commands come out. Wall time is shown, and judged is what can be counted: the
bytecode instructions of some calls of each size while all others live, and with `--callgrind` the machine
instructions of whole lives.
"""

from __future__ import annotations

import gc
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

import click

from asyncfc_mcp.core.commands import Dispatch
from asyncfc_mcp.core.events import Answered, Call, Event, Finished, Forgotten, Submitted, Told
from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.core.label import Access, Label
from asyncfc_mcp.core.scheduler import Scheduler
from benchmarks.common import Figure, machine, report

SIZES = (1, 100, 1_000, 10_000, 100_000)
QUICK_SIZES = (20, 60, 200)
SAMPLE = 100
"""Calls of each size whose bytecode instructions are counted, while all others live: the last that come in, and the
first that settle, are told and are forgotten."""
GROWING = ("submitted", "explained")
"""The phases at whose end more live than at their beginning, or as many."""
LEAST_CALLS = 2_000
"""Small sizes are repeated until so many calls have been timed."""
ROW = 500
"""Calls of a data chain; the gateway's own limit is 1 000."""
WRITER_EVERY = 10
DEPTH = 16
FAILURE = Failure(FailureReason.TOOL_ERROR, "no")

Labels = Callable[[int], tuple[Label, ...]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the calls of one run touch and need."""

    name: str
    labels: Labels
    is_chained: bool = False
    fails: bool = False
    """Whether every call that starts fails; the second write of each place is then stopped by the first."""
    is_explained: bool = False
    """Whether it is asked of each call why it waits, as the gateway does for each token."""


def _read(*path: str) -> tuple[Label, ...]:
    return (Label(path, Access.READ, is_declared=True),)


def _write(*path: str) -> tuple[Label, ...]:
    return (Label(path, Access.WRITE, is_declared=True),)


def _deep(number: int) -> tuple[Label, ...]:
    return _write(*(f"level{level}" for level in range(DEPTH)), f"file{number}")


ROOT = (Label((), Access.WRITE, is_declared=False),)

SHAPES = (
    Shape("no_conflicts", lambda _: ()),
    Shape("all_conflict", lambda _: ROOT, is_explained=True),
    Shape("readers_and_writers", lambda n: _read("db", "t") if n % WRITER_EVERY else _write("db", "t")),
    Shape("deep_paths", _deep),
    Shape("data_chains", lambda _: (), is_chained=True),
    Shape("failed_writes", lambda n: _write("db", f"row{n // 2}"), fails=True),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one kind of event costs a call."""

    shape: str
    live: int
    event: str
    microseconds: float
    """Wall time of all such events and of the collector's work in them, divided by the calls."""
    bytecodes: float
    """Those of some calls alone; work inside of C code is not in it."""


class Life:
    """One run: all calls come in and are answered, then they are settled, told and forgotten in the order of turns."""

    def __init__(self, shape: Shape, count: int) -> None:
        self._shape = shape
        self._count = count
        self._scheduler = Scheduler()
        self._turns: deque[str] = deque()
        self._settled: list[str] = []
        self._calls = [self._call(number) for number in range(count)]
        self._at = 0.0

    @property
    def phases(self) -> dict[str, Callable[[Sequence[int]], None]]:
        """What is done with all calls, phase by phase; each is handed the numbers of calls."""
        explained = {"explained": self._explain} if self._shape.is_explained else {}
        return {
            "submitted": self._submit,
            **explained,
            "settled": self._settle,
            "told": self._tell,
            "forgotten": self._forget,
        }

    def check_over(self) -> None:
        """See that nothing has stayed behind."""
        if self._scheduler.records or self._scheduler.scopes:
            raise RuntimeError(f"{self._shape.name}: something of {self._count} calls was never settled or forgotten")

    def _call(self, number: int) -> Call:
        is_linked = self._shape.is_chained and number % ROW
        needs = frozenset({f"f{number - 1}"}) if is_linked else frozenset[str]()
        identity = f"f{number}"
        return Call(identity, identity, "scope", "server", "tool", self._shape.labels(number), needs)

    def _feed(self, event: Event) -> None:
        for command in self._scheduler.handle(event):
            if isinstance(command, Dispatch):
                self._turns.append(command.future)

    def _submit(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            call = self._calls[number]
            self._feed(Submitted(call, self._at))
            self._feed(Answered(call.future, self._at, with_token=True))

    def _explain(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._scheduler.blockers(self._calls[number].future)

    def _settle(self, numbers: Sequence[int]) -> None:
        failure = FAILURE if self._shape.fails else None
        for _ in numbers[:: 2 if self._shape.fails else 1]:
            future = self._turns.popleft()
            self._feed(Finished(future, self._at, failure))
            self._settled.append(future)

    def _tell(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._feed(Told(self._calls[number].future, self._at))

    def _forget(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            record = self._scheduler.record(self._calls[number].future)
            if record.state not in {FutureState.RESOLVED, FutureState.FAILED}:
                raise RuntimeError(f"{self._shape.name}: {record.call.future} is {record.state}")
            self._feed(Forgotten(record.call.future, self._at))


class BytecodeCount:
    """Counts the bytecode instructions that are executed inside of it, whoever's they are."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.count += 1
        return self._trace


def timed(shape: Shape, count: int) -> Iterator[tuple[str, float]]:
    """Live through it once: for each phase its name and the seconds of a call."""
    life = Life(shape, count)
    for name, phase in life.phases.items():
        started = time.perf_counter()
        phase(range(count))
        yield name, (time.perf_counter() - started) / count
    life.check_over()


def counted(shape: Shape, count: int) -> Iterator[tuple[str, float]]:
    """Live through it once: for each phase its name and the bytecodes of a call, of those with most others alive."""
    life = Life(shape, count)
    sample = min(SAMPLE, count)
    for name, phase in life.phases.items():
        start = count - sample if name in GROWING else 0
        phase(range(start))
        with BytecodeCount() as counter:
            phase(range(start, start + sample))
        phase(range(start + sample, count))
        yield name, counter.count / sample
    life.check_over()


def costs(shape: Shape, count: int) -> list[Cost]:
    """What each kind of event costs a call while so many live."""
    seconds: dict[str, list[float]] = {}
    gc.collect()
    for _ in range(max(1, LEAST_CALLS // count)):
        for name, took in timed(shape, count):
            seconds.setdefault(name, []).append(took)
    bytecodes = dict(counted(shape, count))
    return [Cost(shape.name, count, name, statistics.median(seconds[name]) * 1e6, bytecodes[name]) for name in seconds]


def growth(found: Sequence[Cost], sizes: Sequence[int]) -> Iterator[Figure]:
    """How the bytecodes of a call's whole life grow, against the logarithm of how many live."""
    small, large = sizes[-3], sizes[-1]
    allowed = math.log(large) / math.log(small)
    for shape in dict.fromkeys(cost.shape for cost in found):

        def total(live: int, of: str = shape) -> float:
            return sum(cost.bytecodes for cost in found if cost.shape == of and cost.live == live)

        def wall(live: int, of: str = shape) -> float:
            return sum(cost.microseconds for cost in found if cost.shape == of and cost.live == live)

        note = f"{total(small):.0f} to {total(large):.0f} bytecodes; {wall(small):.1f} to {wall(large):.1f} us"
        yield Figure(
            f"{shape}: a call at {large} live / at {small}", total(large) / total(small), "x", round(allowed, 3), note
        )


# Machine instructions


def instructions(shape: Shape, count: int) -> float:
    """The machine instructions of so many calls' lives, everything else of the process in it, by callgrind.

    Raises:
        RuntimeError: callgrind failed.
    """
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    arguments = ["-m", "benchmarks.core_alone", "--live-once", shape.name, "--live", str(count)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    ended = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", ended.stderr)
    if ended.returncode or found is None:
        raise RuntimeError(f"callgrind failed: {ended.stderr[-500:]}")
    return float(found[1])


def machine_growth(shapes: Sequence[Shape], sizes: Sequence[int]) -> Iterator[Figure]:
    """The same growth in machine instructions, start-up taken off."""
    for shape in shapes:
        idle = instructions(shape, 0)
        small, large = ((instructions(shape, size) - idle) / size for size in (sizes[-3], sizes[-1]))
        allowed = math.log(sizes[-1]) / math.log(sizes[-3])
        what = f"{shape.name}: instructions a call at {sizes[-1]} live / at {sizes[-3]}"
        yield Figure(what, large / small, "x", round(allowed, 3), f"{small:.0f} to {large:.0f} instructions")


def live_once(shape: Shape, count: int) -> None:
    """Live through it without a clock or counter, for whoever counts from outside."""
    life = Life(shape, count)
    for phase in life.phases.values():
        phase(range(count))
    life.check_over()


def print_costs(found: Sequence[Cost]) -> None:
    """Every kind of event, one line."""
    print(f"{'shape':<20} {'event':<10} {'live':>7} {'us':>8} {'bytecodes':>9}")
    for cost in sorted(found, key=lambda one: (one.shape, one.event, one.live)):
        print(f"{cost.shape:<20} {cost.event:<10} {cost.live:>7} {cost.microseconds:>8.2f} {cost.bytecodes:>9.0f}")


@click.command()
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the results there as well.")
@click.option("--quick", is_flag=True, help="A smoke run with few calls.")
@click.option("--callgrind", "with_callgrind", is_flag=True, help="Count machine instructions too (valgrind; slow).")
@click.option("--shape", "only", multiple=True, type=click.Choice([shape.name for shape in SHAPES]))
@click.option("--live-once", type=click.Choice([shape.name for shape in SHAPES]), hidden=True)
@click.option("--live", type=int, default=0, hidden=True)
def main(
    *, file: Path | None, quick: bool, with_callgrind: bool, only: tuple[str, ...], live_once: str | None, live: int
) -> None:
    """Measure what the scheduler costs as ever more futures live."""
    if live_once is not None:
        _live_once(live_once, live)
        return
    if with_callgrind and shutil.which("valgrind") is None:
        raise click.UsageError("--callgrind needs valgrind, which is not installed")
    before = machine()
    sizes = QUICK_SIZES if quick else SIZES
    shapes = [shape for shape in SHAPES if not only or shape.name in only]
    found = [cost for shape in shapes for size in sizes for cost in costs(shape, size)]
    figures = list(growth(found, sizes))
    if with_callgrind:
        figures += machine_growth(shapes, sizes)
    is_met = report(figures, before=before, as_json=False)
    print_costs(found)
    if file is not None:
        results = {"machine": before, "costs": [asdict(one) for one in found], "figures": [asdict(f) for f in figures]}
        file.write_text(json.dumps(results, indent=2))
    sys.exit(0 if is_met else 1)


def _live_once(name: str, count: int) -> None:
    live_once(next(shape for shape in SHAPES if shape.name == name), count)


if __name__ == "__main__":
    main()
