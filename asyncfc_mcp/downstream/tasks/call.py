"""The call that a task carries out, and the ends that only tasks come to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.shared.dispatcher import ProgressFnT
from mcp_types import RequestId

from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.hooks import OnInput, OnStatus
from asyncfc_mcp.downstream.outcome import DownstreamError, DownstreamLost

if TYPE_CHECKING:
    from asyncfc_mcp.downstream.tasks.book import TaskBook

TaskRequest = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Sends a request of a method with params, waiting for the connection; the raw result, or a DownstreamError."""


class TaskCancelled(DownstreamError):
    """The server says that the task was cancelled."""

    def __init__(self, server: str, tool: str, status_text: str | None) -> None:
        why = f": {status_text}" if status_text else ""
        super().__init__(f"server {server!r} ran {tool!r} as a task, and the task was cancelled{why}")
        self.server = server
        self.tool = tool


class TaskLost(DownstreamLost):
    """The server does not tell any more how the task stands."""

    def __init__(self, server: str, tool: str, fact: str) -> None:
        super().__init__(server, tool)
        message = f"server {server!r} ran {tool!r} as a task, but {fact}; the call may have taken effect: "
        self.args = (f"{message}check before calling again",)


@dataclass(frozen=True, slots=True)
class TaskCall:
    """The call that a task carries out."""

    server: str
    tool: str
    request: TaskRequest
    book: TaskBook
    """The one of the connection, so that the server's notifications find the task."""
    on_input: OnInput
    on_status: OnStatus | None = None
    on_progress: ProgressFnT | None = None
    cancel_requested: CancelRequest | None = None
    owner: object = None
    progress_token: RequestId | None = None
    """Of the request that created the task; with 2025-11-25 it goes on being used."""
