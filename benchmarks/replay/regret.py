"""What each value of the inline wait costs: against sync, and against the value that would have been best in a cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from benchmarks.replay.cells import Cell
from benchmarks.replay.playing import InlineWait


@dataclass(frozen=True, slots=True)
class Point:
    """One value of the setting for one style of agent, over all cells."""

    inline_wait: InlineWait
    style: str
    cells: int
    worst_to_sync: float
    worst_to_sync_cell: str
    worst_regret: float
    """The largest part of its time, in any cell, that the best value there would have saved, plus one."""
    worst_regret_cell: str
    mean_regret: float
    mean_speed_up: float

    def row(self) -> dict[str, Any]:
        """Flat, for JSON."""
        return asdict(self)


def curve(cells: Sequence[Cell]) -> list[Point]:
    """A point for each value and style."""
    least_s: dict[tuple[Any, ...], float] = {}
    for cell in cells:
        least_s[_place(cell)] = min(cell.took_s, least_s.get(_place(cell), float("inf")))
    grouped: dict[tuple[str, InlineWait], list[Cell]] = defaultdict(list)
    for cell in cells:
        grouped[cell.agent.partition("/")[0], cell.inline_wait].append(cell)
    return [_point(style, value, group, least_s) for (style, value), group in grouped.items()]


def _place(cell: Cell) -> tuple[Any, ...]:
    return cell.workload, cell.mean_s, cell.decode, cell.policy, cell.mode, cell.agent


def _point(style: str, value: InlineWait, cells: Sequence[Cell], least_s: dict[tuple[Any, ...], float]) -> Point:
    def regret(cell: Cell) -> float:
        return cell.took_s / least_s[_place(cell)]

    slowest = max(cells, key=lambda cell: cell.to_sync)
    sorriest = max(cells, key=regret)
    return Point(
        value,
        style,
        len(cells),
        worst_to_sync=round(slowest.to_sync, 4),
        worst_to_sync_cell=slowest.where,
        worst_regret=round(regret(sorriest), 4),
        worst_regret_cell=sorriest.where,
        mean_regret=round(fmean(map(regret, cells)), 4),
        mean_speed_up=round(fmean(cell.speed_up for cell in cells), 4),
    )


def curve_table(points: Iterable[Point]) -> Iterable[str]:
    """One line for each point."""
    yield f"{'inline wait':>11} {'style':8} {'to sync, worst':>14} {'regret, worst':>13} {'mean':>6} {'speed-up':>8}"
    for point in points:
        yield (
            f"{point.inline_wait!s:>11} {point.style:8} {point.worst_to_sync:>14.3f} {point.worst_regret:>13.3f} "
            f"{point.mean_regret:>6.3f} {point.mean_speed_up:>8.3f}  {point.worst_to_sync_cell}"
        )
