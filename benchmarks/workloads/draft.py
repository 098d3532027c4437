"""Writing a program by running it: each call is answered by the world as it is added."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.workloads.pointer import at_pointer
from benchmarks.workloads.program import Call, Program, Turn, Use, Workload, decode_tokens, tokens_of
from benchmarks.workloads.world import Answer, ToolsOfServers, World


@dataclass(frozen=True, slots=True)
class Verbatim:
    """In a draft's arguments: exactly what stands at a path of an earlier call's value."""

    producer: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """In a draft's arguments: something that the model made of what it saw at a path of an earlier call's value."""

    value: Any
    producer: int
    path: str = ""


class Draft:
    """A program in the making."""

    def __init__(self, workload: Workload, name: str, tools: ToolsOfServers, new_world: Callable[[], World]) -> None:
        self._workload: Workload = workload
        self._name = name
        self._tools = tools
        self._new_world = new_world
        self._world = new_world()
        self._turns: list[Turn] = []
        self._open: list[Call] = []
        self._answers: list[Answer] = []

    def call(self, server: str, tool: str, arguments: Mapping[str, Any], uses: Sequence[Use] = ()) -> int:
        """Add a call; its index. `uses` is for those that the arguments do not show by themselves."""
        found = list(uses)
        text_slots = _text_slots(self._tools, server, tool)
        concrete: dict[str, Any] = {
            key: self._concrete(value, (key,), found, is_text=key in text_slots) for key, value in arguments.items()
        }
        index = len(self._answers)
        self._open.append(Call(index, server, tool, concrete, tuple(found), decode_tokens(tool, concrete)))
        self._answers.append(self._world.call(server, tool, concrete))
        return index

    def answer(self, index: int) -> Answer:
        """What a call answered."""
        return self._answers[index]

    def value(self, index: int, path: str = "") -> Any:
        """What a reference to a call's result stands for, where the argument takes more than text."""
        return value_at(self._answers[index].text, path, is_text=False)

    def end_turn(self, said: str) -> None:
        """The model speaks to the user; the next call belongs to the next turn."""
        self._turns.append(Turn(tuple(self._open), tokens_of(said)))
        self._open = []

    def finish(self) -> Program:
        """The program as far as its turns have ended."""
        return Program(
            self._name,
            self._workload,
            tuple(self._turns),
            self._tools,
            tuple(self._answers),
            self._world.state(),
            self._new_world,
        )

    def _concrete(self, value: Any, into: tuple[str | int, ...], uses: list[Use], *, is_text: bool) -> Any:
        match value:
            case Verbatim(producer, path):
                uses.append(Use(producer, path, into, is_verbatim=True))
                return value_at(self._answers[producer].text, path, is_text=is_text)
            case Chosen(chosen, producer, path):
                uses.append(Use(producer, path, into, is_verbatim=False))
                return chosen
            case _:
                return value


def _text_slots(tools: ToolsOfServers, server: str, tool: str) -> frozenset[str]:
    described = next(described for described in tools[server] if described.name == tool)
    properties: dict[str, dict[str, Any]] = described.input_schema["properties"]
    return frozenset(name for name, schema in properties.items() if schema.get("type") == "string")


def value_at(text: str, path: str, *, is_text: bool) -> Any:
    """What a reference stands for; `is_text` where the argument takes only text."""
    if path:
        found = at_pointer(json.loads(text), path)
        return json.dumps(found) if is_text and not isinstance(found, str) else found
    if is_text:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
