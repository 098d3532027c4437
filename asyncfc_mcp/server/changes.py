"""What clients of both eras are told outside of answers: changed lists, and changes of resources that they watch.

Legacy sessions get notifications for what they subscribed to; modern clients get what they ask for in a
`subscriptions/listen` request, as long as it lasts. Futures are watched in the same way as the resources of servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import mcp_types as types
import structlog
from anyio.abc import TaskStatus
from mcp.server.lowlevel.server import Server
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.core.future import Move
from asyncfc_mcp.downstream.offers import Offers
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.server.doorway import Context, Doorway
from asyncfc_mcp.server.future_resources import is_future_uri, token_of
from asyncfc_mcp.server.sessions import MOST_WAITING, Session, Sessions
from asyncfc_mcp.server.watching import Watches
from asyncfc_mcp.server.wire import as_mcp_error, resource_not_found

MOST_STREAMS = 1024
MOST_SUBSCRIPTIONS = 1024
"""Of one session or one stream."""
LONGEST_DIVIDED = 4096
"""A longer URI is told to those who watch just that: its parts would cost as much as the square of its length."""

Kind = Literal["tools", "prompts", "resources"]

_EVENTS: dict[Kind, ServerEvent] = {
    "tools": ToolsListChanged(),
    "prompts": PromptsListChanged(),
    "resources": ResourcesListChanged(),
}
_UPDATED = "notifications/resources/updated"
_ELICITED = "notifications/elicitation/complete"
"""What a URL led to is done; only revisions with a handshake have it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class Subscriber:
    """One client's wish to be told of one resource."""

    caller: Caller
    uri: str
    tell: Callable[[str], None]
    """Takes the URI of what has changed: that one, or one below it. Neither awaits nor raises."""


class _Streams:
    """The `subscriptions/listen` requests that are open, as the SDK's handler of them wants it."""

    def __init__(self) -> None:
        self._open: set[Callable[[ServerEvent], None]] = set()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add the stream of the request that is being handled."""
        stream = _handled.get()
        if stream is not None:
            stream.deliver = listener
        self._open.add(listener)
        return lambda: self._open.discard(listener)

    async def publish(self, event: ServerEvent) -> None:
        """Tell every stream that wants to know."""
        self.tell_all(event)

    def tell_all(self, event: ServerEvent) -> None:
        """Tell every stream that wants to know, without a wait."""
        for listener in list(self._open):
            listener(event)


@dataclass(slots=True, eq=False)
class _Stream:
    deliver: Callable[[ServerEvent], None] | None = None

    def tell(self, uri: str) -> None:
        if self.deliver is not None:
            self.deliver(ResourceUpdated(uri))


_handled: ContextVar[_Stream | None] = ContextVar("asyncfc_listen_stream", default=None)


class Changes:
    """Tells clients of changes; nothing here waits for a client.

    Args:
        gateway: reports the moves of futures and what servers notify.
        offers: says which server has a resource.
        sessions: the legacy sessions.
        doorway: who is behind a request.
    """

    def __init__(self, gateway: Gateway, offers: Offers, sessions: Sessions, doorway: Doorway) -> None:
        self._gateway = gateway
        self._offers = offers
        self._sessions = sessions
        self._doorway = doorway
        self._streams = _Streams()
        self._listen_handler = ListenHandler(
            self._streams, max_subscriptions=MOST_STREAMS, max_buffered_events=MOST_WAITING
        )
        self._watches = Watches(gateway.pool)
        self._subscribers: dict[str, dict[Subscriber, None]] = {}
        """By URI; by token where a future is watched."""
        self._of_session: dict[Session, dict[str, Subscriber]] = {}
        gateway.runner.listen(self._on_move)
        gateway.attribution.listen(self._on_notification)
        sessions.on_end(self._forget_session)

    def register(self, server: Server[Any]) -> None:
        """Handle the requests to be told."""
        server.add_request_handler("subscriptions/listen", types.SubscriptionsListenRequestParams, self._listen)
        server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, self._subscribe)
        server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, self._unsubscribe)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the subscriptions at servers until cancelled."""
        await self._watches.run(task_status=task_status)

    # Telling

    def announce(self, kind: Kind) -> None:
        """Tell every client that wants to know that a list has changed."""
        self._streams.tell_all(_EVENTS[kind])
        self._sessions.send_all(f"notifications/{kind}/list_changed")

    def updated(self, server: str, uri: str) -> None:
        """Tell those who watch a resource of a server that it, or something below it, has changed."""
        for watched in (uri, *_above(uri)):
            if (server, watched) in self._watches:
                for subscriber in list(self._subscribers.get(watched, ())):
                    subscriber.tell(uri)

    def _on_move(self, _: Move, future: Future) -> None:
        for subscriber in list(self._subscribers.get(future.token, ())):
            # the same name may stand for another future of another caller
            if self._gateway.table.find(subscriber.caller, future.token) is future:
                subscriber.tell(subscriber.uri)

    def _on_notification(
        self, server: str, futures: Sequence[Future], method: str, params: Mapping[str, Any] | None
    ) -> None:
        if method == _UPDATED:
            self.updated(server, str((params or {}).get("uri")))
        elif method == _ELICITED and not any(future.caller.is_anonymous for future in futures[1:]):
            self._sessions.pass_on({future.caller.scope for future in futures}, method, params or {})

    # Subscriptions of sessions

    async def _subscribe(self, context: Context, params: types.SubscribeRequestParams) -> dict[str, Any]:
        caller, session = self._met(context)
        if session is None:
            raise MCPError(types.INVALID_REQUEST, "There is no session that could be told of changes.")
        mine = self._of_session.setdefault(session, {})
        if params.uri in mine:
            return {}
        if len(mine) >= MOST_SUBSCRIPTIONS:
            raise MCPError(types.INVALID_PARAMS, f"This session has {MOST_SUBSCRIPTIONS} subscriptions, the most.")

        def tell(uri: str) -> None:
            self._sessions.send(session, _UPDATED, {"uri": uri})

        subscriber = Subscriber(caller, params.uri, tell)
        mine[params.uri] = subscriber
        try:
            await self._begin(context, subscriber)
        except BaseException:
            self._drop(session, params.uri)
            self._end(subscriber)
            raise
        if self._of_session.get(session, {}).get(params.uri) is not subscriber:  # dropped while its server was asked
            self._end(subscriber)
        return {}

    async def _unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> dict[str, Any]:
        _, session = self._met(context)
        subscriber = self._drop(session, params.uri) if session is not None else None
        if subscriber is not None:
            self._end(subscriber)
        return {}

    def _drop(self, session: Session, uri: str) -> Subscriber | None:
        return self._of_session.get(session, {}).pop(uri, None)

    def _met(self, context: Context) -> tuple[Caller, Session | None]:
        caller = self._doorway.caller(context)
        self._gateway.delivery.arrive(caller)
        return caller, self._sessions.seen(context, caller)

    def _forget_session(self, session: Session) -> None:
        for subscriber in self._of_session.pop(session, {}).values():
            self._end(subscriber)

    # Subscriptions of streams

    async def _listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        caller, _ = self._met(context)
        uris = list(dict.fromkeys(params.notifications.resource_subscriptions or ()))
        if len(uris) > MOST_SUBSCRIPTIONS:
            raise MCPError(types.INVALID_PARAMS, f"One stream takes {MOST_SUBSCRIPTIONS} subscriptions at most.")
        stream = _Stream()

        def subscriber_of(uri: str) -> Subscriber:
            # a stream takes only the URIs that it named
            return Subscriber(caller, uri, lambda _: stream.tell(uri))

        subscribers = [subscriber_of(uri) for uri in uris]
        token = _handled.set(stream)
        try:
            await self._begin_all(context, subscribers)
            return await self._listen_handler(context, params)
        finally:
            _handled.reset(token)
            for subscriber in subscribers:
                self._end(subscriber)

    async def _begin_all(self, context: Context, subscribers: Iterable[Subscriber]) -> None:
        async def begin(subscriber: Subscriber) -> None:
            try:
                await self._begin(context, subscriber)
            except MCPError as error:  # a stream honours what it is asked for, and what nobody tells of never fires
                log.debug("not_watched", why=error.message)

        async with anyio.create_task_group() as tasks:
            for subscriber in subscribers:
                tasks.start_soon(begin, subscriber)

    # Both

    async def _begin(self, context: Context, subscriber: Subscriber) -> None:
        """Have a subscriber told, and its server telling."""
        uri = subscriber.uri
        if is_future_uri(uri):
            token = token_of(uri)
            self._subscribers.setdefault(token or uri, {})[subscriber] = None
            with suppress(GatewayError):  # what cannot be read here cannot be watched here either
                await self._gateway.recall(subscriber.caller, token)
            if token is None or not self._gateway.sees(subscriber.caller, token):
                raise resource_not_found(context, uri)
            return
        self._subscribers.setdefault(uri, {})[subscriber] = None
        await self._offers.complete()
        claimants, others = self._offers.candidates(uri)
        refusals: list[GatewayError] = []
        servers = claimants or others
        for server in servers:
            try:
                await self._watches.add(subscriber, server, uri)
            except GatewayError as error:
                self._watches.remove(subscriber, server, uri)
                refusals.append(error)
        if len(refusals) == len(servers):
            raise as_mcp_error(refusals[0]) if refusals else resource_not_found(context, uri)

    def _end(self, subscriber: Subscriber) -> None:
        """Tell it no more; a server that nobody listens to any more is told so."""
        uri = subscriber.uri
        key = (token_of(uri) or uri) if is_future_uri(uri) else uri
        told = self._subscribers.get(key, {})
        told.pop(subscriber, None)
        if not told:
            self._subscribers.pop(key, None)
        if not is_future_uri(uri):
            for server in self._gateway.pool.statuses():
                self._watches.remove(subscriber, server, uri)


def _above(uri: str) -> Iterable[str]:
    """The URIs that this one is below of: a server may tell of a part of what is watched."""
    if len(uri) > LONGEST_DIVIDED:
        return
    end = len(uri)
    start = uri.find("://") + 3
    while (end := uri.rfind("/", start, end)) != -1:
        yield uri[:end]
        yield uri[: end + 1]
