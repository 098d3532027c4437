"""A program: what a model that always knows the values would call, turn by turn, and what must come out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.workloads.backend import Backend
from benchmarks.workloads.world import Answer, ToolsOfServers, World

Workload = Literal["bfcl", "fanout", "coding"]
WORKLOADS: tuple[Workload, ...] = ("bfcl", "fanout", "coding")
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Use:
    """One argument of a call that comes from an earlier call's result."""

    producer: int
    """Index of the producing call in the whole program."""
    path: str
    """JSON Pointer into the producer's value, as a reference would spell it; empty for the whole value."""
    into: tuple[str | int, ...]
    """Where in the arguments."""
    is_verbatim: bool
    """A token with the path may be passed instead; otherwise the model must see the value first."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the sequential run."""

    index: int
    server: str
    tool: str
    arguments: Mapping[str, Any]
    """The true, concrete arguments."""
    uses: tuple[Use, ...]
    decode_tokens: int
    """What the model writes for it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The calls between a message of the user and the answer."""

    calls: tuple[Call, ...]
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Program:
    """One conversation, and what its sequential run gave."""

    name: str
    workload: Workload
    turns: tuple[Turn, ...]
    tools: ToolsOfServers
    """By server."""
    expected: tuple[Answer, ...]
    """What each call answers in the sequential run, in program order."""
    expected_state: Any
    new_world: Callable[[], World] = field(compare=False, repr=False)

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of its servers."""
        return tuple(self.tools)

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls, in program order."""
        return tuple(call for turn in self.turns for call in turn.calls)

    @property
    def expected_results(self) -> tuple[str, ...]:
        """The text of each call's answer in the sequential run."""
        return tuple(answer.text for answer in self.expected)

    def backend(self) -> Backend:
        """Fresh servers for one run."""
        return Backend(self.new_world(), self.tools)


def tokens_of(text: str) -> int:
    """About how many tokens a model writes for a text."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def decode_tokens(tool: str, arguments: Mapping[str, Any]) -> int:
    """About how many tokens a model writes for a call."""
    return tokens_of(json.dumps({"name": tool, "arguments": arguments}))
