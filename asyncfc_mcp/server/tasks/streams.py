"""`notifications/tasks`: what clients are told of their tasks on the `subscriptions/listen` streams that name them.

The stream itself is served like any other; here its acknowledgement gets the tasks, and they get a sender of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskGroup, TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.context import CallNext, HandlerResult
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY

from asyncfc_mcp.core.future import Move
from asyncfc_mcp.core.token import normalise
from asyncfc_mcp.downstream.claims import TASKS_EXTENSION
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.gateway.reporting import nameable
from asyncfc_mcp.server.doorway import Context, Doorway, is_modern
from asyncfc_mcp.server.sessions import MOST_WAITING
from asyncfc_mcp.server.tasks.shapes import TaskShapes

MOST_TASKS = 1024
"""That one stream may name."""

log = structlog.get_logger()


class TaskNotification(types.Notification[dict[str, Any], str]):
    """How a task stands."""

    method: str = "notifications/tasks"


def declares_tasks(context: Context) -> bool:
    """Whether the client says on this very request that it knows tasks."""
    declared = context.session.client_capabilities
    return is_modern(context) and declared is not None and TASKS_EXTENSION in (declared.extensions or {})


def require_tasks(context: Context) -> None:
    """Refuse a request about tasks whose client does not say that it knows them.

    Raises:
        MCPError: it does not.
    """
    if not declares_tasks(context):
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"Missing required client capability: declare the extension {TASKS_EXTENSION} on this request",
            {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}},
        )


@dataclass(slots=True, eq=False)
class _Stream:
    """The part of one `subscriptions/listen` request that is about tasks."""

    context: Context
    caller: Caller
    task_ids: dict[str, str]
    """From the identity of each future to the id under which the client named it."""
    outbox: MemoryObjectSendStream[dict[str, Any] | Future]
    """How a task stood; of one that has settled the future itself, since its value may first have to be loaded."""
    inbox: MemoryObjectReceiveStream[dict[str, Any] | Future]
    serving: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Around the request; cancelled when its client does not read."""
    sending: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def meta(self) -> dict[str, Any]:
        return {SUBSCRIPTION_ID_META_KEY: self.context.request_id}


class _AcknowledgingSession(ServerSession):
    """The session of a listen request, with an acknowledgement that names its tasks as well."""

    def __init__(self, session: ServerSession, task_ids: list[str], on_acknowledged: Callable[[], None]) -> None:
        vars(self).update(vars(session))
        self._task_ids = task_ids
        self._on_acknowledged = on_acknowledged

    async def send_notification(
        self, notification: types.ServerNotification, related_request_id: types.RequestId | None = None
    ) -> None:
        """Send a notification, the acknowledgement with the tasks in it."""
        if not isinstance(notification, types.SubscriptionsAcknowledgedNotification):
            await super().send_notification(notification, related_request_id)
            return
        honoured = notification.params.notifications.model_dump(by_alias=True, exclude_none=True)
        granted = types.SubscriptionFilter.model_validate({**honoured, "taskIds": self._task_ids})
        params = notification.params.model_copy(update={"notifications": granted})
        await super().send_notification(notification.model_copy(update={"params": params}), related_request_id)
        self._on_acknowledged()


class TaskStreams:
    """Tells clients of their tasks; nothing here waits for a client.

    Args:
        gateway: reports the moves of futures.
        doorway: who is behind a request.
        shapes: says how a task stands.
    """

    def __init__(self, gateway: Gateway, doorway: Doorway, shapes: TaskShapes) -> None:
        self._gateway = gateway
        self._doorway = doorway
        self._shapes = shapes
        self._open: dict[str, list[_Stream]] = {}
        """By the identity of a future."""
        self._senders: TaskGroup | None = None
        gateway.runner.listen(self._on_move)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the sender of each stream until cancelled."""
        async with anyio.create_task_group() as self._senders:
            task_status.started()
            await anyio.sleep_forever()

    async def listening(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Serve the tasks of a `subscriptions/listen` request beside what else it asks for; a middleware."""
        asked = _task_ids_in(ctx)
        if not asked:
            return await call_next(ctx)
        require_tasks(ctx)
        stream = await self._stream(ctx, asked)
        session = _AcknowledgingSession(ctx.session, list(stream.task_ids.values()), lambda: self._begin(stream))
        try:
            with stream.serving:
                return await call_next(replace(ctx, session=session))
            return {"resultType": "complete", "_meta": stream.meta}
        finally:
            self._end(stream)

    def tell(self, future: Future) -> None:
        """Tell those who listen how a task stands now."""
        for stream in list(self._open.get(future.call.future, ())):
            self._tell(stream, future)

    def _on_move(self, _: Move, future: Future) -> None:
        self.tell(future)

    async def _stream(self, context: Context, asked: list[str]) -> _Stream:
        caller = self._doorway.caller(context)
        task_ids: dict[str, str] = {}
        with suppress(GatewayError):  # nobody hears of what cannot be read here
            await self._gateway.recall(caller, asked)
        for task_id in asked:
            token = normalise(task_id)
            future = self._gateway.table.find(caller, token) if token is not None else None
            if future is not None:
                task_ids.setdefault(future.call.future, task_id)
        channel = anyio.create_memory_object_stream[dict[str, Any] | Future](MOST_WAITING + len(task_ids))
        return _Stream(context, caller, task_ids, *channel)

    def _begin(self, stream: _Stream) -> None:
        """Say how each task stands, since it may have ended before anybody listened, and from now on how it changes."""
        if self._senders is None:
            return
        for identity in stream.task_ids:
            self._open.setdefault(identity, []).append(stream)
            future = self._gateway.table.known(identity)
            if future is not None:
                self._tell(stream, future)
        self._senders.start_soon(self._send_all, stream)

    def _tell(self, stream: _Stream, future: Future) -> None:
        try:
            stream.outbox.send_nowait(future if future.record.is_settled else self._task(stream, future))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            log.debug("stream_has_ended", task=future.token)
        except anyio.WouldBlock:
            log.warning("client_does_not_read", dropped="notifications/tasks", effect="its stream has ended")
            stream.serving.cancel()

    def _task(self, stream: _Stream, future: Future) -> dict[str, Any]:
        task = self._shapes.detailed(stream.caller, future, stream.task_ids[future.call.future])
        return {**task, "_meta": stream.meta}

    async def _send_all(self, stream: _Stream) -> None:
        with stream.sending:
            async for told in stream.inbox:
                task = told if isinstance(told, dict) else await self._settled_task(stream, told)
                if task is not None:
                    notification = cast("types.ServerNotification", TaskNotification(params=task))
                    await stream.context.session.send_notification(notification, stream.context.request_id)

    async def _settled_task(self, stream: _Stream, future: Future) -> dict[str, Any] | None:
        try:
            await self._gateway.values.load((future,))
        except GatewayError as error:  # `tasks/get` says so
            log.warning("task_not_told", task=nameable(future), why=str(error))
            return None
        return self._task(stream, future)

    def _end(self, stream: _Stream) -> None:
        for identity in stream.task_ids:
            told = self._open.get(identity, [])
            if stream in told:
                told.remove(stream)
            if not told:
                self._open.pop(identity, None)
        stream.sending.cancel()
        stream.outbox.close()
        stream.inbox.close()


def _task_ids_in(context: Context) -> list[str]:
    """The tasks that a request wants to hear of.

    Raises:
        MCPError: it does not say so in the way of the extension.
    """
    if context.method != "subscriptions/listen" or not is_modern(context):
        return []
    wanted = (context.params or {}).get("notifications")
    task_ids: object = cast("dict[str, Any]", wanted).get("taskIds") if isinstance(wanted, dict) else None
    if task_ids is None:
        return []
    listed = cast("list[object]", task_ids) if isinstance(task_ids, list) else [None]
    if not all(isinstance(one, str) for one in listed):
        raise MCPError(types.INVALID_PARAMS, "notifications.taskIds must be a list of task ids")
    if len(listed) > MOST_TASKS:
        raise MCPError(types.INVALID_PARAMS, f"One stream takes {MOST_TASKS} tasks at most.")
    return cast("list[str]", listed)
