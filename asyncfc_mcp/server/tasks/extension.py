"""The Tasks extension, `io.modelcontextprotocol/tasks`, towards clients: who gets a task, and what they may ask of it.

A task is a future and its id is the token, so that a model can pass it on as an argument. What is told of tasks on
`subscriptions/listen` streams is in `streams`.
"""

from __future__ import annotations

from typing import Any

import mcp_types as types
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER, decode_header_value
from starlette.requests import Request

from asyncfc_mcp.clients.tasks import TaskHost, task_host
from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.core.reference import clip
from asyncfc_mcp.core.token import normalise
from asyncfc_mcp.downstream.claims import TASKS_EXTENSION
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.server.doorway import Context, Doorway, is_modern
from asyncfc_mcp.server.results import future_meta
from asyncfc_mcp.server.tasks.shapes import TaskShapes, task_key
from asyncfc_mcp.server.tasks.streams import TaskStreams, declares_tasks, require_tasks
from asyncfc_mcp.server.wire import as_mcp_error


class TaskParams(types.RequestParams):
    """What every request about a task says."""

    task_id: str


class TaskUpdateParams(TaskParams):
    """Answers to what a task asks; each as it came, since reading it into a type would lose what that does not know."""

    input_responses: dict[str, dict[str, Any]]


class Tasks:
    """Hands out futures as tasks, and answers what clients ask of them.

    Args:
        gateway: has the futures.
        settings: who gets tasks.
        doorway: who is behind a request.
    """

    def __init__(self, gateway: Gateway, settings: GatewaySettings, doorway: Doorway) -> None:
        self._gateway = gateway
        self._mode = settings.tasks
        self._doorway = doorway
        self._shapes = TaskShapes(gateway)
        self._streams = TaskStreams(gateway, doorway, self._shapes)

    def register(self, server: Server[Any]) -> None:
        """Declare the extension and answer its requests, unless the user wants no tasks."""
        if self._mode == "off":
            return
        server.extensions[TASKS_EXTENSION] = {}
        server.middleware.append(self._streams.listening)
        server.add_request_handler("tasks/get", TaskParams, self._get)
        server.add_request_handler("tasks/update", TaskUpdateParams, self._update)
        server.add_request_handler("tasks/cancel", TaskParams, self._cancel)

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Own what is sent on streams until cancelled."""
        await self._streams.run(task_status=task_status)

    # Handing out

    def replaces_answer(self, context: Context, future: Future, *, is_its_own_request: bool = False) -> bool:
        """Whether this request is to be answered with the future as a task; the same one when a call comes again."""
        if self._mode == "off" or not declares_tasks(context):
            return False
        if future.policy.mode == "sync":
            return False
        if self._shapes.is_given(future):
            return is_its_own_request
        host = _host_of(context)
        if host is None:
            return self._mode == "always"
        return self._shapes.given_in(future.caller.scope) < host.most_at_once

    def answer(self, future: Future) -> dict[str, Any]:
        """The result of a request that is answered with a task."""
        return {"resultType": "task", **self._shapes.give(future), "_meta": future_meta(future)}

    # Requests about tasks

    async def _get(self, context: Context, params: TaskParams) -> dict[str, Any]:
        caller, future = await self._asked_for(context, params)
        await self._load(future)
        task = self._shapes.detailed(caller, future, params.task_id)
        if future.record.is_settled and future.caller.scope == caller.scope:  # another chat's model has not seen it
            self._gateway.delivery.tell(future)
        return task

    async def _update(self, context: Context, params: TaskUpdateParams) -> dict[str, Any]:
        caller, future = await self._asked_for(context, params)
        self._provide(caller, future, params.input_responses)
        # a question that is still open makes no move that the client would be told of
        self._streams.tell(future)
        return {}

    async def _cancel(self, context: Context, params: TaskParams) -> dict[str, Any]:
        _, future = await self._asked_for(context, params)
        self._gateway.cancel((future,), "cancelled with tasks/cancel")
        try:
            await self._gateway.values.until_kept((future,))
        except GatewayError as error:
            raise as_mcp_error(error) from None
        return {}

    def _provide(self, caller: Caller, future: Future, responses: dict[str, dict[str, Any]]) -> None:
        """Take answers to what is open, in one request or several; a question is answered once it has all of them."""
        for question in self._shapes.questions(caller, future):
            named = {task_key(question, key): key for key in question.requests if key not in question.responses}
            mine = {name: responses[name] for name in named if name in responses}
            if len(mine) < len(named):
                question.responses.update({named[name]: response for name, response in mine.items()})
            else:
                self._gateway.provide(dict.fromkeys(mine, question.identity), mine)

    async def _load(self, future: Future) -> None:
        try:
            await self._gateway.values.load((future,))
        except GatewayError as error:
            raise as_mcp_error(error) from None

    async def _asked_for(self, context: Context, params: TaskParams) -> tuple[Caller, Future]:
        """Who asks, and for which future.

        Raises:
            MCPError: the request may not be made, or there is no such task for this caller.
        """
        if not is_modern(context):
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found", context.method)
        _check_name_header(context, params.task_id)
        require_tasks(context)
        caller = self._doorway.caller(context)
        token = normalise(params.task_id)
        if token is None:
            message = f"taskId {clip(params.task_id)!r} is not known: task ids are tokens such as fut_search_8k2m4x7qa"
            raise MCPError(types.INVALID_PARAMS, message)
        try:
            await self._gateway.recall(caller, token)
            return caller, self._gateway.get(caller, token)
        except GatewayError as error:
            raise as_mcp_error(error) from None


def _host_of(context: Context) -> TaskHost | None:
    client = context.session.client_params
    return task_host(client.client_info.name, client.client_info.version) if client is not None else None


def _check_name_header(context: Context, task_id: str) -> None:
    """See that what routes the request says the same as its body; the SDK does so for the methods that it knows.

    Raises:
        MCPError: it does not.
    """
    request: Any = context.request
    # no other transport has the headers of streamable HTTP, of which the SDK has checked this one
    if not isinstance(request, Request) or MCP_METHOD_HEADER not in request.headers:
        return
    if decode_header_value(request.headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(
            types.HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )
