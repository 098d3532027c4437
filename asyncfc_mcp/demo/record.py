"""What a run of the demonstration left behind: who was busy when, in seconds from its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """How the agent makes its calls."""

    SYNCHRONOUS = "One call after another"
    PARALLEL = "Parallel calls, a step waits for all"
    FUTURES = "Futures"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class CallTimes:
    """When the agent sent a call, and when its server worked on it."""

    tool: str
    sent_s: float
    ran: Span | None
    """None while it waits; up to now while it runs."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One run, whole or so far."""

    way: Way
    thinking: tuple[Span, ...]
    calls: tuple[CallTimes, ...]
    """In the order in which they were sent."""
    end_s: float

    @property
    def thinking_s(self) -> float:
        """How long the agent thought in all."""
        return sum(span.length_s for span in self.thinking)

    def duration_s(self, tool: str) -> float:
        """How long a server worked on a tool's call; zero when it did not."""
        return sum(call.ran.length_s for call in self.calls if call.tool == tool and call.ran)


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run and what came out of it."""

    timeline: Timeline
    results: Mapping[str, str]
    """The text of each call's result, by the call's name."""
    files: Mapping[str, str]
    """The final state: the text of every file, by its name."""
