"""The targets, and the cells that miss them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.replay.cells import Cell

OF_BEST = 0.95
MOST_OF_SYNC = {"eager": 1.05, "choosing": 1.05, "careful": 1.15}


@dataclass(frozen=True, slots=True)
class Target:
    """What has to hold in each cell."""

    name: str
    figure: Callable[[Cell], float]
    is_met: Callable[[Cell], bool]
    concerns: Callable[[Cell], bool] = lambda _: True
    is_better_lower: bool = True
    best_meets_it: Callable[[Cell], bool] = lambda _: True
    """Whether the best schedule of that agent would meet it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a target is met, and the cell that is farthest from it."""

    target: str
    is_met: bool
    cells: int
    missed: int
    out_of_reach: int
    """Of those: where the best schedule misses it, too, so that the agent's own steps are too many."""
    worst: float
    worst_cell: str

    def __str__(self) -> str:
        """One line."""
        misses = f", missed in {self.missed} of {self.cells} cells" if self.missed else f" of {self.cells} cells"
        also = f", in {self.out_of_reach} of them by the best schedule, too" if self.out_of_reach else ""
        verdict = "pass" if self.is_met else "FAIL"
        return f"{verdict}  {self.target}: {self.worst:.3f} in the worst{misses}{also} ({self.worst_cell})"


def targets() -> list[Target]:
    """Those of the issue; what an agent's own waits cost and what the scheduler costs are told apart."""
    found = [
        Target("no program goes wrong", lambda cell: cell.wrong, lambda cell: cell.wrong == 0),
        Target(
            f"{OF_BEST} of the best schedule, with the waits that were taken",
            lambda cell: cell.of_replayed,
            lambda cell: cell.of_replayed >= OF_BEST,
            is_better_lower=False,
        ),
    ]
    for style, most in MOST_OF_SYNC.items():
        found += _targets_of(style, most)
    return found


def _targets_of(style: str, most: float) -> list[Target]:
    def is_own(cell: Cell) -> bool:
        return cell.agent.startswith(style)

    return [
        Target(
            f"{style}: {OF_BEST} of the best schedule, with all durations known",
            lambda cell: cell.of_best,
            lambda cell: cell.of_best >= OF_BEST,
            is_own,
            is_better_lower=False,
        ),
        Target(
            f"{style}: ahead of parallel calls where a schedule can be",
            lambda cell: cell.over_parallel,
            lambda cell: cell.over_parallel > 1,
            lambda cell: is_own(cell) and cell.can_beat_parallel,
            is_better_lower=False,
        ),
        Target(
            f"{style}: at most {most} of sync",
            lambda cell: cell.to_sync,
            lambda cell: cell.to_sync <= most,
            is_own,
            best_meets_it=lambda cell: cell.best_s <= most * cell.sync_s,
        ),
    ]


def verdicts(cells: Sequence[Cell]) -> list[Verdict]:
    """Every target that concerns any of the cells."""
    found: list[Verdict] = []
    for target in targets():
        own = [cell for cell in cells if target.concerns(cell)]
        if not own:
            continue
        missed = [cell for cell in own if not target.is_met(cell)]
        out_of_reach = sum(not target.best_meets_it(cell) for cell in missed)
        worst = (max if target.is_better_lower else min)(own, key=target.figure)
        figure = target.figure(worst)
        found.append(Verdict(target.name, not missed, len(own), len(missed), out_of_reach, figure, worst.where))
    return found
