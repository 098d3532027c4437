"""The account of a live run: a row for each conversation, means for each arm, arms compared, as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

from benchmarks.live.agent import Conversation, Ending
from benchmarks.live.intervals import LEVEL, Comparison, Kind, Pair, compare

Arm = Literal["sync", "parallel", "async"]
ARMS: tuple[Arm, ...] = ("sync", "parallel", "async")
AGAINST: tuple[Arm, ...] = ("sync", "parallel")


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation."""

    task: str
    repeat: int
    arm: Arm
    place: int
    """Which of the arms of its pair it was: 0 ran first."""
    ended: Ending
    fault: str
    is_success: bool
    misses: tuple[str, ...]
    rounds: int
    calls: int
    broken_calls: int
    prompt_tokens: int | None
    completion_tokens: int | None
    wall_s: float
    first_answer_s: float | None
    paused_s: float
    settling_s: float
    futures: int
    made_up: int
    fabricated: int
    made_up_values: tuple[str, ...]
    """Each with where it stood; an asterisk marks one in the place of a pending value."""
    polls: int
    useless_polls: int
    unread: int
    forgotten: int


def row(task: str, repeat: int, arm: Arm, place: int, played: Conversation, misses: tuple[str, ...]) -> Row:
    """The conversation as one flat record."""
    ledger = played.ledger
    return Row(
        task=task,
        repeat=repeat,
        arm=arm,
        place=place,
        ended=played.ended,
        fault=played.fault,
        is_success=played.ended == "answered" and not misses,
        misses=misses,
        rounds=played.rounds,
        calls=played.calls,
        broken_calls=played.broken_calls,
        prompt_tokens=played.prompt_tokens,
        completion_tokens=played.completion_tokens,
        wall_s=round(played.wall_s, 3),
        first_answer_s=None if played.first_answer_s is None else round(played.first_answer_s, 3),
        paused_s=round(played.paused_s, 3),
        settling_s=round(played.settling_s, 3),
        futures=ledger.futures,
        made_up=len(ledger.made_up),
        fabricated=ledger.fabricated,
        made_up_values=tuple(f"{one.value} ({one.where}){'*' * one.is_for_pending}" for one in ledger.made_up),
        polls=ledger.polls,
        useless_polls=ledger.useless_polls,
        unread=len(ledger.unread),
        forgotten=len(ledger.forgotten),
    )


@dataclass(frozen=True, slots=True)
class Metric:
    """What is reported of an arm."""

    name: str
    of: Callable[[Row], float | None]
    kind: Kind
    """How arms are compared in it."""
    needs_success: bool = False
    """Only pairs where both arms solved the task count."""


METRICS = (
    Metric("success", lambda row: float(row.is_success), "difference"),
    Metric("wall_s", lambda row: row.wall_s, "ratio"),
    Metric("wall_s_solved", lambda row: row.wall_s, "ratio", needs_success=True),
    Metric("paused_s", lambda row: row.paused_s, "difference"),
    Metric("settling_s", lambda row: row.settling_s, "difference"),
    Metric("first_answer_s", lambda row: row.first_answer_s, "ratio"),
    Metric("rounds", lambda row: row.rounds, "ratio"),
    Metric("prompt_tokens", lambda row: row.prompt_tokens, "ratio"),
    Metric("completion_tokens", lambda row: row.completion_tokens, "ratio"),
    Metric("broken_calls", lambda row: row.broken_calls, "difference"),
    Metric("made_up", lambda row: row.made_up, "difference"),
    Metric("fabricated", lambda row: row.fabricated, "difference"),
    Metric("polls", lambda row: row.polls, "difference"),
    Metric("useless_polls", lambda row: row.useless_polls, "difference"),
    Metric("futures", lambda row: row.futures, "difference"),
    Metric("unread", lambda row: row.unread, "difference"),
    Metric("forgotten", lambda row: row.forgotten, "difference"),
)


def means(rows: Iterable[Row]) -> dict[str, dict[str, float | None]]:
    """Each arm's mean of each metric; None where nothing can be said."""
    by_arm: dict[str, list[Row]] = {}
    for one in rows:
        by_arm.setdefault(one.arm, []).append(one)
    return {arm: {metric.name: _mean(metric, of_arm) for metric in METRICS} for arm, of_arm in by_arm.items()}


def _mean(metric: Metric, rows: Iterable[Row]) -> float | None:
    found = [metric.of(one) for one in rows if one.is_success or not metric.needs_success]
    known = [value for value in found if value is not None]
    return round(statistics.fmean(known), 4) if known else None


def comparisons(rows: Sequence[Row], *, seed: int = 0) -> list[Comparison]:
    """The asynchronous arm against the others; a pair of which the endpoint ended one half is left out."""
    found = (
        compare(metric.name, "async", against, metric.kind, _pairs(rows, metric, against), seed=seed)
        for against in AGAINST
        for metric in METRICS
    )
    return [one for one in found if one is not None]


def _pairs(rows: Sequence[Row], metric: Metric, against: Arm) -> Mapping[str, list[Pair]]:
    others = {(one.task, one.repeat): one for one in rows if one.arm == against}
    pairs: dict[str, list[Pair]] = {}
    for one in rows:
        other = others.get((one.task, one.repeat))
        if one.arm != "async" or other is None or "endpoint" in (one.ended, other.ended):
            continue
        if metric.needs_success and not (one.is_success and other.is_success):
            continue
        values = metric.of(one), metric.of(other)
        if values[0] is not None and values[1] is not None:
            pairs.setdefault(one.task, []).append((values[0], values[1]))
    return pairs


def as_json(about: Mapping[str, Any], rows: Sequence[Row], *, seed: int) -> dict[str, Any]:
    """All of it; flat rows, so that each file can be plotted by itself."""
    return {
        "benchmark": "live",
        **about,
        "confidence": LEVEL,
        "means": means(rows),
        "comparisons": [asdict(one) for one in comparisons(rows, seed=seed)],
        "conversations": [asdict(one) for one in rows],
    }


def as_table(about: Mapping[str, Any], rows: Sequence[Row], *, seed: int) -> list[str]:
    """The same for a terminal: means of the arms, then what the asynchronous one is against each other one."""
    lines = [", ".join(f"{key} {value}" for key, value in about.items() if not isinstance(value, dict))]
    lines += [", ".join(f"{key} {value}" for key, value in about[part].items()) for part in ("machine", "versions")]
    of_arms = means(rows)
    arms: list[Arm] = [arm for arm in ARMS if arm in of_arms]
    compared = {(one.metric, one.against): one for one in comparisons(rows, seed=seed)}
    heads = [f"async : {against}" for against in AGAINST if against in of_arms and "async" in of_arms]
    lines += ["", f"{'mean of a conversation':<24}" + "".join(f"{arm:>12}" for arm in arms)]
    lines[-1] += "".join(f"{head + f' ({LEVEL:.0%} interval)':>38}" for head in heads)
    for metric in METRICS:
        line = f"{metric.name:<24}" + "".join(f"{_number(of_arms[arm][metric.name]):>12}" for arm in arms)
        for head in heads:
            line += f"{_shown(compared.get((metric.name, head.split()[-1]))):>38}"
        lines.append(line)
    lines += ["", *_by_task(rows, arms)]
    return lines


def _by_task(rows: Sequence[Row], arms: Sequence[Arm]) -> list[str]:
    lines = [f"{'solved, and seconds':<24}" + "".join(f"{arm:>16}" for arm in arms)]
    for task in dict.fromkeys(one.task for one in rows):
        line = f"{task:<24}"
        for arm in arms:
            mine = [one for one in rows if (one.task, one.arm) == (task, arm)]
            solved = f"{sum(one.is_success for one in mine)}/{len(mine)}"
            line += f"{solved:>8}{statistics.fmean(one.wall_s for one in mine) if mine else 0:>8.1f}"
        lines.append(line)
    ends = [f"{one.task} {one.arm}: {one.fault}" for one in rows if one.ended == "endpoint"]
    return [*lines, *(["", "ended by the endpoint:", *ends] if ends else [])]


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


def _shown(compared: Comparison | None) -> str:
    if compared is None:
        return "n/a"
    form = "{:.2f}x" if compared.kind == "ratio" else "{:+.2f}"
    middle = form.format(compared.value)
    if compared.low is None or compared.high is None:
        return f"{middle} (one pair)"
    return f"{middle} ({form.format(compared.low)} to {form.format(compared.high)}, n {compared.pairs})"


def versions() -> dict[str, str]:
    """What was measured."""
    return {"asyncfc-mcp": version("asyncfc-mcp"), "mcp": version("mcp")}
