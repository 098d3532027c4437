"""Programs that were played under the same conditions, summed up: one cell of the grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any

from benchmarks.agents import Decode, Mode
from benchmarks.replay.playing import InlineWait, Sample, Variant
from benchmarks.workloads.labels import Policy
from benchmarks.workloads.program import Workload

LEAST_GAIN = 0.99
"""What the best schedule may take at most of the time of parallel calls, to count as one that is ahead."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Times are sums over the programs."""

    workload: Workload
    mean_s: float
    decode: Decode
    policy: Policy
    mode: Mode
    agent: str
    inline_wait: InlineWait
    programs: int
    awaits: int
    wrong: int
    sync_s: float
    parallel_s: float
    took_s: float
    best_s: float
    replayed_s: float
    bound: float
    """The paper's R."""
    worst_program_to_sync: float
    """The largest ratio to sync of a single program."""

    @property
    def to_sync(self) -> float:
        """What it takes, as a part of what the synchronous agent takes."""
        return self.took_s / self.sync_s

    @property
    def speed_up(self) -> float:
        """How much faster than the synchronous agent."""
        return self.sync_s / self.took_s

    @property
    def over_parallel(self) -> float:
        """How much faster than parallel calls in one step."""
        return self.parallel_s / self.took_s

    @property
    def of_best(self) -> float:
        """What part of the best schedule's speed is reached: agent, waits and scheduler together."""
        return self.best_s / self.took_s

    @property
    def of_replayed(self) -> float:
        """The same against the best with the waits and awaits that were taken: the scheduler alone."""
        return self.replayed_s / self.took_s

    @property
    def can_beat_parallel(self) -> bool:
        """Whether a schedule of this agent can be ahead of parallel calls by more than a rounding."""
        return self.best_s < LEAST_GAIN * self.parallel_s

    @property
    def where(self) -> str:
        """Which one it is."""
        decode = "tokens" if self.decode == "tokens" else f"{self.decode:g} s"
        inline = "" if self.inline_wait is None else f", inline wait {self.inline_wait}"
        conditions = f"tools {self.mean_s:g} s, steps {decode}, {self.policy}, {self.mode}"
        return f"{self.workload}, {conditions}, {self.agent}{inline}"

    def row(self) -> dict[str, Any]:
        """Flat, for JSON."""
        names = (*(one.name for one in fields(self)), "to_sync", "speed_up", "over_parallel", "of_best", "of_replayed")
        return {name: _rounded(getattr(self, name)) for name in names}


def cells_of(samples: Iterable[Sample]) -> list[Cell]:
    """Sum up what was measured under the same conditions."""
    grouped: dict[tuple[Any, ...], list[Sample]] = defaultdict(list)
    for sample in samples:
        grouped[sample.setting.workload, sample.setting.mean_s, sample.setting.decode, sample.variant].append(sample)
    return [_cell(variant, group) for (*_, variant), group in grouped.items()]


def _cell(variant: Variant, samples: Sequence[Sample]) -> Cell:
    setting = samples[0].setting
    sequential_s = sum(sample.model_s + sample.tools_s for sample in samples)
    return Cell(
        workload=setting.workload,
        mean_s=setting.mean_s,
        decode=setting.decode,
        policy=variant.policy,
        mode=variant.mode,
        agent=variant.agent.name,
        inline_wait=variant.inline_wait,
        programs=len(samples),
        awaits=sum(sample.awaits for sample in samples),
        wrong=sum(not sample.is_right for sample in samples),
        sync_s=sum(sample.sync_s for sample in samples),
        parallel_s=sum(sample.parallel_s for sample in samples),
        took_s=sum(sample.took_s for sample in samples),
        best_s=sum(sample.best_s for sample in samples),
        replayed_s=sum(sample.replayed_s for sample in samples),
        bound=sequential_s / sum(max(sample.model_s, sample.critical_path_s) for sample in samples),
        worst_program_to_sync=max(sample.took_s / sample.sync_s for sample in samples),
    )


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def overview(cells: Sequence[Cell]) -> Iterable[str]:
    """One line for each workload, mode, labels and agent, over all latencies and decode times."""
    columns = ("speed-up", "over parallel", "of the best", "scheduler alone")
    yield f"{'':43}" + "".join(f"{column:>17}" for column in columns) + f"{'to sync':>9}{'wrong':>7}"
    yield f"{'':43}" + "".join(f"{what:>17}" for what in ("mean   most", *["mean  least"] * 3)) + f"{'worst':>9}"
    grouped: dict[tuple[str, str, str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        grouped[cell.workload, cell.mode, cell.policy, cell.agent].append(cell)
    for (workload, mode, policy, agent), group in grouped.items():
        pairs = (
            _pair([cell.speed_up for cell in group], max),
            _pair([cell.over_parallel for cell in group], min),
            _pair([cell.of_best for cell in group], min),
            _pair([cell.of_replayed for cell in group], min),
        )
        worst, wrong = max(cell.to_sync for cell in group), sum(cell.wrong for cell in group)
        figures = "".join(f"{pair:>17}" for pair in pairs)
        yield f"{workload:7} {mode:8} {policy:10} {agent:15}{figures}{worst:>9.3f}{wrong:>7}"


def _pair(figures: Sequence[float], extreme: Callable[[Iterable[float]], float]) -> str:
    return f"{fmean(figures):.3f}  {extreme(figures):.3f}"
