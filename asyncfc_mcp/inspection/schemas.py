"""Input schemas that hosts and model APIs choke on. The gateway leaves alone what it finds there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, cast

from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.inspection.findings import Finding, Severity, some_of
from asyncfc_mcp.inspection.hosts import Host

Raw = dict[str, Any]

MOST_LEVELS = 10
_UNIONS = ("anyOf", "oneOf", "allOf")
_SAYS_TYPE = frozenset({"type", "$ref", "enum", "const", *_UNIONS, "if", "not"})
_HOLDERS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_SINGLE = ("items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames")
_LISTS = (*_UNIONS, "prefixItems")


def schema_findings(
    server: str, tools: Sequence[CatalogTool], hosts: Sequence[Host], *, is_chosen: bool
) -> Iterator[Finding]:
    """What is to be said of the schemas of one server, each kind once for all its tools."""
    tools_of: defaultdict[str, list[str]] = defaultdict(list)
    for tool in tools:
        for fault in faults(tool.tool.get("inputSchema")):
            tools_of[fault].append(tool.own_name)
    for fault, (severity, fact, remedy) in _KINDS.items():
        names = tools_of.get(fault)
        if not names:
            continue
        whom = [host.title for host in hosts if not getattr(host, _BY_HOST[fault])] if fault in _BY_HOST else None
        if whom == []:
            continue
        worst = Severity.ERROR if is_chosen and whom else severity
        said = fact.format(hosts=some_of(whom or []))
        yield Finding(server, worst, fault, f"{said}: {some_of(names)}", remedy.format(tool=names[0]))


_OUT = 'tell its author, or leave the tool out: "asyncfc": {{"exclude": ["{tool}"]}}'
_KINDS: dict[str, tuple[Severity, str, str]] = {
    "schema_root_not_object": (Severity.ERROR, "an input schema is no object schema, so hosts refuse the tool", _OUT),
    "schema_root_union": (
        Severity.WARNING,
        "an input schema has anyOf, oneOf or allOf at its root, and {hosts} may refuse all tools for it",
        _OUT,
    ),
    "schema_foreign_ref": (Severity.WARNING, "a $ref points out of its input schema, and is fetched by nobody", _OUT),
    "schema_lost_ref": (Severity.WARNING, "a $ref points to nothing in its input schema", _OUT),
    "schema_union_in_items": (
        Severity.NOTE,
        "a union stands in the items of a list, and {hosts} may answer HTTP 400 for it",
        _OUT,
    ),
    "schema_untyped": (
        Severity.NOTE,
        "a property has no type, so clients send text in its place",
        "tell its author; the gateway converts text back only where a schema says what it should be",
    ),
    "schema_deep": (
        Severity.NOTE,
        f"an input schema nests more than {MOST_LEVELS} levels deep, more than some model APIs take",
        _OUT,
    ),
}
"""How bad each kind is, what it is, and what mends it; in the order in which they are said."""
_BY_HOST = {"schema_root_union": "takes_root_unions", "schema_union_in_items": "takes_unions_in_items"}


def faults(schema: Any) -> frozenset[str]:
    """The kinds of faults that one input schema has."""
    if not isinstance(schema, dict) or cast("Raw", schema).get("type") != "object":
        return frozenset({"schema_root_not_object"})
    root = cast("Raw", schema)
    found = {"schema_root_union"} if any(union in root for union in _UNIONS) else set[str]()
    pending: list[tuple[Raw, int]] = [(root, 0)]
    while pending:
        node, depth = pending.pop()
        found.update(_own_faults(node, root))
        if depth > MOST_LEVELS:
            found.add("schema_deep")
            continue
        pending.extend((child, depth + 1) for child in _children(node))
    return frozenset(found)


def _own_faults(node: Raw, root: Raw) -> Iterator[str]:
    for child in _members(node.get("properties")).values():
        if child == {} or (isinstance(child, dict) and not _SAYS_TYPE & cast("Raw", child).keys()):
            yield "schema_untyped"
    items = node.get("items")
    if isinstance(items, dict) and ({"anyOf", "oneOf"} & cast("Raw", items).keys() or _has_types(cast("Raw", items))):
        yield "schema_union_in_items"
    reference = node.get("$ref")
    if isinstance(reference, str):
        if not reference.startswith("#"):
            yield "schema_foreign_ref"
        elif not _is_there(reference, root):
            yield "schema_lost_ref"


def _has_types(node: Raw) -> bool:
    kinds = node.get("type")
    return isinstance(kinds, list) and len(cast("list[Any]", kinds)) > 1


def _is_there(reference: str, root: Raw) -> bool:
    if not reference.startswith("#/"):
        return reference == "#" or "$anchor" in str(root)
    place: Any = root
    for segment in reference[2:].split("/"):
        key = segment.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and key.isdigit() and int(key) < len(cast("list[Any]", place)):
            place = cast("list[Any]", place)[int(key)]
        elif isinstance(place, dict) and key in place:
            place = cast("Raw", place)[key]
        else:
            return False
    return True


def _children(node: Raw) -> Iterator[Raw]:
    for name in _HOLDERS:
        yield from _schemas(_members(node.get(name)).values())
    yield from _schemas(node.get(name) for name in _SINGLE)
    for name in _LISTS:
        listed = node.get(name)
        yield from _schemas(cast("list[Any]", listed) if isinstance(listed, list) else ())


def _schemas(values: Any) -> Iterator[Raw]:
    return (cast("Raw", value) for value in values if isinstance(value, dict))


def _members(value: Any) -> Raw:
    return cast("Raw", value) if isinstance(value, dict) else {}
