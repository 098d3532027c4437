"""The same HTTP request of a session sent twice: both are answered, and what it asks for is done once.

Proxies and HTTP layers of clients send a request again when its connection breaks. The SDK would run it again, and
lose the first one's answer. It is recognised by session, caller and body, which holds its JSON-RPC id; and only as long
as the first one is being answered or its answer could not be delivered, since some clients use ids again although
they must not, for calls that are new.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import Callable
from functools import partial

import anyio
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asyncfc_mcp.transports.body import MOST_BODY_BYTES
from asyncfc_mcp.transports.doorway import SCOPE_HEADER, SESSION_HEADER
from asyncfc_mcp.transports.exchanges import exchange_in

RETURN_S = 5.0
"""How long a request is worked at, and its answer kept, after its client has gone without it: whoever sends a request
again by itself does so within a few seconds, and a user who has stopped a call should not wait long for it to end."""
MOST_NEWS_BYTES = 2**18
"""What is kept of the messages before the answer (progress, log messages): the newest of them."""
_ANSWER_EVENT = re.compile(rb'data: \{"jsonrpc":"2\.0","id":(?:-?\d+|"(?:[^"\\]|\\.)*"),"(?:result|error)":')
"""In a stream of events, the answer: clients that have read it may be back before the stream has ended."""
_BODY_KEY = "asyncfc_mcp.body"
_TELLING = (SESSION_HEADER.encode(), SCOPE_HEADER.encode())
"""Headers that tell two requests with the same body apart."""


class Replays:
    """Serves an application; a request that is sent again gets the answer of the first one.

    Args:
        return_s: how long a client that has gone may take to come back.
    """

    def __init__(self, app: ASGIApp, return_s: float = RETURN_S) -> None:
        self._app = app
        self._return_s = return_s
        self._answers: dict[bytes, _Answer] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not _is_of_session(scope):
            await self._app(scope, receive, send)
            return
        body = await _Body.read(receive)
        scope = {**scope, _BODY_KEY: body.whole}
        if not body.may_be_request:
            await self._app(scope, body.receive, send)
            return
        name = _name(scope, body)
        answer = self._answers.get(name)
        if answer is None:
            await self._serve(name, scope, body, send)
        else:
            await self._serve_again(name, answer, scope, receive, send)

    async def _serve(self, name: bytes, scope: Scope, body: _Body, send: Send) -> None:
        exchange = exchange_in(scope)
        answer = self._answers[name] = _Answer(send, self._return_s)
        answer.on_delivered = partial(self._forget, name, answer)
        if exchange is not None:
            exchange.on_lost = answer.miss
            exchange.wait_for_return = answer.wait_for_return
            exchange.on_cancelled = answer.on_delivered
        try:
            await self._app(scope, body.receive, answer.send)
        finally:
            answer.end()
            if answer.is_whole and answer.is_missed:
                asyncio.get_running_loop().call_later(self._return_s, self._forget, name, answer)
            else:
                self._forget(name, answer)

    async def _serve_again(self, name: bytes, answer: _Answer, scope: Scope, receive: Receive, send: Send) -> None:
        if await answer.copy(receive, send):
            self._forget(name, answer)
        elif not answer.has_started:
            text = "The request that this one repeats ended without an answer.\n"
            await PlainTextResponse(text, 503)(scope, receive, send)

    def _forget(self, name: bytes, answer: _Answer) -> None:
        if self._answers.get(name) is answer:
            del self._answers[name]


class _Answer:
    """The response to a request, for every client that waits for it."""

    def __init__(self, send: Send, return_s: float) -> None:
        self._send = send
        self._return_s = return_s
        self._start: Message | None = None
        self._parts: deque[Message] = deque()
        self._dropped = 0
        """How many parts of the beginning are not kept any more."""
        self._bytes = 0
        self._copies = 0
        self._news = anyio.Event()
        self._has_ended = False
        self.on_delivered: Callable[[], None] = _nothing
        """Called as the first client, which is still there, is about to have the answer."""
        self.is_whole = False
        self.is_missed = False
        """Whether the client of the first request went before it was whole, and none that came again has had it."""

    @property
    def has_started(self) -> bool:
        """Whether there is anything of it."""
        return self._start is not None

    async def send(self, message: Message) -> None:
        """Take a part, and send it to the first client."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._keep(message)
            if not self.is_missed and (self.is_whole or _ANSWER_EVENT.search(message.get("body", b""), 0, 1024)):
                self.on_delivered()
        self._tell()
        await self._send(message)

    def end(self) -> None:
        """Nothing more will come."""
        self._has_ended = True
        self._tell()

    def miss(self) -> None:
        """The first client has gone."""
        self.is_missed = True

    async def wait_for_return(self) -> None:
        """Wait as long as another client waits for the answer, or may yet come for it."""
        until = anyio.current_time() + self._return_s
        while self._copies or anyio.current_time() < until:
            news = self._news
            with anyio.move_on_at(float("inf") if self._copies else until):
                await news.wait()

    async def copy(self, receive: Receive, send: Send) -> bool:
        """Send all of it to a client that came again, as it comes; whether that had the whole."""
        self._copies += 1
        self._tell()
        try:
            with anyio.CancelScope() as sending:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_until_gone, receive, sending)
                    await self._copy(send)
                    tasks.cancel_scope.cancel()
        finally:
            self._copies -= 1
            self._tell()
        is_had = self.is_whole and not sending.cancelled_caught
        self.is_missed = self.is_missed and not is_had
        return is_had

    async def _copy(self, send: Send) -> None:
        place = -1
        while True:
            news = self._news
            if place < 0 and self._start is not None:
                place = 0
                await send(self._start)
            while 0 <= place < self._dropped + len(self._parts):
                place = max(place, self._dropped)
                part = self._parts[place - self._dropped]
                place += 1
                await send(part)
            if self._has_ended:
                return
            if news is self._news:
                await news.wait()

    def _keep(self, part: Message) -> None:
        self._parts.append(part)
        self._bytes += len(part.get("body", b""))
        self.is_whole = not part.get("more_body", False)
        # the end of a stream is a part of its own, and the answer the one before
        while self._bytes > MOST_NEWS_BYTES and len(self._parts) > 2:
            self._bytes -= len(self._parts.popleft().get("body", b""))
            self._dropped += 1

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


class _Body:
    """The body of a request, read ahead of whoever is to read it."""

    def __init__(self, messages: deque[Message], receive: Receive) -> None:
        self._messages = messages
        self._receive = receive
        is_complete = messages[-1]["type"] == "http.request" and not messages[-1].get("more_body", False)
        self.whole = b"".join(message.get("body", b"") for message in messages) if is_complete else b""
        """Empty where it is not complete."""
        self.hash = hashlib.sha256(self.whole).digest()
        self.may_be_request = b'"id"' in self.whole and b'"method"' in self.whole
        """Whether it is complete and may be more than a notification or an answer."""

    @classmethod
    async def read(cls, receive: Receive) -> _Body:
        """Read it to its end, or as far as one may be long."""
        messages: deque[Message] = deque()
        size = 0
        while not messages or (messages[-1].get("more_body", False) and size <= MOST_BODY_BYTES):
            messages.append(await receive())
            size += len(messages[-1].get("body", b""))
        return cls(messages, receive)

    async def receive(self) -> Message:
        """What was read, then what comes."""
        return self._messages.popleft() if self._messages else await self._receive()


def body_in(scope: Scope) -> bytes:
    """The whole body of a request of a session; empty where it has not been read to its end."""
    return scope.get(_BODY_KEY, b"")


def _is_of_session(scope: Scope) -> bool:
    return scope["method"] == "POST" and SESSION_HEADER in Headers(scope=scope)


def _name(scope: Scope, body: _Body) -> bytes:
    """What tells the request from every other one: headers of its own, such as the name of a scope, are part of it."""
    named = hashlib.sha256(body.hash)
    user = scope.get("user")
    named.update(repr(getattr(user, "username", None)).encode())
    for header, text in sorted((key, text) for key, text in scope["headers"] if key in _TELLING):
        named.update(b"\n" + header + b": " + text)
    return named.digest()


def _nothing() -> None:
    pass


async def _until_gone(receive: Receive, sending: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()
