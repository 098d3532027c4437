"""The package's backends as a workload's world."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, cast

from benchmarks.workloads.bfcl.package import Entry, backend_class
from benchmarks.workloads.world import Answer, JsonObject

NO_STATE = frozenset({"_flight_cost_lookup", "_last_modified", "parent"})
"""Attributes that no later answer depends on: a cache that each reader fills anew, the clock, and the way back up."""


class Backends:
    """The instances of one conversation, set up as the package's own executor does."""

    def __init__(self, entry: Entry) -> None:
        self._instances = {name: _instance(entry, name) for name in entry.classes}

    def call(self, server: str, tool: str, arguments: JsonObject) -> Answer:
        """Call a method; what it raises is an error of the tool."""
        try:
            found = getattr(self._instances[server], tool)(**copy.deepcopy(dict(arguments)))
        except Exception as error:  # noqa: BLE001 - the backends raise whatever they like, and the executor takes it all
            return Answer(f"Error during execution: {error}", is_error=True)
        return Answer(found if isinstance(found, str) else json.dumps(found, default=float), is_error=_is_error(found))

    def state(self) -> Any:
        """Every attribute of every instance, as plain data."""
        return {name: _plain(instance) for name, instance in self._instances.items()}


def _instance(entry: Entry, name: str) -> Any:
    instance = backend_class(name)()
    if hasattr(instance, "_load_scenario"):
        instance._load_scenario(copy.deepcopy(entry.initial_config.get(name, {})), long_context=False)  # noqa: SLF001
    return instance


def _is_error(found: Any) -> bool:
    return isinstance(found, dict) and "error" in found


def _plain(value: Any) -> Any:
    match value:
        case str() | int() | float() | bool() | None:
            return value
        case dict():
            return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case set():
            return sorted(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case random.Random():
            return value.getstate()
        case _ if hasattr(value, "_current_dir"):
            return {"root": _plain(value.root), "working directory": _place(value._current_dir)}  # noqa: SLF001
        case _:
            attributes = cast("dict[str, Any]", vars(value))  # pyright: ignore[reportUnknownArgumentType]
            return {name: _plain(item) for name, item in attributes.items() if name not in NO_STATE}


def _place(directory: Any) -> list[str]:
    return [directory.name] if directory.parent is None else [*_place(directory.parent), directory.name]
