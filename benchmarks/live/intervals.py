"""Paired comparisons of two arms with bootstrap confidence intervals.

A pair is one task with one seed in both arms. Tasks are drawn again with replacement, and within each drawn task its
pairs: repeats of one task are alike, so drawing all pairs as equals would make the interval too narrow.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

RESAMPLES = 5_000
LEVEL = 0.95

Kind = Literal["ratio", "difference"]
Pair = tuple[float, float]
"""What was measured in the arm, and in the one that it is compared with."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm against another, in one metric."""

    metric: str
    arm: str
    against: str
    kind: Kind
    """`ratio`: the geometric mean of the pairs' ratios; `difference`: the mean of their differences."""
    value: float
    low: float | None
    """Of the interval; None where there is only one pair."""
    high: float | None
    pairs: int


def compare(
    metric: str, arm: str, against: str, kind: Kind, pairs: Mapping[str, Sequence[Pair]], *, seed: int = 0
) -> Comparison | None:
    """Compare the pairs, by task; None where there are none that can be."""
    by_task = [[_step(pair, kind) for pair in of_task if _is_fit(pair, kind)] for of_task in pairs.values()]
    by_task = [steps for steps in by_task if steps]
    if not by_task:
        return None
    count = sum(map(len, by_task))
    back = math.exp if kind == "ratio" else float
    middle = back(statistics.fmean(itertools.chain(*by_task)))
    if count == 1:
        return Comparison(metric, arm, against, kind, middle, None, None, count)
    low, high = _interval(by_task, random.Random(seed))
    return Comparison(metric, arm, against, kind, middle, back(low), back(high), count)


def _is_fit(pair: Pair, kind: Kind) -> bool:
    return kind == "difference" or min(pair) > 0


def _step(pair: Pair, kind: Kind) -> float:
    return math.log(pair[0] / pair[1]) if kind == "ratio" else pair[0] - pair[1]


def _interval(by_task: Sequence[Sequence[float]], chance: random.Random) -> tuple[float, float]:
    means: list[float] = []
    for _ in range(RESAMPLES):
        tasks = chance.choices(by_task, k=len(by_task))
        means.append(statistics.fmean(step for steps in tasks for step in chance.choices(steps, k=len(steps))))
    means.sort()
    outside = (1 - LEVEL) / 2
    return means[int(outside * RESAMPLES)], means[int((1 - outside) * RESAMPLES) - 1]
