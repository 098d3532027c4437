"""HTTP with server-sent events, the transport before streamable HTTP: a stream at `/sse`, messages at `/messages/`."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import ExitStack

import anyio
from mcp.server.sse import SseServerTransport
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Message, Receive, Scope, Send

from asyncfc_mcp.server.handlers import Handlers
from asyncfc_mcp.transports.access import Access
from asyncfc_mcp.transports.body import MOST_BODY_BYTES, BodyLimit
from asyncfc_mcp.transports.doorway import MESSAGES_PATH, SESSION_PARAMETER, NetworkDoorway
from asyncfc_mcp.transports.exchanges import Exchanges
from asyncfc_mcp.transports.listener import Listener
from asyncfc_mcp.transports.paths import pointing_to
from asyncfc_mcp.transports.sessions import OnSessionEnd, Sessions
from asyncfc_mcp.transports.traces import joined
from asyncfc_mcp.transports.twins import Twins

SSE_PATH = "/sse"
_ENDPOINT = re.compile(SESSION_PARAMETER.encode() + rb"=([0-9a-f]{32})")


async def serve_sse(
    handlers: Handlers,
    doorway: NetworkDoorway,
    listener: Listener,
    access: Access,
    on_session_end: OnSessionEnd,
    *,
    pages: Sequence[BaseRoute] = (),
    open_paths: Collection[str] = (),
) -> None:
    """Serve SSE until cancelled, and the pages beside it; those at `open_paths` need no token."""
    transport = SseServerTransport(MESSAGES_PATH, max_request_body_size=MOST_BODY_BYTES)
    stream = SseStream(handlers, transport, doorway.sessions)
    routes = [
        Route(SSE_PATH, endpoint=stream, methods=["GET"]),
        Mount(MESSAGES_PATH, app=transport.handle_post_message),
        *pages,
    ]
    app = Starlette(routes=routes, exception_handlers=pointing_to(SSE_PATH))
    exchanges = Exchanges(access.guarding(BodyLimit(app), open_paths))
    handlers.server.middleware.insert(0, joined)
    handlers.server.middleware += [exchanges.bound, Twins().once]
    async with anyio.create_task_group() as tasks:
        await tasks.start(doorway.sessions.run, on_session_end)
        await listener.serve(exchanges, exchanges.end)


class SseStream:
    """One stream is one session: it begins and ends with it."""

    def __init__(self, handlers: Handlers, transport: SseServerTransport, sessions: Sessions) -> None:
        self._handlers = handlers
        self._transport = transport
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it goes."""
        if (refusal := self._sessions.refusal) is not None:
            await refusal(scope, receive, send)
            return
        is_begun = False
        with ExitStack() as held:

            async def said(message: Message) -> None:
                nonlocal is_begun
                # the transport tells the client alone, in its first event, which session this is
                if not is_begun and (found := _ENDPOINT.search(message.get("body", b""))):
                    is_begun = True
                    self._begin(found[1].decode(), held)
                await send(message)

            async with self._transport.connect_sse(scope, receive, said) as (incoming, outgoing):
                await self._handlers.server.run(incoming, outgoing, self._handlers.options)

    def _begin(self, session: str, held: ExitStack) -> None:
        self._sessions.open(session)
        held.callback(self._sessions.end, session)
        held.enter_context(self._sessions.request(session))
        held.enter_context(self._sessions.stream(session))
