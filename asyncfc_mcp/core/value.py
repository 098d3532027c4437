"""What a resolved future is worth in a place: its text, its JSON, or a part of that, by what the place accepts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Final, cast

from asyncfc_mcp.core.reference import ArgumentFault, JsonPath, clip, pointer
from asyncfc_mcp.errors import GatewayError

Slot = frozenset[str]
"""The names of the JSON types that a place accepts."""
ANY_SLOT: Final[Slot] = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})
TEXT_SLOT: Final[Slot] = frozenset({"string"})

_MOST_KEYS_SHOWN = 10
_TYPES: Final[dict[type, frozenset[str]]] = {
    str: frozenset({"string"}),
    bool: frozenset({"boolean"}),
    type(None): frozenset({"null"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"number"}),
    list: frozenset({"array"}),
    dict: frozenset({"object"}),
}
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON spells a half of a character; a whole one of two halves looks like that as well."""
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Missing(Enum):
    """Stands for JSON that is not there, which is something else than null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True)
class Value:
    """What a resolved future holds, as far as arguments are concerned."""

    # Without slots: thousands of references may point into one large text, which is then read once and not each time.

    text: str | None
    """The text blocks, joined by newlines; None when there are none."""
    structured: Any
    """`structuredContent`, or MISSING."""
    block_types: tuple[str, ...]
    wraps_result: bool
    """The tool's `outputSchema` has just the property `result`, or marks it as a wrapping."""

    @cached_property
    def spelled(self) -> Any:
        """The JSON that the text spells, or MISSING."""
        return MISSING if self.text is None else parse_json(self.text)

    @cached_property
    def may_hold_halves(self) -> bool:
        """Whether JSON read from it may hold half of a character."""
        return self.text is not None and _HALF.search(self.text) is not None


class BadSubstitution(ArgumentFault):
    """A value exists but is of no use where it is wanted."""

    def __init__(self, argument: str, token: str, path: JsonPath, fact: str) -> None:
        super().__init__(argument, f"{clip(token + pointer(path))} cannot be used here: {fact}")
        self.token = token
        self.path = path
        self.fact = fact


def select(value: Value, path: JsonPath, slot: Slot, *, token: str, argument: str = "") -> Any:
    """What `token` with `path` gives to a place that accepts `slot`; the last two only name things in errors."""
    if value.text is None and value.structured is MISSING:
        raise BadSubstitution(argument, token, path, _nothing_usable(value.block_types))
    try:
        selected = _fitted(_part(value, path), slot) if path else _whole(value, slot)
        if selected is not value.text and value.may_hold_halves:
            _check_unicode(selected)
    except _Unusable as unusable:
        raise BadSubstitution(argument, token, path, unusable.fact) from None
    return selected


def convert_text(value: Any, slot: Slot) -> Any:
    """The JSON that a text spells, where the place accepts that and no text; else the value unchanged."""
    if not isinstance(value, str) or "string" in slot:
        return value
    parsed = parse_json(value)
    return parsed if parsed is not MISSING and fits(parsed, slot) else value


def fits(value: Any, slot: Slot) -> bool:
    """Whether a place accepts a value, by its type alone."""
    return not slot.isdisjoint(_types(value))


def parse_json(text: str) -> Any:
    """What the text spells, or MISSING: NaN and the infinities are no JSON, and neither is what nests too deep."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return MISSING


class _Unusable(GatewayError):
    """Carries the fact up to where the token and the argument are known."""

    def __init__(self, fact: str) -> None:
        super().__init__(fact)
        self.fact = fact


def _whole(value: Value, slot: Slot) -> Any:
    if _wants_text(slot):
        return value.text if value.text is not None else _fitted(_unwrapped(value), slot)
    readings = [convert_text(reading, slot) for reading in _readings(value, slot)]
    if not readings:
        raise _Unusable(f"it is a text that is no JSON, and the argument takes {_or(slot)}")
    # when nothing fits, validation against the tool's own schema says best what is wrong
    return next((reading for reading in readings if fits(reading, slot)), readings[0])


def _readings(value: Value, slot: Slot) -> Iterator[Any]:
    """What the value may be taken for, best first."""
    if value.structured is not MISSING:
        yield _unwrapped(value)
    if value.spelled is not MISSING:
        yield value.spelled
    if value.text is not None and "string" in slot:
        yield value.text


def _part(value: Value, path: JsonPath) -> Any:
    documents = list(_documents(value))
    if not documents:
        raise _Unusable("its value is a text that is no JSON, so a path leads nowhere; use the token without a path")
    misses: list[tuple[int, Any]] = []
    for document in documents:
        found, depth = _follow(document, path)
        if depth == len(path):
            return found
        misses.append((depth, found))
    depth, nearest = max(misses, key=lambda miss: miss[0])
    where = f"at {clip(pointer(path[:depth]))} " if depth else ""
    raise _Unusable(f"there is no {clip(pointer(path))!r}; {where}{_contents(nearest)}")


def _documents(value: Value) -> Iterator[Any]:
    """Where a path is tried, in order. The model has often seen only the text, so its JSON counts as well."""
    if value.structured is not MISSING:
        yield value.structured
        if value.wraps_result:
            yield _unwrapped(value)
    if value.spelled is not MISSING:
        yield value.spelled


def _follow(document: Any, path: JsonPath) -> tuple[Any, int]:
    """The last thing met on the path, and how many of its segments led there."""
    here = document
    for depth, segment in enumerate(path):
        inside = _members(here, segment)
        if not inside:
            return here, depth
        here = inside[0]
    return here, len(path)


def _members(container: Any, segment: str) -> list[Any]:
    """What stands at the segment: one thing or none."""
    if isinstance(container, dict):
        members = cast("dict[str, Any]", container)
        return [members[segment]] if segment in members else []
    if isinstance(container, list) and _INDEX.fullmatch(segment):
        index = int(segment)
        return cast("list[Any]", container)[index : index + 1]
    return []


def _fitted(item: Any, slot: Slot) -> Any:
    if not _wants_text(slot):
        return convert_text(item, slot)
    if item is not None:
        return _as_text(item)
    if "null" in slot:
        return None
    raise _Unusable("it is null, and the argument takes text")


def _as_text(value: Any) -> str:
    """A string verbatim, other JSON in its compact form."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        fact = "it holds a number that JSON cannot spell"
    except RecursionError:
        fact = "it nests too deep to be written as text"
    raise _Unusable(fact)


def _unwrapped(value: Value) -> Any:
    match value.structured:
        case {"result": result, **others} if value.wraps_result and not others:
            return result
        case structured:
            return structured


def _wants_text(slot: Slot) -> bool:
    return slot - {"null"} == TEXT_SLOT


def _check_unicode(value: Any) -> None:
    """See that it can be written down: JSON can spell half of a character, and no connection can carry that."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise _Unusable("it holds text that is not Unicode (half of a surrogate pair)") from None


def _types(value: Any) -> frozenset[str]:
    if isinstance(value, float) and value.is_integer():
        return _TYPES[int]
    return _TYPES[type(value)]


def _contents(value: Any) -> str:
    if isinstance(value, dict):
        keys = [clip(key) for key in cast("dict[str, Any]", value)]
        more = f" and {len(keys) - _MOST_KEYS_SHOWN} more" if len(keys) > _MOST_KEYS_SHOWN else ""
        return f"the keys are {', '.join(keys[:_MOST_KEYS_SHOWN])}{more}" if keys else "the object is empty"
    if isinstance(value, list):
        count = len(cast("list[Any]", value))
        return f"the list has the indexes 0 to {count - 1}" if count else "the list is empty"
    return f"the value is {_or(_types(value))}, with nothing inside"


def _nothing_usable(block_types: tuple[str, ...]) -> str:
    if not block_types:
        return "its result is empty"
    return f"its result has neither text nor JSON, only {', '.join(dict.fromkeys(block_types))}"


def _or(slot: Slot) -> str:
    return " or ".join(sorted(slot)) or "nothing"


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _finite(spelling: str) -> float:
    number = float(spelling)
    if not math.isfinite(number):
        raise ValueError(spelling)
    return number


def wraps_result(output_schema: object) -> bool:
    """Whether the value of a tool is wrapped in a property `result` that its author never wrote."""
    if not isinstance(output_schema, dict):
        return False
    schema = cast("dict[str, Any]", output_schema)
    properties: object = schema.get("properties")
    return schema.get("x-fastmcp-wrap-result") is True or (
        isinstance(properties, dict) and set(cast("dict[str, Any]", properties)) == {"result"}
    )
