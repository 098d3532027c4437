"""How fast the same calls could have been: the best schedule and the bound R. Pure arithmetic on measured times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """One call, as far as a schedule cares."""

    name: str
    duration_s: float
    after: frozenset[str]
    """Earlier works that must have finished first."""
    ready_s: float = 0.0
    """It cannot start sooner: the agent has not written it yet."""


@dataclass(frozen=True, slots=True)
class Bound:
    """R = (T_LLM + T_tool) / max(T_LLM, T_critical_path): no schedule beats the synchronous one by more."""

    thinking_s: float
    tools_s: float
    critical_path_s: float

    @property
    def ratio(self) -> float:
        """R itself."""
        return (self.thinking_s + self.tools_s) / max(self.thinking_s, self.critical_path_s)


def best_finish_s(works: Sequence[Work]) -> float:
    """When the last work ends if each starts as soon as it may; works stand behind those that they wait for."""
    finish_s: dict[str, float] = {}
    for work in works:
        start_s = max((finish_s[name] for name in work.after), default=0.0)
        finish_s[work.name] = max(start_s, work.ready_s) + work.duration_s
    return max(finish_s.values(), default=0.0)


def critical_path_s(works: Sequence[Work]) -> float:
    """The longest chain of works that wait for one another, with an agent that takes no time."""
    return best_finish_s([Work(work.name, work.duration_s, work.after) for work in works])
