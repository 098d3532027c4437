"""Streamable HTTP at `/mcp`: clients of the handshake era in sessions, later ones without, on one end point."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asyncfc_mcp.server.doorway import Context
from asyncfc_mcp.server.handlers import Handlers
from asyncfc_mcp.transports.access import Access
from asyncfc_mcp.transports.body import MOST_BODY_BYTES, BodyLimit
from asyncfc_mcp.transports.doorway import SESSION_HEADER, NetworkDoorway
from asyncfc_mcp.transports.exchanges import Exchanges
from asyncfc_mcp.transports.listener import Listener
from asyncfc_mcp.transports.modern import ModernEnd
from asyncfc_mcp.transports.paths import pointing_to
from asyncfc_mcp.transports.replays import Replays
from asyncfc_mcp.transports.session_calls import SessionCalls
from asyncfc_mcp.transports.sessions import OnSessionEnd, Sessions
from asyncfc_mcp.transports.traces import joined

MCP_PATH = "/mcp"
_LAST_EVENT_ID = b"last-event-id"
_OK = 200
_NOT_FOUND = 404


async def serve_http(
    handlers: Handlers,
    doorway: NetworkDoorway,
    listener: Listener,
    access: Access,
    on_session_end: OnSessionEnd,
    *,
    pages: Sequence[BaseRoute] = (),
    open_paths: Collection[str] = (),
) -> None:
    """Serve streamable HTTP until cancelled, and the pages beside it; those at `open_paths` need no token."""
    manager = StreamableHTTPSessionManager(
        handlers.server,
        session_idle_timeout=None,  # it does not see the calls of a session; `Sessions` does
        max_request_body_size=MOST_BODY_BYTES,
    )
    modern = ModernEnd(handlers, manager.asgi_app)
    calls = SessionCalls(handlers, manager.asgi_app, doorway.sessions)
    mcp = _ByEra(modern, Replays(SessionTracking(calls, doorway.sessions)))
    app = Starlette(routes=[Route(MCP_PATH, endpoint=mcp), *pages], exception_handlers=pointing_to(MCP_PATH))
    exchanges = Exchanges(access.guarding(BodyLimit(_Shortcut(MCP_PATH, mcp, app)), open_paths))
    handlers.server.middleware.insert(0, joined)
    handlers.server.middleware += [exchanges.bound, _declaring(handlers)]

    def note_end(session: str) -> None:
        calls.end_session(session)
        on_session_end(session)

    async with manager.run(), anyio.create_task_group() as tasks:
        await tasks.start(modern.run)
        await tasks.start(calls.run)
        await tasks.start(doorway.sessions.run, note_end, partial(_end, manager.asgi_app))
        await listener.serve(exchanges, exchanges.end)


class _ByEra:
    """Leads requests without sessions past what is there for sessions."""

    def __init__(self, modern: ASGIApp, legacy: ASGIApp) -> None:
        self._modern = modern
        self._legacy = legacy

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        is_modern = Headers(scope=scope).get(MCP_PROTOCOL_VERSION_HEADER) in MODERN_PROTOCOL_VERSIONS
        return (self._modern if is_modern else self._legacy)(scope, receive, send)


class _Shortcut:
    """Leads requests for one path past the layers of the web application, which knows it as well."""

    def __init__(self, path: str, there: ASGIApp, app: ASGIApp) -> None:
        self._path = path
        self._there = there
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        return (self._there if scope["path"] == self._path else self._app)(scope, receive, send)


class SessionTracking:
    """Reads off requests and their responses which sessions there are."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, of a session or not."""
        # nothing is kept for a replay, and the SDK would not answer at all: a client that comes back gets a new stream
        scope = {**scope, "headers": [one for one in scope["headers"] if one[0] != _LAST_EVENT_ID]}
        headers = Headers(scope=scope)
        session = headers.get(SESSION_HEADER)
        # only the request that opens a session names none, and no revision either
        is_opening = session is None and MCP_PROTOCOL_VERSION_HEADER not in headers
        if is_opening and (refusal := self._sessions.refusal) is not None:
            await refusal(scope, receive, send)
            return
        with ExitStack() as held:

            async def said(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._note_response(scope, session, message, held)
                await send(message)

            with self._sessions.request(session) if session is not None else _nothing():
                await self._app(scope, receive, said)

    def _note_response(self, scope: Scope, session: str | None, message: Message, held: ExitStack) -> None:
        status, method = message["status"], scope["method"]
        if session is None:
            opened = Headers(raw=message.get("headers", [])).get(SESSION_HEADER)
            if status == _OK and opened is not None:
                self._sessions.open(opened, scope.get("user"))
        elif status == _NOT_FOUND or (method == "DELETE" and status == _OK):
            self._sessions.end(session)
        elif method == "GET" and status == _OK:
            held.enter_context(self._sessions.stream(session))


async def _end(sdk: ASGIApp, session: str, user: object) -> None:
    """End a session as its client would, which is the only way that the SDK has for that."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "DELETE",
        "path": MCP_PATH,
        "query_string": b"",
        "headers": [(SESSION_HEADER.encode(), session.encode())],
        "user": user,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        """Nobody reads it."""

    await sdk(scope, receive, send)


def _declaring(handlers: Handlers) -> ServerMiddleware[Any]:
    """Have sessions declare what every other transport does: the SDK's manager takes no options for that."""

    async def declare(ctx: Context, call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method != "initialize" or not isinstance(result, dict):
            return result
        options = handlers.options
        capabilities = options.capabilities.model_dump(by_alias=True, mode="json", exclude_none=True)
        declared: dict[str, Any] = {**result, "capabilities": capabilities}
        return {**declared, "instructions": options.instructions} if options.instructions else declared

    return declare


@contextmanager
def _nothing() -> Generator[None]:
    yield
