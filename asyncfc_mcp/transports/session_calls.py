"""The tool calls of HTTP sessions: each is served in the one task that the web server gives it.

Nearly all that a client of the handshake era sends is calls. The SDK's transport, which has all the rest, takes nine
tasks and thirty turns of the event loop for each, and answers with a stream of events; here a call that is answered
before there is anything else to say is answered as JSON, which every client takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import Any, TypeGuard

import anyio
from anyio.abc import TaskGroup, TaskStatus
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, authorization_context
from mcp.server.runner import ServerRunner
from mcp.shared.dispatcher import CallOptions, coerce_request_id
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.jsonrpc_dispatcher import (
    cancelled_request_id_from_params,
    progress_token_from_params,
)
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import (
    PROTOCOL_VERSION_META_KEY,
    REQUEST_TIMEOUT,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind
from starlette.requests import Request
from starlette.responses import Response as PlainResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from asyncfc_mcp.downstream.links.messages import read_message
from asyncfc_mcp.server.handlers import Handlers
from asyncfc_mcp.transports.contexts import RequestContext
from asyncfc_mcp.transports.doorway import SESSION_HEADER
from asyncfc_mcp.transports.exchanges import Exchange, exchange_in
from asyncfc_mcp.transports.replays import body_in
from asyncfc_mcp.transports.responses import Response, Watch, answer_to, is_message
from asyncfc_mcp.transports.sessions import Sessions

_FIRST_QUESTION = 1_000_000_000
"""The SDK numbers what it asks the client of a session from 1 on; what is asked here must not be taken for that."""
_TAKE_BACK_S = 1.0
"""How long a client may take to be told that its answer is not waited for any more."""
_tracer = trace.get_tracer("asyncfc_mcp")


class SessionCalls:
    """Serves them.

    Args:
        handlers: answer MCP requests.
        sdk: the SDK's own end, which has the sessions.
        sessions: says who has opened each.
    """

    def __init__(self, handlers: Handlers, sdk: ASGIApp, sessions: Sessions) -> None:
        self._handlers = handlers
        self._sdk = sdk
        self._sessions = sessions
        self._known: dict[str, _Session] = {}
        self._state: Any = None
        self._tasks: TaskGroup

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own what watches clients, until cancelled."""
        server = self._handlers.server
        async with server.lifespan(server) as self._state, anyio.create_task_group() as self._tasks:
            task_status.started()
            await anyio.sleep_forever()

    def end_session(self, session: str) -> None:
        """It is over, and so are its calls."""
        known = self._known.pop(session, None)
        if known is not None:
            for exchange in list(known.in_flight.values()):
                exchange.call.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request: Any = Request(scope, receive)  # hashable, whatever its type says
        session, exchange = self._session(request), exchange_in(scope)
        message = _read(body_in(scope)) if session is not None else None
        if session is None or exchange is None:
            await self._sdk(scope, receive, send)
        elif _is_call(message) and is_message(request):
            await self._serve(session, message, request, exchange, send)
        elif isinstance(message, JSONRPCResponse | JSONRPCError) and session.hear(message):
            headers = {SESSION_HEADER: session.identity, "content-type": "application/json"}
            await PlainResponse(status_code=HTTPStatus.ACCEPTED, headers=headers)(scope, receive, send)
        else:
            if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
                session.cancel(message.params)
            await self._sdk(scope, receive, send)

    def _session(self, request: Request) -> _Session | None:
        """The session of a request; None where it is not known yet, or anything else is for the SDK to judge."""
        identity = request.headers.get(SESSION_HEADER, "")
        # the SDK's end of a session lives a little longer than that
        connection = self._handlers.connection(identity) if identity in self._sessions else None
        if connection is None or not connection.initialize_accepted:
            return None
        revision = request.headers.get(MCP_PROTOCOL_VERSION_HEADER, connection.protocol_version)
        is_opener = _credential(request.scope.get("user")) == _credential(self._sessions.opened_by(identity))
        if revision not in HANDSHAKE_PROTOCOL_VERSIONS or not is_opener:
            return None
        known = self._known.get(identity)
        if known is None or known.runner.connection is not connection:
            runner = ServerRunner(self._handlers.server, connection, self._state)
            known = self._known[identity] = _Session(identity, runner)
        return known

    async def _serve(
        self, session: _Session, message: JSONRPCRequest, request: Any, exchange: Exchange, send: Send
    ) -> None:
        self._handlers.expect_call(request)
        response = Response(send, [(SESSION_HEADER.encode(), session.identity.encode())])
        # as before, when all answers were streams: what is on the way may not like to wait for the head of a response
        watch = Watch(self._tasks, response, request.receive, opens_stream=True)
        key = coerce_request_id(message.id)
        session.in_flight[key] = exchange
        try:
            answer = await self._answer(session, message, request, response)
            exchange.look()
        finally:
            watch.end()
            self._handlers.drop_call(request)
            if session.in_flight.get(key) is exchange:  # a client may use an id twice
                del session.in_flight[key]
        await response.end(answer)

    async def _answer(
        self, session: _Session, message: JSONRPCRequest, request: Request, response: Response
    ) -> dict[str, Any]:
        call = _Call(
            TransportContext(kind="streamable-http", can_send_request=True, headers=request.headers),
            message.id,
            progress_token_from_params(message.params),
            ServerMessageMetadata(request_context=request),
            response,
            session,
        )
        try:
            return await answer_to(message, lambda: session.runner.on_request(call, message.method, message.params))
        finally:
            call.is_over = True


@dataclass(slots=True, eq=False)
class _Session:
    """What is under way for one client."""

    identity: str
    runner: ServerRunner[Any]
    in_flight: dict[RequestId, Exchange] = field(default_factory=dict[RequestId, Exchange])
    questions: dict[RequestId, asyncio.Future[JSONRPCResponse | JSONRPCError]] = field(
        default_factory=dict[RequestId, asyncio.Future[JSONRPCResponse | JSONRPCError]]
    )
    """Put to the client in the course of its calls, and not answered yet."""
    numbers: count[int] = field(default_factory=lambda: count(_FIRST_QUESTION))

    def hear(self, message: JSONRPCResponse | JSONRPCError) -> bool:
        """Whether it answers a question that was put here, which has its answer with that."""
        asked = self.questions.get(coerce_request_id(message.id)) if message.id is not None else None
        if asked is None:
            return False
        if not asked.done():
            asked.set_result(message)
        return True

    def cancel(self, params: Mapping[str, Any] | None) -> None:
        """End the call that a notification means, if it is served here."""
        meant = cancelled_request_id_from_params(params)
        exchange = self.in_flight.get(coerce_request_id(meant)) if meant is not None else None
        if exchange is not None:
            exchange.call.cancel()


@dataclass(slots=True, eq=False)
class _Call(RequestContext):
    """One call, and the way to its client while it is served."""

    message_metadata: ServerMessageMetadata
    response: Response
    session: _Session
    is_over: bool = False

    @property
    def can_send_request(self) -> bool:
        """Whether the client takes requests in the course of this one."""
        return not self.is_over

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Ask the client, which answers with a request of its own.

        Raises:
            NoBackChannelError: the call is over.
            MCPError: the client refuses, or does not answer in time.
        """
        if self.is_over:
            raise NoBackChannelError(method)
        number = next(self.session.numbers)
        asked = self.session.questions[number] = asyncio.get_running_loop().create_future()
        span = _tracer.start_as_current_span(
            f"MCP send {method}",
            kind=SpanKind.CLIENT,
            attributes={"mcp.method.name": method, "jsonrpc.request.id": str(number)},
            record_exception=False,  # it repeats what the client has said
            set_status_on_exception=False,
        )
        try:
            with span, anyio.fail_after((opts or {}).get("timeout")):
                await self.response.event(method, _in_trace(params), id=number)
                answer = await asked
        except TimeoutError:
            await self._take_back(number, "timed out")
            raise MCPError(REQUEST_TIMEOUT, f"Request {method!r} timed out") from None
        except anyio.get_cancelled_exc_class():
            await self._take_back(number, "cancelled")
            raise
        finally:
            del self.session.questions[number]
        if isinstance(answer, JSONRPCError):
            raise MCPError.from_error_data(answer.error)
        return answer.result

    async def _take_back(self, number: int, reason: str) -> None:
        with anyio.move_on_after(_TAKE_BACK_S, shield=True):
            await self.notify("notifications/cancelled", {"requestId": number, "reason": reason})

    async def notify(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,  # noqa: ARG002
    ) -> None:
        """Tell the client something before its answer."""
        if not self.is_over:
            await self.response.event(method, params)


def _read(body: bytes) -> JSONRPCMessage | None:
    try:
        return read_message(body) if body else None
    except ValueError:  # the SDK says what is wrong with it
        return None


def _is_call(message: JSONRPCMessage | None) -> TypeGuard[JSONRPCRequest]:
    """Whether it is a call as clients of sessions send them: without what clients without one say of themselves."""
    if not isinstance(message, JSONRPCRequest) or message.method != "tools/call":
        return False
    meta = (message.params or {}).get("_meta")
    return not (isinstance(meta, Mapping) and PROTOCOL_VERSION_META_KEY in meta)


def _credential(user: object) -> object:
    """What the SDK holds a session to: only who has opened one may use it."""
    return authorization_context(user) if isinstance(user, AuthenticatedUser) else None


def _in_trace(params: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The parameters of a question, and where its answer belongs for whoever traces."""
    carried: dict[str, Any] = {}
    propagate.inject(carried)
    if not carried:
        return params
    said = dict(params or {})
    return {**said, "_meta": {**(said.get("_meta") or {}), **carried}}
