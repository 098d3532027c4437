"""Which JSON types a place in the arguments accepts, read off the tool's input schema.

Reads no more of JSON Schema than says something about types: when in doubt a place accepts everything.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeGuard, cast
from urllib.parse import unquote

from asyncfc_mcp.core.reference import Place
from asyncfc_mcp.core.value import ANY_SLOT

Json = dict[str, Any]

_NO_TYPES: Final = frozenset[str]()


def type_names(value: object) -> frozenset[str]:
    """The JSON types that a value has: a whole number has two."""
    if value is None:
        return frozenset({"null"})
    if isinstance(value, bool):
        return frozenset({"boolean"})
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return frozenset({"integer", "number"})
    if isinstance(value, float):
        return frozenset({"number"})
    if isinstance(value, str):
        return frozenset({"string"})
    return frozenset({"array"}) if isinstance(value, list) else frozenset({"object"})


def types_at(schema: object, at: Place) -> frozenset[str]:
    """The types that the place accepts; all seven where the schema says nothing, or contradicts itself."""
    try:
        return _Search(schema, at).types(schema, 0) or ANY_SLOT
    except RecursionError:
        return ANY_SLOT


def is_object(value: object) -> TypeGuard[Json]:
    """Whether it is a JSON object."""
    return isinstance(value, dict)


class _Search:
    """One walk from the root of a schema to one place."""

    def __init__(self, root: object, at: Place) -> None:
        self._root = root
        self._at = at
        self._found: dict[tuple[int, int], frozenset[str]] = {}

    def types(self, schema: object, depth: int) -> frozenset[str]:
        """What `schema`, which stands `depth` steps down the place, allows at its end."""
        if not is_object(schema):
            return _NO_TYPES if schema is False else ANY_SLOT
        key = (id(schema), depth)
        if key in self._found:
            return self._found[key]
        self._found[key] = _NO_TYPES  # a reference that comes back here without a step down adds nothing
        found = self._own_types(schema, depth)
        for part, part_depth in self._all_of(schema, depth):
            found &= self.types(part, part_depth)
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                allowed = _NO_TYPES
                for branch in cast("list[object]", schema[keyword]):
                    allowed |= self.types(branch, depth)
                found &= allowed
        self._found[key] = found
        return found

    def _own_types(self, schema: Json, depth: int) -> frozenset[str]:
        declared = _declared_types(schema)
        if depth == len(self._at):
            return declared
        holder = "object" if isinstance(self._at[depth], str) else "array"
        return ANY_SLOT if holder in declared else _NO_TYPES

    def _all_of(self, schema: Json, depth: int) -> list[tuple[object, int]]:
        """The schemas that hold as well, here or one step down."""
        parts: list[tuple[object, int]] = []
        if isinstance(schema.get("$ref"), str):
            parts.append((_resolved(self._root, schema["$ref"]), depth))
        if isinstance(schema.get("allOf"), list):
            parts += [(part, depth) for part in cast("list[object]", schema["allOf"])]
        if depth < len(self._at):
            parts += [(part, depth + 1) for part in _children(schema, self._at[depth])]
        return parts


def _declared_types(schema: Json) -> frozenset[str]:
    found = ANY_SLOT
    named: object = schema.get("type")
    if isinstance(named, str | list):
        said = [named] if isinstance(named, str) else cast("list[object]", named)
        names = frozenset(one for one in said if isinstance(one, str))
        found = names | {"integer"} if "number" in names else names
        found &= ANY_SLOT
    values: list[object] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        found &= _NO_TYPES.union(*(type_names(value) for value in values))
    return found | {"null"} if schema.get("nullable") is True else found


def _children(schema: Json, step: str | int) -> list[object]:
    """What the schema says of its property or item `step`."""
    return _of_property(schema, step) if isinstance(step, str) else [_of_item(schema, step)]


def _of_property(schema: Json, name: str) -> list[object]:
    properties, patterns = schema.get("properties"), schema.get("patternProperties")
    found: list[object] = [properties[name]] if is_object(properties) and name in properties else []
    if is_object(patterns):
        found += [each for pattern, each in patterns.items() if _matches(pattern, name)]
    return found or [schema.get("additionalProperties", True)]


def _of_item(schema: Json, index: int) -> object:
    items: object = schema.get("items", True)
    is_old_tuple = isinstance(items, list)
    first = cast("object", items if is_old_tuple else schema.get("prefixItems"))
    if isinstance(first, list) and index < len(cast("list[object]", first)):
        return cast("list[object]", first)[index]
    return schema.get("additionalItems", True) if is_old_tuple else items


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False


def _resolved(root: object, reference: str) -> object:
    """What a reference inside the schema points at; a schema that allows everything when it points elsewhere."""
    if reference != "#" and not reference.startswith("#/"):
        return True
    here = root
    for segment in unquote(reference).split("/")[1:]:
        key = segment.replace("~1", "/").replace("~0", "~")
        if is_object(here) and key in here:
            here = here[key]
        elif isinstance(here, list) and key.isdecimal() and int(key) < len(cast("list[object]", here)):
            here = cast("list[object]", here)[int(key)]
        else:
            return True
    return here
