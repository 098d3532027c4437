"""Follows one task of a server to its end: polls, notifications, cancelling, and a connection that comes and goes.

What the two protocol revisions do differently is in `dialect_2025` and `dialect_2026`; how a request reaches the
server, and how a lost connection comes back, is the business of whoever gives the `TaskCall`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, CallToolResult
from pydantic import ValidationError

from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.outcome import (
    DownstreamError,
    DownstreamLost,
    DownstreamUnavailable,
    MalformedResult,
    RpcError,
)
from asyncfc_mcp.downstream.progress import ProgressSaid, finite, progress_said
from asyncfc_mcp.downstream.retrying import delay_s
from asyncfc_mcp.downstream.tasks.call import TaskCall, TaskCancelled, TaskLost

DEFAULT_INTERVAL_S = 1.0
SHORTEST_INTERVAL_S = 0.05
LONGEST_INTERVAL_S = 60.0
EARLY_LOOK_S = 0.5
"""Servers ask for seconds between two polls; one early look spares short calls that wait, and costs little."""
PATIENCE_S = 120.0
"""How long a server that cannot be reached is tried: its task may well be at work all the while."""

_CANCELLING_INTERVAL_S = 1.0
_CANCEL_LIMIT_S = 5.0
_FAREWELL_LIMIT_S = 0.3
_REFUSED_POLLS = 5
_ENDED = frozenset({"completed", "failed", "cancelled"})

log = structlog.get_logger(__name__)


class FollowedTask(ABC):
    """One task on its way to its end."""

    INTERVAL_KEY: ClassVar[str]

    def __init__(self, call: TaskCall, task: Mapping[str, Any]) -> None:
        self.call = call
        self.task_id: str = _checked(call, task, "taskId")
        self._task = task
        self._interval_s = DEFAULT_INTERVAL_S
        self.status_text: str | None = None
        self._told: Mapping[str, Any] | None = None
        self._failure: DownstreamError | None = None
        self._wake = anyio.Event()
        self.acknowledged = anyio.Event()
        """Set when the server agrees to tell of changes; of the stream that is open now."""
        self._questions: set[anyio.CancelScope] = set()
        """Around everything that asks the user for something."""
        self._is_cancelling = False
        self._has_looked = False
        self._refused_polls = 0
        self._helpers: TaskGroup

    async def finish(self) -> dict[str, Any]:
        """Follow it to its end; the CallToolResult of the wire."""
        ended: dict[str, Any] | DownstreamError | None = None
        try:
            async with anyio.create_task_group() as self._helpers:
                with self.call.book.following(self):
                    ended = await self._result_or_error()
                self._helpers.cancel_scope.cancel()
        finally:
            if ended is None:
                await self._say_farewell()
        if isinstance(ended, dict):
            return ended
        raise ended or DownstreamLost(self.call.server, self.call.tool)

    # What the revisions do differently

    @abstractmethod
    def _start_listening(self) -> None:
        """Have the server tell of changes by itself, where that has to be asked for."""

    @abstractmethod
    def _serve_input(self) -> None:
        """Begin to give the server what it asks for; its state is `input_required`."""

    @abstractmethod
    async def _result(self) -> dict[str, Any]:
        """What the call gave; the state is `completed` or `failed`."""

    # What the book hands over, in the order of its arrival

    def take_news(self, task: Mapping[str, Any]) -> None:
        """The server says how the task stands."""
        if isinstance(task.get("status"), str) and (self._told is None or self._told["status"] not in _ENDED):
            self._told = task
            self._look_now()

    def take_progress(self, params: Mapping[str, Any]) -> None:
        """The call makes progress."""
        said = progress_said(params)
        if self.call.on_progress is not None and said is not None:
            self._helpers.start_soon(self._pass_on_progress, self.call.on_progress, said)

    # Following

    async def _result_or_error(self) -> dict[str, Any] | DownstreamError:
        try:
            if self.call.cancel_requested is not None:
                self._helpers.start_soon(self._pass_on_cancel, self.call.cancel_requested)
            self._take_state(self._task)
            self._start_listening()
            return await self._follow()
        except DownstreamError as error:
            return error

    async def _follow(self) -> dict[str, Any]:
        while True:
            status = _checked(self.call, self._task, "status")
            if status == "cancelled":
                raise TaskCancelled(self.call.server, self.call.tool, self.status_text)
            if status in _ENDED:
                return self._tool_result(await self._result())
            if status == "input_required" and not self.is_cancel_requested:
                self._serve_input()
            self._take_state(await self._next_state())

    async def _next_state(self) -> Mapping[str, Any]:
        """What the server says next, by itself or asked when the interval is over."""
        with anyio.move_on_after(self._pause_s):
            await self._wake.wait()
        self._wake = anyio.Event()
        if self._failure is not None:
            return await self._state_after(self._failure)
        told, self._told = self._told, None
        return await self._poll() if told is None else told

    async def _state_after(self, failure: DownstreamError) -> Mapping[str, Any]:
        """Its end, should it have come to one meanwhile; else nothing is left to do but to withdraw it."""
        task = await self._poll()
        if task["status"] in _ENDED:
            return task
        with anyio.move_on_after(_CANCEL_LIMIT_S):
            await self._cancel()
        raise failure

    async def _poll(self) -> Mapping[str, Any]:
        self._has_looked = True
        try:
            task = await self._ask("tasks/get")
        except RpcError as error:
            return self._state_despite(error)
        self._refused_polls = 0
        _checked(self.call, task, "status")
        return task

    def _state_despite(self, error: RpcError) -> Mapping[str, Any]:
        """The last known state, as long as it is worth while to ask again."""
        if error.code == INVALID_PARAMS:
            if self._is_cancelling:
                raise TaskCancelled(self.call.server, self.call.tool, self.status_text) from None
            raise TaskLost(
                self.call.server, self.call.tool, f"knows nothing of it any more ({error.message})"
            ) from None
        self._refused_polls += 1
        if error.code == METHOD_NOT_FOUND or self._refused_polls == _REFUSED_POLLS:
            raise TaskLost(self.call.server, self.call.tool, f"does not tell how it stands: {error}") from None
        return self._task

    async def _ask(self, method: str, **more: Any) -> dict[str, Any]:
        """Ask about the task until there is an answer: it lives on in its server when the connection does not."""
        until: float | None = None
        attempt = 0
        while True:
            try:
                return await self.call.request(method, {"taskId": self.task_id, **more})
            except (DownstreamLost, DownstreamUnavailable):
                until = until or anyio.current_time() + PATIENCE_S
                if anyio.current_time() > until:
                    raise DownstreamLost(self.call.server, self.call.tool) from None
            attempt += 1
            await anyio.sleep(delay_s(attempt))

    @property
    def is_cancel_requested(self) -> bool:
        """Whether the call is to end: the user must not be asked anything for it then."""
        return self.call.cancel_requested is not None and self.call.cancel_requested.is_set()

    @property
    def _pause_s(self) -> float:
        if self._is_cancelling:
            return min(self._interval_s, _CANCELLING_INTERVAL_S)
        return self._interval_s if self._has_looked else min(self._interval_s, EARLY_LOOK_S)

    def _take_state(self, task: Mapping[str, Any]) -> None:
        self._task = task
        self._interval_s = poll_interval_s(task.get(self.INTERVAL_KEY), self._interval_s)
        text = task.get("statusMessage")
        if isinstance(text, str) and text != self.status_text:
            self.status_text = text
            if self.call.on_status is not None:
                self.call.on_status(text)

    def _tool_result(self, result: Any) -> dict[str, Any]:
        try:
            CallToolResult.model_validate(result, by_name=False)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(step) for step in fault["loc"])
            raise MalformedResult(self.call.server, self.call.tool, f"{where}: {fault['msg']}") from None
        return result

    def _look_now(self) -> None:
        self._wake.set()

    def _fail(self, error: DownstreamError) -> None:
        self._failure = error
        self._look_now()

    # Helpers beside it

    async def _pass_on_cancel(self, cancel_requested: CancelRequest) -> None:
        await cancel_requested.wait()
        await self._cancel()
        self._look_now()

    async def _cancel(self) -> None:
        self._is_cancelling = True
        for question in self._questions:
            question.cancel()
        try:
            # The answer is the task with 2025-11-25, and an empty one later.
            self.take_news(await self._ask("tasks/cancel"))
        except DownstreamError as error:
            log.debug("task_not_cancelled", server=self.call.server, tool=self.call.tool, kind=type(error).__name__)

    async def _say_farewell(self) -> None:
        """Nobody waits for it any more; where it lives on without us, its server should know."""
        if self._is_cancelling:
            return
        with anyio.move_on_after(_FAREWELL_LIMIT_S, shield=True):
            try:
                await self.call.request("tasks/cancel", {"taskId": self.task_id})
            except DownstreamError as error:
                log.debug("task_left_alone", server=self.call.server, tool=self.call.tool, kind=type(error).__name__)

    async def _pass_on_progress(self, on_progress: ProgressFnT, said: ProgressSaid) -> None:
        try:
            await on_progress(*said)
        except Exception:  # a listener that fails must not cost the call its result
            log.exception("task_progress_not_taken", server=self.call.server, tool=self.call.tool)


def poll_interval_s(milliseconds: object, otherwise_s: float = DEFAULT_INTERVAL_S) -> float:
    """How long to wait between two polls: as the server says, within reason."""
    wished_ms = finite(milliseconds)
    if wished_ms is None:
        return otherwise_s
    return min(max(wished_ms / 1000, SHORTEST_INTERVAL_S), LONGEST_INTERVAL_S)


def _checked(call: TaskCall, task: Mapping[str, Any], key: str) -> str:
    value = task.get(key)
    if not isinstance(value, str):
        raise MalformedResult(call.server, call.tool, f"a task without a {key!r}")
    return value
