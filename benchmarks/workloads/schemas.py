"""Input schemas of the workloads' own tools."""

from __future__ import annotations

from typing import Any

STRING: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": "integer"}


def takes(**properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of a tool that needs all of these arguments."""
    return {"type": "object", "properties": properties, "required": list(properties)}
