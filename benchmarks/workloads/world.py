"""What a workload's servers are without MCP: plain objects that answer at once, and how long a call should take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as its server describes it, with what it reads and writes when labels are read/write."""

    name: str
    description: str
    input_schema: dict[str, Any]
    reads: tuple[str, ...] = ()
    """Label templates; both empty: it conflicts with nothing."""
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave."""

    text: str
    is_error: bool = False


class World(Protocol):
    """The state behind a program's servers. A call happens at one instant, so its caller says when that is."""

    def call(self, server: str, tool: str, arguments: JsonObject) -> Answer:
        """Answer a call and change the state by it."""
        ...

    def state(self) -> Any:
        """What the calls have made of it, comparable with `==`."""
        ...


class Latency(Protocol):
    """How long calls take."""

    def seconds(self, server: str, tool: str, arguments: JsonObject, occurrence: int) -> float:
        """The duration of a call; `occurrence` counts the identical calls before it, from 0."""
        ...


ToolsOfServers = Mapping[str, Sequence[Tool]]
