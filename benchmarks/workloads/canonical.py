"""One text for equal arguments, however they were written."""

from __future__ import annotations

import json
from typing import Any, cast

from benchmarks.workloads.world import JsonObject


def canonical(arguments: JsonObject) -> str:
    """Compact JSON with sorted keys; `5.0` is written as `5`, since a value may come back either way."""
    return json.dumps(_plain(arguments), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value
