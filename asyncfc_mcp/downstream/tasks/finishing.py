"""Calls that their server runs as tasks: whether a tool wants that, whether an answer is one, and how such a call ends.

`following` follows a task; `dialect_2025` and `dialect_2026` know how each says it; `book` routes what servers say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from asyncfc_mcp.downstream.tasks.call import TaskCall
from asyncfc_mcp.downstream.tasks.dialect_2025 import Task2025
from asyncfc_mcp.downstream.tasks.dialect_2026 import Task2026
from asyncfc_mcp.downstream.tasks.following import FollowedTask


def must_be_task(tool: Mapping[str, Any], capabilities: Mapping[str, Any]) -> bool:
    """Whether a tool of a server with the handshake answers only to calls that ask for a task.

    Args:
        tool: as listed.
        capabilities: the ServerCapabilities of the wire; without its word for tasks no tool may be called as one.
    """
    return _at(tool, "execution", "taskSupport") == "required" and _at(
        capabilities, "tasks", "requests", "tools", "call"
    ) not in (None, False)


def is_task(result: Mapping[str, Any]) -> bool:
    """Whether the answer to a `tools/call` is a task, of either dialect, and not yet what the call gave."""
    return result.get("resultType") == "task" or _is_2025(result)


async def finish_task(created: Mapping[str, Any], call: TaskCall) -> dict[str, Any]:
    """Follow a task to its end: the CallToolResult of the wire.

    Raises:
        RpcError: The call ended with a JSON-RPC error.
        TaskCancelled: The server says that it was cancelled.
        TaskLost, DownstreamLost: Nobody knows how it ended.
        DownstreamError: Any other way to end without a result; what `on_input` raised, for one.
    """
    followed: FollowedTask = (
        Task2025(call, cast("dict[str, Any]", created["task"])) if _is_2025(created) else Task2026(call, created)
    )
    return await followed.finish()


def _is_2025(result: Mapping[str, Any]) -> bool:
    return isinstance(result.get("task"), dict) and "content" not in result


def _at(value: object, *path: str) -> object:
    for key in path:
        value = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return value
