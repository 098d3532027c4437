"""An MCP gateway that gives any MCP assistant asynchronous function calling.

The Python API is exported here and loaded when it is first used; `__init__.pyi` says its types. docs/python-api.md
shows how to use it.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_EXPORTED = {
    "AlreadyRunning": "embedding.gateway",
    "CallFailed": "embedding.future",
    "ConfigurationError": "config.problems",
    "Failure": "core.future",
    "FailureReason": "core.future",
    "ForeignFuture": "embedding.scope",
    "Future": "embedding.future",
    "FutureState": "core.future",
    "Gateway": "embedding.gateway",
    "GatewayError": "errors",
    "NotJson": "embedding.plain",
    "NotRunning": "embedding.engine",
    "Progress": "gateway.future",
    "Reference": "embedding.values",
    "Result": "embedding.values",
    "Scope": "embedding.scope",
    "ScopeNameTooLong": "embedding.gateway",
    "Server": "embedding.values",
    "Tool": "embedding.values",
    "UnknownToken": "gateway.table",
    "UnknownTool": "gateway.gateway",
    "WaitTimedOut": "embedding.future",
    "WrongLoop": "embedding.engine",
}
"""Where each public name stands: a program that only asks for the version, and every command, must start fast."""


def __getattr__(name: str) -> Any:
    if name not in _EXPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTED[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTED])
