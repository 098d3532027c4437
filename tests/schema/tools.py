"""Tools as servers list them: the real ones, recorded, and a short way to make others and to show them."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from asyncfc_mcp.server.schema import shown_tool

TOKEN = {"type": "string", "pattern": "^fut_"}

RECORDED: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("real_tools.json").read_text(encoding="utf-8")
)
REAL_TOOLS = [
    (f"{server}/{tool['name']}", {**tool, "description": "Theirs."})
    for server, tools in RECORDED.items()
    for tool in tools
]


def tool_of(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "work", "description": "Works.", "inputSchema": schema, **more}


def takes(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def show(tool: dict[str, Any], **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "name": "s_work",
        "server": "s",
        "mode": "auto",
        "schema": "union",
        "structured": False,
        "wait_argument": True,
        "name_argument": True,
    }
    return shown_tool(tool, **(settings | changes))


def shown_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The input schema that clients see, without the arguments that are ours."""
    return show(tool_of(schema), wait_argument=False, name_argument=False)["inputSchema"]


def shown_properties(**properties: Any) -> dict[str, Any]:
    return shown_schema(takes(**properties))["properties"]


def either(original: Any) -> dict[str, Any]:
    return {"anyOf": [original, TOKEN]}


def fits(schema: dict[str, Any], arguments: Any) -> bool:
    validator: Any = Draft202012Validator(schema)
    return validator.is_valid(arguments)
