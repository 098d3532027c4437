"""The tables of docs/configuration.md, written from the models: `python -m asyncfc_mcp.config.reference FILE`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from asyncfc_mcp.config.models import DEFAULTS, GatewaySettings, ServerSettings, SharedSettings, ToolSettings
from asyncfc_mcp.errors import GatewayError

BEGIN = "<!-- settings: written by python -m asyncfc_mcp.config.reference -->"
END = "<!-- settings: end -->"

_IN_WORDS = {
    "prefix": "the server's key; none with `serve -- COMMAND`",
    "trust": "`true` for servers that are started here, else `false`",
    "await_cap_s": "by the client that calls",
    "reads": "from a pack or the tool's annotations",
    "writes": "from a pack or the tool's annotations; else everything",
    "name": "the prefix, `_`, the tool's own name",
}
"""Defaults that are no single value."""

_JSON_TYPES = {"string": "text", "number": "number", "integer": "whole number", "boolean": "`true` or `false`"}


class NoPlaceForSettings(GatewayError):
    """A page without the marks between which the tables stand."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} has no place for the settings; put the lines {BEGIN!r} and {END!r} into it")


def settings_reference() -> str:
    """Every setting of every `asyncfc` object, as Markdown."""
    shared = keys(SharedSettings)
    parts = (
        ("### At the top and in each server", _table(SharedSettings, shared, DEFAULTS.model_dump(mode="json"))),
        ("### At the top only", _table(GatewaySettings, keys(GatewaySettings) - shared, {})),
        ("### In each server only", _table(ServerSettings, keys(ServerSettings) - shared, {})),
        ("### In `tools`, for one tool", _table(ToolSettings, keys(ToolSettings), {})),
    )
    return "\n\n".join(f"{title}\n\n{table}" for title, table in parts)


def with_reference(page: str, file: Path) -> str:
    """The page with its tables written anew."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlaceForSettings(file)
    return f"{before}{BEGIN}\n\n{settings_reference()}\n\n{END}{after}"


def main() -> None:
    """Rewrite the page that the command line names."""
    file = Path(sys.argv[1])
    file.write_text(with_reference(file.read_text(encoding="utf-8"), file), encoding="utf-8")


def keys(model: type[BaseModel]) -> set[str]:
    """The settings of one object, as they are written in the file."""
    return set(model.model_json_schema()["properties"])


def _table(model: type[BaseModel], wanted: set[str], defaults: Mapping[str, object]) -> str:
    properties: dict[str, dict[str, Any]] = model.model_json_schema()["properties"]
    rows = [
        f"| `{name}` | {_type(schema)} | {_default(name, schema, defaults)} | {schema['description']} |"
        for name, schema in properties.items()
        if name in wanted
    ]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])


def _default(name: str, schema: Mapping[str, Any], defaults: Mapping[str, object]) -> str:
    if name in _IN_WORDS:
        return _IN_WORDS[name]
    value = defaults.get(name, schema.get("default", {}))
    return "as the server" if value is None else f"`{json.dumps(value)}`"


def _type(schema: Mapping[str, Any]) -> str:
    return " or ".join(_alternatives(schema))


def _alternatives(schema: Mapping[str, Any]) -> Iterator[str]:
    for choice in schema.get("anyOf", [schema]):
        match choice:
            case {"type": "null"}:
                continue
            case {"enum": values}:
                yield " or ".join(f'`"{value}"`' for value in values)
            case {"type": "array", "items": items}:
                yield f"list of {_type(items)}s"
            case {"type": "object"} | {"$ref": _}:
                yield "object"
            case {"type": kind}:
                yield _JSON_TYPES[kind] + _bounds(choice)
            case _:
                yield "any"


def _bounds(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema:
        return f", at least {schema['minimum']}"
    if "exclusiveMinimum" in schema:
        return f", above {schema['exclusiveMinimum']}"
    if "pattern" in schema:
        return f" of `{schema['pattern']}`"
    return ""


if __name__ == "__main__":
    main()
