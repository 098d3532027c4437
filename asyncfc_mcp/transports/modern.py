"""HTTP requests of clients without a session: one message in, one answer out.

Each is served in the one task that the web server gives it, and its answer is written once. The SDK's own end has three
tasks and a stream in between for it, which cost as much as the call. Whatever is unusual about a request is left to
that end, which says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup, TaskStatus
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundModernRoute,
    classify_inbound_request,
    validate_mcp_param_headers,
)
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import JSONRPCRequest
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from asyncfc_mcp.server.handlers import Handlers
from asyncfc_mcp.transports.contexts import RequestContext
from asyncfc_mcp.transports.envelopes import Envelopes
from asyncfc_mcp.transports.responses import Response, Watch, after, answer_to, usual_headers

_STREAM = "subscriptions/listen"


class ModernEnd:
    """Serves them.

    Args:
        handlers: answer MCP requests.
        sdk: the SDK's own end.
    """

    def __init__(self, handlers: Handlers, sdk: ASGIApp) -> None:
        self._handlers = handlers
        self._server = handlers.server
        self._sdk = sdk
        self._envelopes: Envelopes
        self._tasks: TaskGroup

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own what looks after clients, until cancelled."""
        async with self._server.lifespan(self._server) as state, anyio.create_task_group() as self._tasks:
            self._envelopes = Envelopes(self._server, state)
            task_status.started()
            await anyio.sleep_forever()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request: Any = Request(scope, receive)  # hashable, whatever its type says
        headers = usual_headers(request)
        if headers is None:
            await self._sdk(scope, receive, send)
            return
        body = await request.body()
        usual = self._read(body, headers)
        if usual is None:
            await self._sdk(scope, after(body, receive), send)
            return
        message, route = usual
        if message.method == "tools/call":
            self._handlers.expect_call(request)
        response = Response(send)
        watch = Watch(self._tasks, response, receive)
        try:
            answer = await self._answer(message, route, request, response)
        finally:
            watch.end()
            self._handlers.drop_call(request)
        fault = answer.get("error", {}).get("code")
        await response.end(answer, ERROR_CODE_HTTP_STATUS.get(fault, HTTPStatus.OK))

    def _read(self, body: bytes, headers: Mapping[str, str]) -> tuple[JSONRPCRequest, InboundModernRoute] | None:
        """The message and what its client says of itself; None where anything about it is unusual."""
        try:
            message = JSONRPCRequest.model_validate_json(body, by_name=False)
        except ValidationError:
            return None
        route = classify_inbound_request({"method": message.method, "params": message.params}, headers=headers)
        if not isinstance(route, InboundModernRoute) or message.method == _STREAM:
            return None
        return None if self._contradicts(message, headers) else (message, route)

    def _contradicts(self, message: JSONRPCRequest, headers: Mapping[str, str]) -> bool:
        """Whether a call's headers say something else than its arguments, where its tool wants both."""
        find = self._server.get_tool_input_schema
        if message.method != "tools/call" or find is None:
            return False
        params = message.params or {}
        name, arguments = params.get("name"), params.get("arguments")
        schema = find(name) if isinstance(name, str) else None
        if schema is None or not isinstance(arguments, dict | None):
            return False
        return validate_mcp_param_headers(schema, cast("dict[str, Any]", arguments or {}), headers) is not None

    async def _answer(
        self, message: JSONRPCRequest, route: InboundModernRoute, request: Request, response: Response
    ) -> dict[str, Any]:
        context = _OneRequest(
            TransportContext(kind="streamable-http", can_send_request=False, headers=request.headers),
            message.id,
            progress_token_from_params(message.params),
            ServerMessageMetadata(request_context=request),
            response,
        )
        return await answer_to(
            message, lambda: self._envelopes.runner(route).on_request(context, message.method, message.params)
        )


@dataclass(slots=True, eq=False)
class _OneRequest(RequestContext):
    """One request, whose client cancels it by going away."""

    message_metadata: ServerMessageMetadata
    response: Response
    can_send_request: bool = False

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,  # noqa: ARG002
        opts: CallOptions | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Servers send no requests to such clients."""
        raise NoBackChannelError(method)

    async def notify(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,  # noqa: ARG002
    ) -> None:
        """Tell the client something before its answer."""
        await self.response.event(method, params)
