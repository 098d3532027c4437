"""The dispatcher under the SDK's session: what the session hides or would lose is seen and said here.

A request's id and its raw result, the capabilities that a request claims, whose calls are in flight, and the raw
requests and notifications of the server.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Protocol, cast

import anyio
import anyio.abc
from mcp.shared.dispatcher import CallOptions, DispatchContext, Dispatcher, OnNotify, OnNotifyIntercept, OnRequest
from mcp.shared.inbound import MCP_NAME_HEADER, encode_header_value
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.transport_context import TransportContext
from mcp_types import CLIENT_CAPABILITIES_META_KEY, LOG_LEVEL_META_KEY, RequestId

from asyncfc_mcp.downstream.answers import Answers
from asyncfc_mcp.downstream.claims import EVERYTHING, TASKS_EXTENSION, Claims
from asyncfc_mcp.downstream.links.link import Link
from asyncfc_mcp.downstream.tasks.book import TaskBook

_USER_REQUESTS = frozenset({"elicitation/create", "sampling/createMessage", "roots/list"})
"""What a legacy server may ask of the user behind a call."""
_SESSIONS_OWN = frozenset(
    {"notifications/progress", "notifications/cancelled", "notifications/subscriptions/acknowledged"}
)


class Exchange:
    """One request and its answer, as they are on the wire; used once."""

    def __init__(self, *, owner: object = None, claims: Claims | None = None, name: str | None = None) -> None:
        self.owner = owner
        self.claims = claims
        """What the request claims on a modern connection; by default what the connection does."""
        self.name = name
        """The `Mcp-Name` header, where the session does not know it from the method."""
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


class Ears(Protocol):
    """Who hears a server that speaks first; `owners` are those of the calls that it may mean, oldest first."""

    async def answer(
        self, owners: tuple[object, ...], method: str, params: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """Answer what a server asks of the user; None to leave it to the session."""
        ...

    def notified(self, owners: tuple[object, ...], method: str, params: Mapping[str, Any] | None) -> None:
        """Take a notification; must not raise."""
        ...


class RecordingDispatcher(Dispatcher[TransportContext]):
    """The SDK's dispatcher, giving out the request ids and noting raw results."""

    def __init__(
        self, link: Link, *, claims: Claims = EVERYTHING, ears: Ears | None = None, book: TaskBook | None = None
    ) -> None:
        self._answers = Answers(link.read, link.write, link.short_way)
        self._inner: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(self._answers.others, link.write)
        self._tasks: anyio.abc.TaskGroup | None = None
        self._lost = link.lost
        self._claims = claims
        self._ears = ears
        self._book = book or TaskBook()
        self._book.start_session()
        self._ids = itertools.count(1)
        self._owners: list[object] = []
        self._in_flight: set[Exchange] = set()

    @property
    def calls_waiting(self) -> int:
        """Recorded requests whose answer has not come yet."""
        return len(self._in_flight)

    @property
    def is_idle(self) -> bool:
        """Whether the server has nothing to do for us: no request waits for its answer, and no task for its end."""
        return not self._in_flight and self._book.is_empty

    @contextmanager
    def owned_by(self, owner: object) -> Generator[None]:
        """Something of that owner is in flight; twice if it is entered twice."""
        if owner is None:
            yield
            return
        self._owners.append(owner)
        try:
            yield
        finally:
            del self._owners[next(place for place, known in enumerate(self._owners) if known is owner)]

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Send a request under an id of ours, unless the session chose one."""
        options: CallOptions = {**(opts or {})}
        request_id = options.setdefault("request_id", next(self._ids))
        exchange = _current.get()
        # What a transport hands on runs in the context of the request that it came with, long after that was sent.
        if exchange is None or exchange.request_id is not None:
            return await self._inner.send_raw_request(method, _claiming(params, self._claims), options)
        exchange.request_id = request_id
        if exchange.name is not None:
            options["headers"] = {**options.get("headers", {}), MCP_NAME_HEADER: encode_header_value(exchange.name)}
        self._in_flight.add(exchange)
        try:
            params = _claiming(params, exchange.claims or self._claims)
            exchange.result = await self._answers.request(request_id, method, params, options)
        finally:
            self._in_flight.discard(exchange)
        return exchange.result

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Send a notification as it is."""
        await self._inner.notify(method, params, opts)

    def cancel(self, exchange: Exchange, reason: str) -> None:
        """Have the server asked to cancel a request whose answer is still waited for."""
        if exchange.request_id is not None:
            self._answers.abort(exchange.request_id)
        if self._tasks is not None:
            cancelled = {"requestId": exchange.request_id, "reason": reason}
            self._tasks.start_soon(self.notify, "notifications/cancelled", cancelled)

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
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                await self._inner.run(
                    self._answering(on_request),
                    self._hearing(on_notify),
                    self._intercepting(on_notify_intercept),
                    task_status=task_status,
                )
                tasks.cancel_scope.cancel()
        finally:
            self._tasks = None
            self._answers.end()
            self._lost.set()

    def _answering(self, on_request: OnRequest) -> OnRequest:
        async def answer(
            context: DispatchContext[TransportContext], method: str, params: Mapping[str, Any] | None
        ) -> dict[str, Any]:
            if self._ears is not None and method in _USER_REQUESTS:
                answered = await self._ears.answer(self._owners_meant(params), method, params)
                if answered is not None:
                    return answered
            return await on_request(context, method, params)

        return answer

    def _hearing(self, on_notify: OnNotify) -> OnNotify:
        async def hear(
            context: DispatchContext[TransportContext], method: str, params: Mapping[str, Any] | None
        ) -> None:
            if self._ears is None or method in _SESSIONS_OWN:
                await on_notify(context, method, params)
            else:
                # Nothing of it is left to the session: that would parse it, and drop what it does not know.
                self._ears.notified(self._owners_meant(params), method, _without_subscription(params))

        return hear

    def _intercepting(self, on_notify_intercept: OnNotifyIntercept | None) -> OnNotifyIntercept:
        def intercept(method: str, params: Mapping[str, Any] | None) -> bool:
            taken = self._book.take(method, params) or self._take_progress(method, params)
            return taken or (on_notify_intercept is not None and on_notify_intercept(method, params))

        return intercept

    def _take_progress(self, method: str, params: Mapping[str, Any] | None) -> bool:
        """Whether it is the progress of a request of ours; it is passed on in the background."""
        told = self._answers.progress(params) if method == "notifications/progress" and params is not None else None
        if told is not None and self._tasks is not None:
            self._tasks.start_soon(told)
        return told is not None

    def _owners_meant(self, params: Mapping[str, Any] | None) -> tuple[object, ...]:
        """On HTTP a message comes with the answer to one request, and so in its context; over pipes from anywhere."""
        if (owner := self._book.owner_of(params)) is not None:
            return (owner,)
        exchange = _current.get()
        if exchange is not None and exchange in self._in_flight and exchange.owner is not None:
            return (exchange.owner,)
        seen: dict[int, object] = {id(owner): owner for owner in self._owners}
        return tuple(seen.values())


def _claiming(params: Mapping[str, Any] | None, claims: Claims) -> Mapping[str, Any] | None:
    meta = (params or {}).get("_meta")
    if params is None or not isinstance(meta, Mapping) or CLIENT_CAPABILITIES_META_KEY not in meta:
        return params
    said: dict[str, Any] = {**meta, CLIENT_CAPABILITIES_META_KEY: modern_capabilities(claims)}
    if claims.log_level is not None:
        said[LOG_LEVEL_META_KEY] = claims.log_level
    return {**params, "_meta": said}


@lru_cache(maxsize=1)  # most requests claim what the last one did; a client may claim megabytes
def modern_capabilities(claims: Claims) -> dict[str, Any]:
    """What a request claims on a modern connection; one object for all requests, so not to be changed.

    One capability is ours: a server's tasks are driven to their end here, whoever the client is.
    """
    capabilities = claims.capabilities
    extensions = cast("dict[str, Any]", capabilities.get("extensions") or {})
    return {**capabilities, "extensions": {**extensions, TASKS_EXTENSION: {}}}


def _without_subscription(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The params without the name of our own stream."""
    if params is None:
        return None
    meta = params.get("_meta")
    if not isinstance(meta, Mapping) or SUBSCRIPTION_ID_META_KEY not in meta:
        return dict(params)
    said = {key: value for key, value in cast("Mapping[str, Any]", meta).items() if key != SUBSCRIPTION_ID_META_KEY}
    kept = {key: value for key, value in params.items() if key != "_meta"}
    return {**kept, "_meta": said} if said else kept
