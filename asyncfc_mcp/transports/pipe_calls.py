"""The tool calls of a client on a pipe: each is begun as it is read, in the one task that answers it.

Nearly all that a client sends is calls. The SDK's dispatcher, which has all the rest, hands each request through a
stream and two layers of tasks and contexts, which took longer than reading and writing it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import ObjectSendStream
from mcp.server.runner import modern_error_data
from mcp.shared.dispatcher import CallOptions, OnRequest, coerce_request_id
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.jsonrpc_dispatcher import (
    JSONRPCDispatcher,
    cancelled_request_id_from_params,
    progress_token_from_params,
)
from mcp.shared.message import SessionMessage
from mcp.shared.transport_context import TransportContext
from mcp_types import (
    CONNECTION_CLOSED,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)

from asyncfc_mcp.gateway.task_group import TaskGroup
from asyncfc_mcp.transports.contexts import RequestContext
from asyncfc_mcp.transports.incoming import Incoming

_LAST_ANSWER_S = 1.0
"""How long the client may take to be told that it gets no answer, when we end."""
_CLOSED = ErrorData(code=CONNECTION_CLOSED, message="Connection closed")


class PipeCalls:
    """Serves them.

    Args:
        dispatcher: the SDK's, for what is said to the client in the course of a call.
        outgoing: takes the answers.
        on_request: answers a request.
        transport: what requests are told of the pipe.
        may_begin: whether the client may call yet; the SDK says what is wrong where it may not.
    """

    def __init__(
        self,
        dispatcher: JSONRPCDispatcher[TransportContext],
        outgoing: ObjectSendStream[SessionMessage],
        on_request: OnRequest,
        transport: TransportContext,
        may_begin: Callable[[], bool] = lambda: True,
    ) -> None:
        self._dispatcher = dispatcher
        self._outgoing = outgoing
        self._on_request = on_request
        self._transport = transport
        self._may_begin = may_begin
        self._in_flight: dict[RequestId, _Call] = {}
        self._tasks: TaskGroup

    @asynccontextmanager
    async def served(self, incoming: Incoming) -> AsyncGenerator[None]:
        """While calls are taken from there; those that have no answer at the end are told so."""
        async with TaskGroup() as self._tasks:
            incoming.first_offered_to = self._take
            try:
                yield
            finally:
                incoming.first_offered_to = lambda _: False

    def _take(self, message: JSONRPCMessage) -> bool:
        """Whether it is a call, which has begun with that."""
        if not isinstance(message, JSONRPCRequest) or message.method != "tools/call" or not self._may_begin():
            return False
        call = _Call(self._transport, message.id, progress_token_from_params(message.params), self._dispatcher)
        self._in_flight[coerce_request_id(message.id)] = call
        call.scope = self._tasks.start(self._serve, message, call)
        return True

    def hear(self, method: str, params: Mapping[str, Any] | None) -> bool:
        """End the call that a notification cancels, without an answer. False: the notification is for others, too."""
        meant = cancelled_request_id_from_params(params) if method == "notifications/cancelled" else None
        call = self._in_flight.get(coerce_request_id(meant)) if meant is not None else None
        if call is not None and call.scope is not None:
            call.is_cancelled = True
            call.scope.cancel()
        return False

    async def _serve(self, request: JSONRPCRequest, call: _Call) -> None:
        try:
            answer = await self._answer(request, call)
        except anyio.get_cancelled_exc_class():
            if not call.is_cancelled:
                with anyio.move_on_after(_LAST_ANSWER_S, shield=True):
                    await self._send(JSONRPCError(jsonrpc="2.0", id=request.id, error=_CLOSED))
            raise
        if not call.is_cancelled:
            await self._send(answer)

    async def _answer(self, request: JSONRPCRequest, call: _Call) -> JSONRPCResponse | JSONRPCError:
        try:
            result = await self._on_request(call, request.method, request.params)
        except Exception as error:  # noqa: BLE001  the SDK says what of it a client may see
            return JSONRPCError(jsonrpc="2.0", id=request.id, error=modern_error_data(error))
        finally:
            call.is_over = True
            key = coerce_request_id(request.id)
            if self._in_flight.get(key) is call:  # a client may use an id twice
                del self._in_flight[key]
        return JSONRPCResponse(jsonrpc="2.0", id=request.id, result=result)

    async def _send(self, answer: JSONRPCResponse | JSONRPCError) -> None:
        try:
            await self._outgoing.send(SessionMessage(answer))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody reads it


@dataclass(slots=True, eq=False)
class _Call(RequestContext):
    """One call, and what ends it."""

    dispatcher: JSONRPCDispatcher[TransportContext]
    message_metadata: None = None
    is_over: bool = False
    is_cancelled: bool = False
    scope: anyio.CancelScope | None = None
    """Around its handler."""

    @property
    def can_send_request(self) -> bool:
        """Whether the client takes requests in the course of this one."""
        return self.transport.can_send_request and not self.is_over

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Ask the client."""
        if not self.can_send_request:
            raise NoBackChannelError(method)
        return await self.dispatcher.send_raw_request(method, params, opts)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Tell the client something before its answer."""
        if not self.is_over:
            await self.dispatcher.notify(method, params, opts)
