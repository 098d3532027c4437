"""The dispatcher under the SDK's session, with two things the session hides: a request's id and its raw result."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.abc
from mcp.shared.dispatcher import CallOptions, Dispatcher, OnNotify, OnNotifyIntercept, OnRequest
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp_types import RequestId

from asyncfc_mcp.downstream.link import Link


class Exchange:
    """One request and its answer, as they are on the wire."""

    def __init__(self) -> None:
        self.request_id: RequestId | None = None
        self.result: dict[str, Any] | None = None

    @contextmanager
    def recorded(self) -> Generator[None]:
        """The next request of this task is this one."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Exchange | None] = ContextVar("asyncfc_exchange", default=None)


class RecordingDispatcher(Dispatcher[TransportContext]):
    """The SDK's dispatcher, giving out the request ids and noting raw results."""

    def __init__(self, link: Link) -> None:
        self._inner: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(link.read, link.write)
        self._lost = link.lost
        self._ids = itertools.count(1)
        self.calls_waiting = 0
        """Recorded requests whose answer has not come yet."""

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Send a request under an id of ours, unless the session chose one."""
        options: CallOptions = {**(opts or {})}
        request_id = options.setdefault("request_id", next(self._ids))
        exchange = _current.get()
        if exchange is None:
            return await self._inner.send_raw_request(method, params, options)
        exchange.request_id = request_id
        self.calls_waiting += 1
        try:
            exchange.result = await self._inner.send_raw_request(method, params, options)
        finally:
            self.calls_waiting -= 1
        return exchange.result

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Send a notification as it is."""
        await self._inner.notify(method, params, opts)

    async def cancel(self, exchange: Exchange, reason: str) -> None:
        """Ask the server to cancel a request whose answer is still waited for."""
        await self.notify("notifications/cancelled", {"requestId": exchange.request_id, "reason": reason})

    async def run(
        self,
        on_request: OnRequest,
        on_notify: OnNotify,
        on_notify_intercept: OnNotifyIntercept | None = None,
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Receive until the link ends, then say so."""
        try:
            await self._inner.run(on_request, on_notify, on_notify_intercept, task_status=task_status)
        finally:
            self._lost.set()
