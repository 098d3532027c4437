"""What clients are shown of a downstream tool, and the arguments that we add to it.

Works on raw wire JSON, so that nothing a server says is lost; never changes what it is given. What arguments mean and
whether they fit is `gateway.arguments.validation`'s.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeGuard, cast
from urllib.parse import unquote

from asyncfc_mcp.config.models import Mode
from asyncfc_mcp.core.token import PREFIX, named
from asyncfc_mcp.errors import GatewayError

Json = dict[str, Any]
SchemaStyle = Literal["union", "describe"]
PropertyPath = tuple[str, ...]
"""The names of the properties from the root to one of them."""

WAIT_ARGUMENT: Final = "_wait_s"
NAME_ARGUMENT: Final = "_as"
TOOL_META_KEY: Final = "asyncfc/tool"

ADDED_TOKENS_AT_MOST: Final = 70
"""What all additions to one tool may cost a model, in its own tokens."""
CHARACTERS_PER_TOKEN: Final = 3.3
"""An estimate, taken from two public tokenizers on the very text that we add; 4, the usual guess, is too hopeful."""

_TOKEN_TEXT: Final[Json] = {"type": "string", "pattern": f"^{PREFIX}"}
_TOKEN_OBJECT: Final[Json] = {
    "type": "object",
    "properties": {"token": _TOKEN_TEXT, "state": {"type": "string"}},
    "required": ["token"],
}
_OWN_ARGUMENTS: Final[dict[str, Json]] = {
    WAIT_ARGUMENT: {"type": "number", "minimum": 0},
    NAME_ARGUMENT: {"type": "string"},
}
_OWN_HINTS: Final = {WAIT_ARGUMENT: "_wait_s: seconds to wait", NAME_ARGUMENT: "_as: names it"}
_LESSON: Final = {
    "auto": "If slow, gives a fut_ token to pass as argument or await_future.",
    "async": "Gives a fut_ token to pass as argument or await_future.",
}
_DESCRIBED: Final = "Any argument may be such a token."

_UNION_CHARACTERS: Final = len('{"anyOf":[,{"type":"string","pattern":"^fut_"}]}')
_OWN_CHARACTERS: Final = {
    argument: len(json.dumps({argument: each}, separators=(",", ":"))) - 1 for argument, each in _OWN_ARGUMENTS.items()
}
_DESCRIPTION_KEPT: Final = 2000
"""Some clients cut a longer description at its end, so there our line goes first."""

_LIMITS_ON_TEXT: Final = ("enum", "const", "pattern", "format", "minLength", "maxLength")
_COMBINATORS: Final = ("oneOf", "anyOf", "allOf", "not", "if")
_BESIDE_EVERY_REFERENCE: Final = ("$schema", "$id", "$defs", "definitions")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


class BadOwnArgument(GatewayError):
    """One of the arguments that the gateway adds to every tool has a value that it cannot use."""

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        # Python refuses to write an int of more than 4300 digits.
        is_short = isinstance(value, str | float) or (isinstance(value, int) and value.bit_length() <= 64)
        shown = repr(value)[:80] if is_short else f"a value of type {type(value).__name__}"
        super().__init__(f"{argument} cannot be {shown}: it takes {allowed}; leave it out for the default")
        self.argument = argument
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class SplitArguments:
    """The arguments of a call, ours apart from the tool's."""

    wait_s: float | None
    token: str | None
    """What `_as` asks for, written as a token; None when the caller names nothing."""
    rest: Json
    """What goes downstream."""


def shown_tool(
    tool: Json,
    *,
    name: str,
    server: str,
    mode: Mode,
    schema: SchemaStyle,
    structured: bool,
    wait_argument: bool,
    name_argument: bool,
) -> Json:
    """The tool as clients see it."""
    meta: Json = tool.get("_meta") or {}
    shown: Json = {**tool, "name": name, "_meta": {**meta, TOOL_META_KEY: {"server": server, "name": tool["name"]}}}
    execution: Json = tool.get("execution") or {}
    if execution.get("taskSupport") == "required":
        del shown["execution"]  # the gateway makes that task; clients told of it refuse to call the tool without one
    if mode == "sync":
        return shown
    own = own_arguments(tool, mode=mode, wait_argument=wait_argument, name_argument=name_argument)
    lesson = _LESSON[mode] if schema == "union" else f"{_LESSON[mode]} {_DESCRIBED}"
    room = _characters_at_most(tool) - len(lesson) - sum(_OWN_CHARACTERS[argument] for argument in own)
    relaxed = relaxed_properties(tool["inputSchema"])[: room // _UNION_CHARACTERS] if schema == "union" else []
    hint = _own_hint(own)
    if len(hint) <= room - len(relaxed) * _UNION_CHARACTERS:
        lesson += hint
    shown["inputSchema"] = _with_own(_with_unions(tool["inputSchema"], relaxed), own)
    shown["description"] = _with_lesson(tool.get("description") or "", lesson)
    if "outputSchema" in tool:
        del shown["outputSchema"]
        shown |= _output_schema(tool["outputSchema"]) if structured else {}
    return shown


def own_arguments(tool: Json, *, mode: Mode, wait_argument: bool, name_argument: bool) -> frozenset[str]:
    """Which of `_wait_s` and `_as` are ours on this tool; the others belong to the tool and go downstream."""
    schema: Json = tool["inputSchema"]
    if mode == "sync" or not _takes_more_properties(schema):
        return frozenset()
    properties = schema.get("properties", {})
    wanted = {WAIT_ARGUMENT: wait_argument, NAME_ARGUMENT: name_argument}
    return frozenset(argument for argument, is_on in wanted.items() if is_on and argument not in properties)


def split_arguments(arguments: Mapping[str, Any], own: frozenset[str]) -> SplitArguments:
    """Takes our own arguments out of a call and reads them."""
    return SplitArguments(
        wait_s=_wait_s(arguments.get(WAIT_ARGUMENT)) if WAIT_ARGUMENT in own else None,
        token=_token(arguments.get(NAME_ARGUMENT)) if NAME_ARGUMENT in own else None,
        rest={key: value for key, value in arguments.items() if key not in own},
    )


def relaxed_properties(schema: Json) -> list[PropertyPath]:
    """The properties that need a union before a token fits them: shallow ones first, required ones before optional."""
    properties = list(_static_properties(schema))
    kept = {path[:length] for path, each, _ in properties if "x-mcp-header" in each for length in range(len(path) + 1)}
    targets = _reference_targets(schema)
    wanted = [
        (len(path), not is_required, path)
        for path, each, is_required in properties
        if path not in kept and not _takes_any_text(each) and not _is_referred_to(path, targets)
    ]
    wanted.sort(key=lambda entry: entry[:2])
    return [path for _, _, path in wanted]


def _is_object(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)


def _wait_s(value: object) -> float | None:
    if value is None:
        return None
    allowed = "a number of seconds, 0 or more"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadOwnArgument(WAIT_ARGUMENT, value, allowed)
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        raise BadOwnArgument(WAIT_ARGUMENT, value, allowed) from None
    if not math.isfinite(seconds) or seconds < 0:
        raise BadOwnArgument(WAIT_ARGUMENT, value, allowed)
    return seconds


def _token(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadOwnArgument(NAME_ARGUMENT, value, "a name for the future, as a string")
    return named(value.strip())


def _characters_at_most(tool: Json) -> int:
    """How much may be added to this tool, the keys that have to be there first left out."""
    characters = int(ADDED_TOKENS_AT_MOST * CHARACTERS_PER_TOKEN)
    characters -= len("\\n") if tool.get("description") else len('"description":"",')
    return characters - (0 if "properties" in tool["inputSchema"] else len('"properties":{},'))


def _own_hint(own: frozenset[str]) -> str:
    return f" {'; '.join(hint for argument, hint in _OWN_HINTS.items() if argument in own)}." if own else ""


def _with_lesson(description: str, lesson: str) -> str:
    parts = [lesson, description] if len(description) + len(lesson) > _DESCRIPTION_KEPT else [description, lesson]
    return "\n".join(part for part in parts if part)


def _takes_more_properties(schema: Json) -> bool:
    """Whether a property can be added at the root: not where the root is only a combinator or a reference."""
    if "properties" in schema:
        return _is_object(schema["properties"])
    return not any(keyword in schema for keyword in (*_COMBINATORS, *_REFERENCES))


def _with_own(schema: Json, own: frozenset[str]) -> Json:
    if not own:
        return schema
    added = {argument: dict(each) for argument, each in _OWN_ARGUMENTS.items() if argument in own}
    return {**schema, "properties": {**schema.get("properties", {}), **added}}


def _with_unions(schema: Json, paths: list[PropertyPath]) -> Json:
    # The deepest go first, so that the copy of an outer property already holds the unions inside it.
    for path in reversed(paths):
        schema = _with_union(schema, path)
    return schema


def _with_union(schema: Json, path: PropertyPath) -> Json:
    """A copy with one property relaxed; all that is not on the way to it is shared with the input."""
    copy = here = dict(schema)
    for name in path[:-1]:
        here["properties"] = dict(here["properties"])
        here["properties"][name] = dict(here["properties"][name])
        here = here["properties"][name]
    # The union stands alone, with the description inside: one model API answers HTTP 400 to anything beside `anyOf`,
    # and the clients that repair schemas for it delete what stands there.
    here["properties"] = {**here["properties"], path[-1]: {"anyOf": [here["properties"][path[-1]], dict(_TOKEN_TEXT)]}}
    return copy


def _static_properties(schema: Json) -> Iterator[tuple[PropertyPath, Json, bool]]:
    """Every property that is reached through `properties` alone, its schema, and whether its object requires it."""
    waiting: deque[tuple[PropertyPath, Json]] = deque([((), schema)])
    while waiting:
        at, holder = waiting.popleft()
        properties, required = holder.get("properties"), holder.get("required")
        if not _is_object(properties) or any(keyword in holder for keyword in _REFERENCES):
            continue
        for name, each in properties.items():
            if not _is_object(each):
                continue
            yield (*at, name), each, isinstance(required, list) and name in required
            waiting.append(((*at, name), each))


def _takes_any_text(schema: Json) -> bool:
    """Whether a token is valid there already: a string without limits, such a branch of an `anyOf`, or no type."""
    if any(keyword in schema for keyword in (*_LIMITS_ON_TEXT, *_REFERENCES, "oneOf", "allOf", "not", "if")):
        return False
    types: object = schema.get("type")
    branches: object = schema.get("anyOf")
    fits_type = types is None or types == "string" or (isinstance(types, list) and "string" in types)
    if not isinstance(branches, list):
        return fits_type
    return fits_type and any(
        _is_object(branch) and _takes_any_text(branch) for branch in cast("list[object]", branches)
    )


def _reference_targets(schema: Json) -> list[PropertyPath]:
    """Where the schema's own references point, as segments of a JSON Pointer; one that is no pointer, to the root."""
    targets: list[PropertyPath] = []
    waiting: list[object] = [schema]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting += cast("list[object]", here)
        elif _is_object(here):
            targets += [_target(here[word]) for word in _REFERENCES if isinstance(here.get(word), str)]
            waiting += here.values()
    return targets


def _target(reference: str) -> PropertyPath:
    segments = unquote(reference.partition("#")[2]).split("/")[1:]
    return tuple(segment.replace("~1", "/").replace("~0", "~") for segment in segments)


def _is_referred_to(path: PropertyPath, targets: list[PropertyPath]) -> bool:
    """Whether a union there would break a reference through it, or show up wherever one to it is used."""
    place = tuple(segment for name in path for segment in ("properties", name))
    return any(place[: len(target)] == target[: len(place)] for target in targets)


def _output_schema(original: object) -> Json:
    """The output schema of a tool that may also answer with a token; none where its references would break."""
    if not _is_object(original):
        return {}
    if any(target[:1] not in {("$defs",), ("definitions",)} for target in _reference_targets(original)):
        return {}
    beside = {key: original[key] for key in _BESIDE_EVERY_REFERENCE if key in original}
    inside = {key: value for key, value in original.items() if key not in beside}
    return {"outputSchema": {**beside, "type": "object", "anyOf": [inside, _TOKEN_OBJECT]}}
