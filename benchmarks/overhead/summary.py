"""Rounds into rows: the median of each figure, its ratio to the direct route and to the bare relay, and the targets."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asyncfc_mcp.gateway.answering.delivery import QUIET_S
from benchmarks.common import Figure

Key = tuple[str, str, str]
"""Setting, route, measure."""

LISTED = "tools/list of 500 p50"
HOLD_MS = QUIET_S * 1000
"""The gateway's quiet hold: a token does not leave before."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the quartiles around it."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one route, over all rounds."""

    setting: str
    route: str
    measure: str
    unit: str
    rounds: int
    value: Spread
    to_direct: Spread | None
    to_relay: Spread | None

    def as_json(self) -> dict[str, Any]:
        """Flat: `median`, `lower`, `upper` of the value, and the same of each ratio as `to_relay_median` and so on."""
        names = {"setting": self.setting, "route": self.route, "measure": self.measure, "unit": self.unit}
        return {
            **names,
            "rounds": self.rounds,
            **asdict(self.value),
            **_prefixed("to_direct", self.to_direct),
            **_prefixed("to_relay", self.to_relay),
        }


def _prefixed(prefix: str, ratio: Spread | None) -> dict[str, float]:
    return {f"{prefix}_{part}": number for part, number in asdict(ratio).items()} if ratio else {}


@dataclass(frozen=True, slots=True)
class Failure:
    """A peer broke at a measure, which then has no figure of it."""

    setting: str
    route: str
    measure: str
    error: str


class Rounds:
    """What was measured, round by round; the routes of a round are compared with each other alone."""

    def __init__(self) -> None:
        self._figures: dict[Key, dict[int, float]] = {}
        self.protocols: dict[str, str] = {}
        """The revision that each route agreed on with the client, by `setting route`."""
        self.failures: list[Failure] = []

    def add(self, number: int, setting: str, route: str, figures: Mapping[str, float]) -> None:
        for measure, value in figures.items():
            self._figures.setdefault((setting, route, measure), {})[number] = value

    def rows(self) -> list[Row]:
        """In the order in which they were first measured, those of one measure together."""
        places = {key[0::2]: place for place, key in reversed(list(enumerate(self._figures)))}
        return [self._row(key) for key in sorted(self._figures, key=lambda key: places[key[0::2]])]

    def median(self, setting: str, route: str, measure: str) -> float | None:
        values = self._figures.get((setting, route, measure))
        return statistics.median(values.values()) if values else None

    def ratio(self, setting: str, measure: str, route: str, other: str) -> Spread | None:
        """Of the first route to the other, by rounds that have both."""
        mine, theirs = (self._figures.get((setting, name, measure), {}) for name in (route, other))
        return spread(mine[number] / theirs[number] for number in mine if theirs.get(number))

    def _row(self, key: Key) -> Row:
        setting, route, measure = key
        values = self._figures[key]
        return Row(
            setting,
            route,
            measure,
            unit_of(measure),
            len(values),
            spread(values.values()) or Spread(0, 0, 0),
            self.ratio(setting, measure, route, "direct"),
            self.ratio(setting, measure, route, "relay"),
        )


def unit_of(measure: str) -> str:
    if "calls/s" in measure:
        return "/s"
    if "memory" in measure:
        return "MB"
    return "s" if "first" in measure else "ms"


def spread(values: Iterable[float]) -> Spread | None:
    ordered = sorted(values)
    if not ordered:
        return None
    if len(ordered) == 1:
        return Spread(ordered[0], ordered[0], ordered[0])
    lower, median, upper = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(median, lower, upper)


def targets(rounds: Rounds, settings: Sequence[str]) -> list[Figure]:
    """What the issue asks for, as far as it was measured."""
    found: list[Figure] = []
    for setting in settings:
        found.extend(_against_the_floor(rounds, setting))
        found.extend(_against_fastmcp_and_contextforge(rounds, setting))
        found.extend(_against_mcp_proxy(rounds, setting))
    return found


def _against_the_floor(rounds: Rounds, setting: str) -> Iterator[Figure]:
    inline = rounds.ratio(setting, "echo p50", "gateway", "relay")
    if inline:
        yield Figure(f"{setting}: inline call, share of the bare relay", inline.median, "x", 1.15, _range(inline))
    token = rounds.median(setting, "gateway async", "token p50")
    direct = rounds.median(setting, "direct", "echo p50")
    if token and direct:
        note = f"direct {direct:.2f} ms"
        yield Figure(f"{setting}: token in hand", token, "ms", 1.3 * direct + HOLD_MS, note)
    ours, theirs = (rounds.median(setting, route, LISTED) for route in ("gateway", "direct"))
    if ours and theirs:
        yield Figure(f"{setting}: tools/list of 500, added", ours - theirs, "ms", 1, f"direct {theirs:.2f} ms")


def _against_fastmcp_and_contextforge(rounds: Rounds, setting: str) -> Iterator[Figure]:
    for peer in ("fastmcp", "fastmcp 1 session", "contextforge"):
        direct, ours, theirs = (rounds.median(setting, route, "echo p50") for route in ("direct", "gateway", peer))
        if direct and ours and theirs:
            share = (ours - direct) / (theirs - direct)
            yield Figure(f"{setting}: added time, share of {peer}", share, "x", 0.5)
        yield from _rates(rounds, setting, peer, most=0.5)


def _against_mcp_proxy(rounds: Rounds, setting: str) -> Iterator[Figure]:
    ratio = rounds.ratio(setting, "echo p50", "gateway", "mcp-proxy")
    if ratio:
        yield Figure(f"{setting}: inline call, share of mcp-proxy", ratio.median, "x", 1, _range(ratio))
    yield from _rates(rounds, setting, "mcp-proxy", most=1)


def _rates(rounds: Rounds, setting: str, peer: str, most: float) -> Iterator[Figure]:
    for count in (1, 16, 64):
        ratio = rounds.ratio(setting, f"calls/s at {count}", peer, "gateway")
        if ratio:
            yield Figure(
                f"{setting}: calls/s at {count} of {peer}, share of ours", ratio.median, "x", most, _range(ratio)
            )


def _range(ratio: Spread) -> str:
    return f"[{ratio.lower:.2f} to {ratio.upper:.2f}]"


def failures_table(failures: Iterable[Failure]) -> Iterator[str]:
    """A line for each peer and measure, however often it broke."""
    counts = Counter((one.setting, one.route, one.measure) for one in failures)
    for (setting, route, measure), count in counts.items():
        yield f"failed: {setting} {route} at {measure}, {count} times"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines for people: one measure of one setting after another, its routes below each other."""
    last: tuple[str, str] | None = None
    for row in rows:
        if (row.setting, row.measure) != last:
            last = (row.setting, row.measure)
            yield f"\n{row.setting}  {row.measure}, {row.unit}"
        to_relay = f"{row.to_relay.median:6.2f}x relay {_range(row.to_relay)}" if row.to_relay else ""
        to_direct = f"{row.to_direct.median:7.2f}x direct" if row.to_direct else " " * 15
        quartiles = f"[{row.value.lower:.2f} to {row.value.upper:.2f}]"
        yield f"  {row.route:<18} {row.value.median:>9.2f} {quartiles:<20} {to_direct} {to_relay}".rstrip()
