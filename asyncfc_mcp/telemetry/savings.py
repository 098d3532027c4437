"""The time that calls saved by overlapping, against running the same calls one after another. Pure: no clock in it.

Of the intervals in which the calls of one scope ran, `run_s` is their sum, one after another, and `busy_s` the length
of their union, the time that really passed. The difference is what was saved. A *burst* is a maximal row of intervals
that overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NOTEWORTHY_S = 0.1
"""Bursts that saved less are not worth a line in the log."""
MOST_TOOLS = 50
"""Names of tools that are kept of one burst."""
_PLURALS = {
    "search": "searches",
    "fetch": "fetches",
    "query": "queries",
    "read": "reads",
    "write": "writes",
    "list": "lists",
    "lookup": "lookups",
    "download": "downloads",
    "upload": "uploads",
    "request": "requests",
    "book": "bookings",
    "forecast": "forecasts",
}
"""What people call several calls of a tool that begins with that word."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What calls took, and what they would have taken."""

    calls: int = 0
    """Those that have run; with `Savings.at` also those that run."""
    overlapped: int = 0
    """Those of them that shared their time with another one."""
    run_s: float = 0.0
    """One after another."""
    busy_s: float = 0.0
    """As they were."""

    @property
    def saved_s(self) -> float:
        """The difference."""
        return max(0.0, self.run_s - self.busy_s)

    def __add__(self, other: Totals) -> Totals:
        """Both together."""
        return Totals(
            self.calls + other.calls,
            self.overlapped + other.overlapped,
            self.run_s + other.run_s,
            self.busy_s + other.busy_s,
        )


@dataclass(frozen=True, slots=True)
class Burst:
    """Calls of one scope that overlapped, now that the last of them has settled."""

    scope: str
    calls: int
    tools: tuple[str, ...]
    """Each tool once."""
    run_s: float
    busy_s: float

    @property
    def saved_s(self) -> float:
        """Against running them one after another."""
        return max(0.0, self.run_s - self.busy_s)

    @property
    def is_noteworthy(self) -> bool:
        """Whether it saved enough to be told."""
        return self.calls > 1 and self.saved_s >= NOTEWORTHY_S

    def __str__(self) -> str:
        """In words: `2 searches overlapped, 6.1 s saved`."""
        return f"{self.calls} {_in_words(self.tools)} overlapped, {self.saved_s:.1f} s saved"


class _Open:
    """A burst that goes on."""

    __slots__ = ("began_s", "calls", "run_s", "running", "starts_s", "tools")

    def __init__(self, at_s: float) -> None:
        self.began_s = at_s
        self.running = 0
        self.starts_s = 0.0
        """The sum of the starts of those that run."""
        self.calls = 0
        self.run_s = 0.0
        """Of those that have settled."""
        self.tools: list[str] = []


class Savings:
    """Adds up what the calls of each scope saved, told of each start and each end as they come.

    Every call passes here twice, so what goes for most of them, that they overlap with none, is done in a few steps.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._overlapped = 0
        self._run_s = 0.0
        self._busy_s = 0.0
        self._open: dict[str, _Open] = {}

    def start(self, scope: str, at_s: float) -> None:
        """A call of that scope has started."""
        burst = self._open.get(scope)
        if burst is None:
            burst = self._open[scope] = _Open(at_s)
        burst.running += 1
        burst.calls += 1
        burst.starts_s += at_s

    def settle(self, scope: str, tool: str, started_s: float, settled_s: float) -> Burst | None:
        """A call that had started has settled; the burst that ends with it, if several calls were in it."""
        burst = self._open.get(scope)
        if burst is None:
            return None
        burst.running -= 1
        burst.starts_s -= started_s
        burst.run_s += settled_s - started_s
        if burst.calls > 1 and tool not in burst.tools and len(burst.tools) < MOST_TOOLS:
            burst.tools.append(tool)
        if burst.running:
            return None
        del self._open[scope]
        busy_s = settled_s - burst.began_s
        self._calls += burst.calls
        self._run_s += burst.run_s
        self._busy_s += busy_s
        if burst.calls == 1:
            return None
        self._overlapped += burst.calls
        return Burst(scope, burst.calls, tuple(burst.tools), burst.run_s, busy_s)

    def at(self, now_s: float) -> Totals:
        """All so far, with those that run as if they settled now."""
        totals = Totals(self._calls, self._overlapped, self._run_s, self._busy_s)
        for burst in self._open.values():
            run_s = burst.run_s + burst.running * now_s - burst.starts_s
            totals += Totals(burst.calls, burst.calls if burst.calls > 1 else 0, run_s, now_s - burst.began_s)
        return totals


def totals_of(intervals: Iterable[tuple[float, float]]) -> Totals:
    """The same of the intervals (start, end) of one scope, all at once."""
    totals = Totals()
    for burst in _bursts(sorted(intervals)):
        run_s = sum(end - start for start, end in burst)
        busy_s = max(end for _, end in burst) - burst[0][0]
        totals += Totals(len(burst), len(burst) if len(burst) > 1 else 0, run_s, busy_s)
    return totals


def _bursts(intervals: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = []
    ends_s = float("-inf")
    for start, end in intervals:
        if start >= ends_s:
            found.append([])
        found[-1].append((start, end))
        ends_s = max(ends_s, end)
    return found


def _in_words(tools: Sequence[str]) -> str:
    words = {_PLURALS.get(tool.replace("-", "_").partition("_")[0].lower(), "calls") for tool in tools}
    return words.pop() if len(words) == 1 else "calls"
