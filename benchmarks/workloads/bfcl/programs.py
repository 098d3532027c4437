"""The ground truth as programs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from benchmarks.workloads.bfcl.labels import WHOLE, parts_of
from benchmarks.workloads.bfcl.package import Entry, class_of, documents, entries
from benchmarks.workloads.bfcl.uses import Result, uses_of
from benchmarks.workloads.bfcl.world import Backends
from benchmarks.workloads.draft import Draft, value_at
from benchmarks.workloads.pointer import leaves
from benchmarks.workloads.program import Program, Use
from benchmarks.workloads.world import JsonObject, Tool

ANSWER = (
    "The package has no answers of a model; this stands for one of two short sentences, as long as most of them are."
)
TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": None}
"""The documents' own words for types, where JSON Schema has others."""


def programs() -> tuple[Program, ...]:
    """All programs of the workload."""
    return tuple(_program(entry) for entry in entries())


def _program(entry: Entry) -> Program:
    tools = {name: _tools(name) for name in entry.classes}
    draft = Draft("bfcl", entry.id, tools, partial(Backends, entry))
    results: list[tuple[int, int, Any]] = []
    own_texts: list[str] = []
    for turn, calls in enumerate(entry.truth):
        for method, arguments in calls:
            earlier = [Result(index, of == turn, value) for index, of, value in results]
            uses = uses_of(arguments, " ".join([*entry.messages[: turn + 1], *own_texts]), earlier)
            index = draft.call(class_of(method, entry.classes), method, arguments, uses)
            own_texts += _own_texts(arguments, uses)
            results.append((index, turn, value_at(draft.answer(index).text, "", is_text=False)))
        draft.end_turn(ANSWER)
    return draft.finish()


def _own_texts(arguments: JsonObject, uses: Sequence[Use]) -> list[str]:
    taken = {use.into for use in uses}
    return [value for place, value in leaves(arguments) if isinstance(value, str) and place not in taken]


@cache
def _tools(class_name: str) -> Sequence[Tool]:
    return tuple(_tool(class_name, method, document) for method, document in documents(class_name).items())


def _tool(class_name: str, method: str, document: Any) -> Tool:
    parts = parts_of(class_name, method)
    return Tool(
        name=method,
        description=document["description"],
        input_schema=_schema(document["parameters"]),
        reads=tuple(_template(class_name, part) for part in parts.reads),
        writes=tuple(_template(class_name, part) for part in parts.writes),
    )


def _template(class_name: str, part: str) -> str:
    return class_name if part == WHOLE else f"{class_name}/{part}"


def _schema(described: Any) -> dict[str, Any]:
    """A function document's parameters as JSON Schema."""
    kind = TYPES.get(described["type"], described["type"])
    schema: dict[str, Any] = {"type": kind} if kind else {}
    schema |= {key: described[key] for key in ("description", "enum", "required") if key in described}
    if "properties" in described:
        schema["properties"] = {name: _schema(inner) for name, inner in described["properties"].items()}
    if "items" in described:
        schema["items"] = _schema(described["items"])
    return schema
