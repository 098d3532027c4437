"""Arguments of a tool as people write them on a command line, given the types that the tool's schema asks for."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import click

Raw = dict[str, Any]

_PATTERN_OF_TOKENS = "^fut_"
_OWN = frozenset({"_wait_s", "_as"})
_KINDS = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_EVERY_KIND = [*_KINDS.values()]  # a list: what servers write in place of a type may be unhashable
_EXAMPLES = {"array": "[1, 2]", "object": '{"a": 1}', "boolean": "true", "null": "null"}
_MOST_STEPS = 20
_LONGEST_SHOWN = 80


class BadArguments(click.UsageError):
    """Words that do not make arguments of the tool."""


def arguments_from(words: Sequence[str], whole: str | None, schema: Raw) -> Raw:
    """The arguments: those of `whole`, a JSON object, and over them one for each `key=value`.

    Raises:
        BadArguments: a word has no key, a value does not fit, or the JSON is none.
    """
    arguments = _object(whole) if whole is not None else {}
    said = schema.get("properties")
    properties = cast("Raw", said) if isinstance(said, dict) else {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise BadArguments(
                f"{_short(word)!r} is no argument; write key=value, or give all of them with --args JSON"
            )
        if key not in properties and properties and not schema.get("additionalProperties"):
            raise BadArguments(f"there is no argument {key!r}{_near(key, properties)} (--args sends it all the same)")
        arguments[key] = typed(key, text, properties.get(key), schema)
    return arguments


def typed(key: str, text: str, schema: Any, root: Raw) -> Any:
    """What a text means where the schema says what is wanted; a token is always text.

    Raises:
        BadArguments: it is none of what the schema takes.
    """
    kinds = set(_kinds(schema, root, 0))
    if text.startswith("fut_") or not kinds or kinds == {"string"}:
        return text
    try:
        value: Any = _parsed(text)
    except ValueError:
        value = text
    kind = _KINDS[cast("type[Any]", type(value))]
    if kind in kinds or (kind == "integer" and "number" in kinds):
        return value
    if kind == "number" and "integer" in kinds and value.is_integer():
        return int(value)
    if "string" in kinds:
        return text
    wanted = " or ".join(sorted(kinds))
    raise BadArguments(f"{key}={_short(text)} does not fit: the tool takes {wanted} there{_hint(key, kinds)}")


def _parsed(text: str) -> Any:
    """JSON, and no more than that.

    Raises:
        ValueError: it is none, or is nested so deep that nobody could take it.
    """
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _hint(key: str, kinds: set[str]) -> str:
    example = next((_EXAMPLES[kind] for kind in sorted(kinds) if kind in _EXAMPLES), None)
    return f"; write JSON, such as '{key}={example}'" if example else ""


def _kinds(schema: Any, root: Raw, steps: int) -> Iterator[str]:
    """The types that it takes; none where it says nothing of them."""
    if not isinstance(schema, dict) or steps > _MOST_STEPS:
        return
    node = cast("Raw", schema)
    if node.get("pattern") == _PATTERN_OF_TOKENS:
        return  # how the gateway says that a token may stand here
    said = node.get("type")
    yield from (kind for kind in (cast("list[Any]", said) if isinstance(said, list) else [said]) if kind in _EVERY_KIND)
    if "const" in node or "enum" in node:
        values: list[Any] = node["enum"] if isinstance(node.get("enum"), list) else [node.get("const")]
        yield from (_KINDS[cast("type[Any]", type(value))] for value in values if said is None)
    for union in ("anyOf", "oneOf", "allOf"):
        listed = node.get(union)
        for one in cast("list[Any]", listed) if isinstance(listed, list) else ():
            yield from _kinds(one, root, steps + 1)
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        yield from _kinds(_at(reference, root), root, steps + 1)


def _at(reference: str, root: Raw) -> Any:
    place: Any = root
    for segment in reference[2:].split("/"):
        if not isinstance(place, dict):
            return None
        place = cast("Raw", place).get(segment.replace("~1", "/").replace("~0", "~"))
    return place


def _object(text: str) -> Raw:
    try:
        value = _parsed(text)
    except ValueError as error:
        raise BadArguments(f"--args is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadArguments('--args is no JSON object such as {"path": "/data"}')
    return cast("Raw", value)


def _near(key: str, properties: Raw) -> str:
    known = [name for name in properties if name not in _OWN]
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
