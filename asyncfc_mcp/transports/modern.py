"""HTTP requests of clients without a session: one message in, one answer out.

Each is served in the one task that the web server gives it, and its answer is written once. The SDK's own end has three
tasks and a stream in between for it, which cost as much as the call. Whatever is unusual about a request is left to
that end, which says what is wrong with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus
from mcp.server.runner import modern_error_data
from mcp.server.streamable_http import check_accept_headers
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
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asyncfc_mcp.server.handlers import Handlers
from asyncfc_mcp.transports.contexts import RequestContext
from asyncfc_mcp.transports.envelopes import Envelopes

PING_S = 15.0
"""After so long without a word the response says that it is alive, so that nothing on the way takes it for dead."""
_WATCHED_AFTER_S = 0.02
"""When a client is first looked after: most are answered by then."""
_STREAM = "subscriptions/listen"
_JSON_HEADER = (b"content-type", b"application/json")
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_OK = 200

log = structlog.get_logger()


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
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # only its length, where it says one and holds to it, bounds it; a name that comes twice may mean either value
        is_bounded = "content-length" in headers and "transfer-encoding" not in headers
        is_usual = is_bounded and len(headers) == len(scope["headers"])
        if not (is_usual and request.method == "POST" and _is_json(headers) and all(check_accept_headers(request))):
            await self._sdk(scope, receive, send)
            return
        body = await request.body()
        usual = self._read(body, headers)
        if usual is None:
            await self._sdk(scope, _after(body, receive), send)
            return
        message, route = usual
        if message.method == "tools/call":
            self._handlers.expect_call(request)
        response = _Response(send)
        watch = _Watch(self._tasks, response, receive)
        try:
            answer = await self._answer(message, route, request, response)
        finally:
            watch.end()
            self._handlers.drop_call(request)
        await response.end(answer)

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
        self, message: JSONRPCRequest, route: InboundModernRoute, request: Request, response: _Response
    ) -> dict[str, Any]:
        context = _OneRequest(
            TransportContext(kind="streamable-http", can_send_request=False, headers=request.headers),
            message.id,
            progress_token_from_params(message.params),
            ServerMessageMetadata(request_context=request),
            response,
        )
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message.id}
        try:
            runner = self._envelopes.runner(route)
            answer["result"] = await runner.on_request(context, message.method, message.params)
        except Exception as error:  # noqa: BLE001  the SDK says what of it a client may see
            answer["error"] = modern_error_data(error).model_dump(by_alias=True, mode="json", exclude_none=True)
        return answer


class _Watch:
    """Notices that a client goes while it waits, and has it notice that we have not."""

    def __init__(self, tasks: TaskGroup, response: _Response, receive: Receive) -> None:
        self._tasks = tasks
        self._response = response
        self._receive = receive
        self._watching: anyio.CancelScope | None = None
        self._beginning = asyncio.get_running_loop().call_later(_WATCHED_AFTER_S, self._begin)

    def end(self) -> None:
        """The client has its answer."""
        self._beginning.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _begin(self) -> None:
        if self._tasks.cancel_scope.cancel_called:
            return  # we end, and the request with us
        self._watching = anyio.CancelScope()
        self._tasks.start_soon(self._watch, self._watching)

    async def _watch(self, watching: anyio.CancelScope) -> None:
        with watching:
            while True:
                with anyio.move_on_after(PING_S):
                    while (await self._receive())["type"] != "http.disconnect":
                        pass
                    return
                try:
                    await self._response.ping()
                except Exception:  # of one response; the task group is that of all
                    log.exception("ping_broke")
                    return


class _Response:
    """What the client gets: an answer, or a stream of events that ends with it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._turn: anyio.Lock | None = None
        """Of those who write to the stream, once it is to be one."""
        self._is_stream = False
        """Whether it has begun to be one: whoever wants to begin it may be cancelled while there is no room."""
        self._is_over = False

    async def event(self, message: Mapping[str, Any]) -> None:
        """Say something before the answer."""
        await self._stream(_as_event(message))

    async def ping(self) -> None:
        """Say that the connection is alive."""
        await self._stream(b": ping\r\n\r\n")

    async def end(self, answer: Mapping[str, Any]) -> None:
        """Give the answer; nothing follows it."""
        if self._turn is not None:
            async with self._turn:
                self._is_over = True
        if self._is_stream:
            await self._send({"type": "http.response.body", "body": _as_event(answer)})
            return
        self._is_over = True
        status = ERROR_CODE_HTTP_STATUS.get(answer["error"]["code"], _OK) if "error" in answer else _OK
        body = to_json(answer)
        length = (b"content-length", str(len(body)).encode())
        await self._send({"type": "http.response.start", "status": status, "headers": [_JSON_HEADER, length]})
        await self._send({"type": "http.response.body", "body": body})

    async def _stream(self, data: bytes) -> None:
        if self._is_over:
            return
        self._turn = self._turn or anyio.Lock(fast_acquire=True)
        async with self._turn:
            if self._is_over:
                return
            if not self._is_stream:
                await self._send({"type": "http.response.start", "status": _OK, "headers": _STREAM_HEADERS})
                self._is_stream = True
            await self._send({"type": "http.response.body", "body": data, "more_body": True})


@dataclass(slots=True, eq=False)
class _OneRequest(RequestContext):
    """One request, whose client cancels it by going away."""

    message_metadata: ServerMessageMetadata
    response: _Response
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
        said = {"params": params} if params is not None else {}
        await self.response.event({"jsonrpc": "2.0", "method": method, **said})


def _is_json(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("application/json")


def _after(body: bytes, receive: Receive) -> Receive:
    """A request whose body has been read, as if it had not been."""
    is_said = False

    async def again() -> Message:
        nonlocal is_said
        if is_said:
            return await receive()
        is_said = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _as_event(message: Mapping[str, Any]) -> bytes:
    # in ASCII: some clients take more characters for the end of a line than events have
    return f"event: message\r\ndata: {json.dumps(message, separators=(',', ':'))}\r\n\r\n".encode()
