"""The requests whose answers are taken off the wire before the SDK's dispatcher sees them.

Calls are nearly all that goes to a server, so they go the short way: one message out, one future that its answer
resolves, no stream and no task for each. Everything else on the link is the dispatcher's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import structlog
from anyio.abc import ObjectReceiveStream
from mcp.client._transport import ReadStream, WriteStream  # TransportStreams has no public home
from mcp.shared.dispatcher import CallOptions, ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)
from opentelemetry import propagate, trace
from opentelemetry.context import get_current
from opentelemetry.trace import Span, SpanKind, StatusCode

from asyncfc_mcp.downstream.links.arrivals import Arrivals
from asyncfc_mcp.downstream.links.link import ShortWay
from asyncfc_mcp.downstream.progress import ProgressSaid, progress_said

_TURNS_FOR_PROGRESS = 20
"""Of the event loop, for what a server said before its answer; a listener that takes longer does not hold that up."""
_LAST_WORD_S = 5.0
"""How long a link may take for the notice that a request is given up."""

_tracer = trace.get_tracer("asyncfc_mcp")
_NO_SPAN = nullcontext(trace.INVALID_SPAN)

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Waiter:
    answer: asyncio.Future[dict[str, Any] | ErrorData]
    on_progress: ProgressFnT | None
    untold: int = 0
    """Progress that has come and is on its way to whoever listens."""
    on_short_way: anyio.CancelScope | None = None
    """Around what is being sent that way."""


class Answers:
    """Correlates requests and answers on one link.

    Args:
        read: what comes from the server.
        write: the way to it.
        short_way: the one without streams, where there is one.
    """

    def __init__(
        self,
        read: ReadStream[SessionMessage | Exception],
        write: WriteStream[SessionMessage],
        short_way: ShortWay | None = None,
    ) -> None:
        self._write = write
        self._short_way = short_way
        self._waiters: dict[str, _Waiter] = {}
        self._is_over = False
        if isinstance(read, Arrivals):
            read.first_offered_to = self.take
        self.others: ReadStream[SessionMessage | Exception] = _Others(read, self)
        """All that comes but the answers to requests that were sent here."""

    async def request(
        self, request_id: RequestId, method: str, params: Mapping[str, Any] | None, options: CallOptions
    ) -> dict[str, Any]:
        """Send a request and wait for its answer; the server is told when this is cancelled meanwhile.

        Raises:
            MCPError: what the server answered, or CONNECTION_CLOSED.
        """
        with _span(method, params, request_id) as span:
            # what is cancelled before it was sent must not be sent any more
            await anyio.lowlevel.checkpoint_if_cancelled()
            message = _message(request_id, method, params, options)
            waiter = _Waiter(asyncio.get_running_loop().create_future(), options.get("on_progress"))
            # answers may write the id as text; a key is one and the same for both
            self._waiters[str(request_id)] = waiter
            try:
                outcome = await self._outcome(message, waiter)
            except anyio.get_cancelled_exc_class():
                if options.get("cancel_on_abandon", True):  # the protocol forbids to cancel a handshake
                    await self._give_up(request_id)
                raise
            finally:
                del self._waiters[str(request_id)]
            if isinstance(outcome, ErrorData) and outcome is not _CLOSED:
                _note_error(span, outcome)
        if isinstance(outcome, dict):
            return outcome
        # outside of the span, which would keep the traceback
        raise MCPError(code=outcome.code, message=outcome.message, data=outcome.data)

    async def _outcome(self, message: SessionMessage, waiter: _Waiter) -> dict[str, Any] | ErrorData:
        if self._is_over:
            return _CLOSED
        try:
            if self._short_way is not None and self._short_way.takes(message):
                await self._send_short(self._short_way, message, waiter)
            else:
                await self._write.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return _CLOSED
        outcome = await waiter.answer
        for _ in range(_TURNS_FOR_PROGRESS):  # what came before the answer goes first, unless nobody takes it
            if not waiter.untold:
                break
            await asyncio.sleep(0)
        return outcome

    async def _send_short(self, short_way: ShortWay, message: SessionMessage, waiter: _Waiter) -> None:
        with anyio.CancelScope() as waiter.on_short_way:
            answer = await short_way.send(message)
            if answer is not None and not waiter.answer.done():
                waiter.answer.set_result(answer.result)

    def abort(self, request_id: RequestId) -> None:
        """Stop sending a request that goes the short way, which has its server cancel it."""
        waiter = self._waiters.get(str(request_id))
        if waiter is not None and waiter.on_short_way is not None:
            waiter.on_short_way.cancel()

    async def _give_up(self, request_id: RequestId) -> None:
        params = {"requestId": request_id, "reason": "caller cancelled"}
        notice = JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params=params)
        with anyio.move_on_after(_LAST_WORD_S, shield=True):
            try:
                await self._write.send(SessionMessage(notice))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    def take(self, said: JSONRPCMessage) -> bool:
        """Whether it was the answer to a request that was sent here."""
        if not isinstance(said, JSONRPCResponse | JSONRPCError):
            return False
        waiter = self._waiters.get(str(said.id))
        if waiter is None:
            return False
        if not waiter.answer.done():
            waiter.answer.set_result(said.result if isinstance(said, JSONRPCResponse) else said.error)
        return True

    def progress(self, params: Mapping[str, Any]) -> Callable[[], Coroutine[Any, Any, None]] | None:
        """What passes on the progress of a request that was sent here; None for any other."""
        token, said = params.get("progressToken"), progress_said(params)
        waiter = self._waiters.get(str(token)) if isinstance(token, str | int) else None
        if waiter is None or waiter.on_progress is None or said is None:
            return None
        waiter.untold += 1
        return partial(_pass_on, waiter, waiter.on_progress, said)

    def end(self) -> None:
        """Nothing more comes from the server."""
        self._is_over = True
        for waiter in self._waiters.values():
            if not waiter.answer.done():
                waiter.answer.set_result(_CLOSED)
            if waiter.on_short_way is not None:
                waiter.on_short_way.cancel()


_CLOSED = ErrorData(code=CONNECTION_CLOSED, message="Connection closed")


class _Others(ObjectReceiveStream[SessionMessage | Exception]):
    """A stream without the messages that `answers` takes."""

    def __init__(self, read: ReadStream[SessionMessage | Exception], answers: Answers) -> None:
        self._read = read
        self._answers = answers

    @property
    def last_context(self) -> Context | None:
        """The context in which the last message was sent, where the stream knows it."""
        return getattr(self._read, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        try:
            while not isinstance(message := await self._read.receive(), Exception):
                if not self._answers.take(message.message):
                    break
        except anyio.EndOfStream:
            self._answers.end()
            raise
        return message

    async def aclose(self) -> None:
        await self._read.aclose()


def _message(
    request_id: RequestId, method: str, params: Mapping[str, Any] | None, options: CallOptions
) -> SessionMessage:
    said = dict(params or {})
    meta: dict[str, Any] = dict(said.get("_meta") or {})
    if options.get("on_progress") is not None:
        meta["progressToken"] = request_id
    if get_current():  # of nothing, nothing goes on
        propagate.inject(meta)
    if meta:
        said["_meta"] = meta
    request = JSONRPCRequest(jsonrpc="2.0", id=request_id, method=method, **({"params": said} if said else {}))
    headers = options.get("headers")
    return SessionMessage(request, ClientMessageMetadata(headers=headers) if headers else None)


def _span(method: str, params: Mapping[str, Any] | None, request_id: RequestId) -> AbstractContextManager[Span]:
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NO_SPAN  # nobody traces
    name = (params or {}).get("name")
    return _tracer.start_as_current_span(
        f"MCP send {method} {name}" if isinstance(name, str) else f"MCP send {method}",
        kind=SpanKind.CLIENT,
        attributes={"mcp.method.name": method, "jsonrpc.request.id": str(request_id)},
    )


def _note_error(span: Span, error: ErrorData) -> None:
    span.set_attributes({"error.type": str(error.code), "rpc.response.status_code": str(error.code)})
    span.set_status(StatusCode.ERROR)  # without the message, which repeats what the server has said


async def _pass_on(waiter: _Waiter, on_progress: ProgressFnT, said: ProgressSaid) -> None:
    try:
        await on_progress(*said)
    except Exception:  # a listener that breaks must not end the connection
        log.exception("progress_not_passed_on")
    finally:
        waiter.untold -= 1
