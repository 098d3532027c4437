"""The HTTP requests that are being served: what ends with a client that goes, and how all of them end with us.

The SDK lets a call of a 2025 client run on after its request was dropped; here it ends, as on every other transport:
nobody could ever be told its token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import anyio
import structlog
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asyncfc_mcp.server.doorway import Context

_EXCHANGE_KEY = "asyncfc_mcp.exchange"
REQUEST_CANCELLED = -32800
_END_S = 0.2
"""How long requests may take to end by themselves when we end."""

log = structlog.get_logger()


class Exchange:
    """One HTTP request and its response."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._receiving: anyio.CancelScope | None = None
        self._is_left = False
        self._is_answered = False
        self.has_started = False
        self.is_lost = False
        """Whether its client has gone before it was answered."""
        self.on_lost: Callable[[], None] | None = None
        """Called when its client has gone before it was answered."""
        self.wait_for_return: Callable[[], Awaitable[None]] | None = None
        """What is waited for when its client has gone, before its call ends: it may come back for the answer."""
        self.on_cancelled: Callable[[], None] | None = None
        """Called when the MCP request that it brought is cancelled, which is then never answered."""
        self.serving = anyio.CancelScope()
        self.call = anyio.CancelScope()
        """Around the handler of the MCP request that it brought."""

    async def receive(self) -> Message:
        """A part of the request, or the end of its connection."""
        message: Message = {"type": "http.disconnect"}
        if not self._is_left:
            with anyio.CancelScope() as self._receiving:
                message = await self._receive()
        if message["type"] == "http.disconnect" and not self._is_answered:
            await self._lose_client()
        return message

    async def _lose_client(self) -> None:
        if not self._is_left:
            self._note_loss()
            if self.wait_for_return is not None:
                with anyio.CancelScope() as self._receiving:
                    await self.wait_for_return()
        if not self._is_answered:
            self.call.cancel()

    def _note_loss(self) -> None:
        self.is_lost = True
        if self.on_lost is not None:
            self.on_lost()

    def look(self) -> None:
        """Notice now whether its client has gone, whoever waits for that."""
        # one step of what would wait for it: to cancel such a wait takes as long as a tenth of a call
        receiving = cast("Coroutine[Any, Any, Message]", self._receive())
        try:
            receiving.send(None)
        except StopIteration as received:
            if received.value["type"] == "http.disconnect":
                self._note_loss()
        finally:
            receiving.close()

    async def send(self, message: Message) -> None:
        """A part of the response."""
        self.has_started = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_answered = True
        await self._send(message)

    def leave(self) -> None:
        """Have whoever serves it believe that its client has gone: what then ends leaves nothing open."""
        self._is_left = True
        if self._receiving is not None:
            self._receiving.cancel()


class Exchanges:
    """Serves an application; can end all that it is doing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: set[Exchange] = set()
        self._calls: set[anyio.CancelScope] = set()
        self._is_ending = False
        self._ended = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        exchange = Exchange(receive, send)
        if not self._is_ending:
            self._open.add(exchange)
            try:
                with exchange.serving:
                    await self._serve(exchange, {**scope, _EXCHANGE_KEY: exchange})
            finally:
                self._open.discard(exchange)
                if self._is_ending and not self._open:
                    self._ended.set()
        if self._is_ending and not exchange.has_started:
            await PlainTextResponse("The gateway is ending.\n", 503)(scope, receive, send)

    async def _serve(self, exchange: Exchange, scope: Scope) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            log.debug("client_gone", path=scope["path"])
        except Exception:  # one broken request must not be more than that
            log.exception("http_request_broke", method=scope["method"], path=scope["path"])
            if not exchange.has_started:
                text = "The gateway itself failed; its log says why.\n"
                await PlainTextResponse(text, 500)(scope, exchange.receive, exchange.send)

    async def bound(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """End a handler with the HTTP request that brought it; a middleware of the MCP server."""
        exchange = exchange_of(ctx)
        if exchange is None or ctx.request_id is None:
            return await call_next(ctx)
        self._calls.add(exchange.call)
        try:
            with exchange.call:
                return await self._answer(exchange, ctx, call_next)
        finally:
            self._calls.discard(exchange.call)
        raise MCPError(REQUEST_CANCELLED, "The gateway is ending" if self._is_ending else "Request cancelled")

    async def _answer(self, exchange: Exchange, ctx: Context, call_next: CallNext) -> HandlerResult:
        try:
            return await call_next(ctx)
        except anyio.get_cancelled_exc_class():
            if exchange.on_cancelled is not None:
                exchange.on_cancelled()
            raise

    async def end(self) -> None:
        """End every call and every request; those that do not end by themselves are cut off."""
        self._is_ending = True
        for exchange in self._open:  # their clients can come back to whatever takes our place
            exchange.is_lost = True
        # before their sessions: one that is cut off under a running handler waits a second for nobody to hear it
        for call in list(self._calls):
            call.cancel()
        for exchange in list(self._open):
            exchange.leave()
        with anyio.move_on_after(_END_S):
            if self._open:
                await self._ended.wait()
        for exchange in list(self._open):
            exchange.serving.cancel()


def exchange_in(scope: Scope) -> Exchange | None:
    """The exchange that an application is serving."""
    return scope.get(_EXCHANGE_KEY)


def request_of(context: Context) -> Request[Any] | None:
    """The HTTP request that brought an MCP request."""
    request: Any = context.request
    return cast("Request[Any]", request) if isinstance(request, Request) else None


def exchange_of(context: Context) -> Exchange | None:
    """The exchange that brought an MCP request."""
    request = request_of(context)
    return exchange_in(request.scope) if request is not None else None
