"""The short way of a request over streamable HTTP: posted by the task that waits for its answer.

The SDK's transport takes several tasks and two streams for each request. Mostly its answer is one JSON document, or the
first event of a stream. So the request is sent here first; whatever else comes back (other events, an error, a
redirect) is handed to that transport from its beginning, which goes on with the response instead of sending the request
again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import cast

import anyio
import httpx2
from anyio.abc import TaskGroup
from mcp.client._transport import WriteStream  # TransportStreams has no public home
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import JSONRPCRequest, JSONRPCResponse
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from asyncfc_mcp.downstream.links.events import Event, EventReader

_OK = 200
_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_CLOSE_S = 2.0


class Posting:
    """Sends requests without the streams of the SDK's transport.

    Args:
        client: hands out `handed_over` responses.
        url: of the server.
        write: the way to the SDK's transport.
        tasks: own the ends of responses.
        session: what requests of the session say in their headers; None before its handshake is over, and where there
            is none.
        most_bytes: of an event.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        url: str,
        write: WriteStream[SessionMessage],
        tasks: TaskGroup,
        *,
        session: Callable[[], Mapping[str, str] | None],
        most_bytes: int,
    ) -> None:
        self._client = client
        # what the client adds to every request, worked out once: that takes it longer than all the rest of a request
        self._blank = client.build_request("POST", url, content=b"", headers=_HEADERS)
        self._headers = [one for one in self._blank.headers.multi_items() if one[0].lower() != "content-length"]
        self._write = write
        self._session = session
        self._tasks = tasks
        self._most_bytes = most_bytes

    def takes(self, message: SessionMessage) -> bool:
        """Whether a message can go this way: its revision has no sessions, or its session stands."""
        if self.cancels_by_leaving(message):
            return True
        session = self._session()
        return session is not None and _revision_of(message) == _revision_in(session)

    def cancels_by_leaving(self, message: SessionMessage) -> bool:
        """Whether it is of a revision in which leaving a request cancels it."""
        return _revision_of(message) in MODERN_PROTOCOL_VERSIONS

    async def send(self, message: SessionMessage) -> JSONRPCResponse | None:
        """Send a request; None where its answer will come through the SDK's transport. Cancelling leaves it."""
        response = await self._client.send(self._request(message), stream=True, follow_redirects=False)
        if response.is_stream_consumed:  # what is JSON was read by the client already
            answer = _read(response.content, message) if response.status_code == _OK else None
        elif _has_events(response):
            stream = _Stream(response)
            try:
                event = await stream.first_event(self._most_bytes)
            except BaseException:
                await _close(stream)
                raise
            answer = _read(event.data.head, message) if event is not None else None
            if answer is not None:
                await self._leave(stream)
            else:
                response = stream.unread()
        else:
            answer = None
        if answer is None:
            await self._hand_over(response, message)
        return answer

    async def _leave(self, stream: _Stream) -> None:
        """Close it once it has ended, right behind its answer, which does not wait for that."""
        try:
            self._tasks.start_soon(_close, stream)
        except RuntimeError:  # the connection has ended, and its tasks with it
            await _close(stream)

    def _request(self, message: SessionMessage) -> httpx2.Request:
        session = self._session() if not self.cancels_by_leaving(message) else None
        own = {name.lower(): value for name, value in {**(session or {}), **_headers_of(message)}.items()}
        return httpx2.Request(
            "POST",
            self._blank.url,
            headers=[*(one for one in self._headers if one[0].lower() not in own), *own.items()],
            cookies=self._client.cookies,
            content=message.message.model_dump_json(by_alias=True, exclude_unset=True),
            extensions=self._blank.extensions,
        )

    async def _hand_over(self, response: httpx2.Response, message: SessionMessage) -> None:
        handover = _Handover(response)
        before = _handover.set(handover)
        try:
            await self._write.send(message)
        except BaseException:
            handover.take()
            await _close(response)
            raise
        finally:
            _handover.reset(before)


class _Handover:
    """A response on its way to whoever sends the request in the context of the handing over, as the SDK does."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response: httpx2.Response | None = response

    def take(self) -> httpx2.Response | None:
        response, self._response = self._response, None
        return response


_handover: ContextVar[_Handover | None] = ContextVar("asyncfc_handover", default=None)


def handed_over() -> httpx2.Response | None:
    """The response to the request that is about to be sent, where that was sent already; once."""
    handover = _handover.get()
    return handover.take() if handover is not None else None


def _headers_of(message: SessionMessage) -> dict[str, str]:
    metadata = message.metadata
    return (metadata.headers or {}) if isinstance(metadata, ClientMessageMetadata) else {}


def _revision_of(message: SessionMessage) -> str | None:
    return _revision_in(_headers_of(message))


def _revision_in(headers: Mapping[str, str]) -> str | None:
    return headers.get(MCP_PROTOCOL_VERSION_HEADER)


class _Stream(httpx2.AsyncByteStream):
    """The body of a response whose beginning was looked at, and which can still be read from there."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._parts = aiter(cast("httpx2.AsyncByteStream", response.stream))
        self._seen: list[bytes] = []

    def unread(self) -> httpx2.Response:
        """The response as if nobody had looked at it."""
        head = self._response
        return httpx2.Response(head.status_code, headers=head.headers, stream=self, request=head.request)

    async def first_event(self, most_bytes: int) -> Event | None:
        """The first event with data; None where that is no message or too long, or the stream ends before it."""
        reader = EventReader(most_bytes)
        with suppress(httpx2.TransportError):  # whoever reads it next finds that it has ended
            async for part in self._parts:
                self._seen.append(part)
                for event in reader.feed(part):
                    return event if event.name == "message" and not event.data.is_cut else None
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._seen:
            yield part
        async for part in self._parts:
            yield part

    async def aclose(self) -> None:
        parts: object = self._parts
        if isinstance(parts, AsyncGenerator):
            with suppress(RuntimeError):  # somebody still reads it, whom the next line ends
                await cast("AsyncGenerator[bytes]", parts).aclose()
        await self._response.aclose()


def _has_events(response: httpx2.Response) -> bool:
    # one that is packed is not looked into
    is_plain = response.status_code == _OK and "content-encoding" not in response.headers
    return is_plain and response.headers.get("content-type", "").lower().startswith("text/event-stream")


def _read(said: bytes, message: SessionMessage) -> JSONRPCResponse | None:
    """The answer to a request; None where it is anything else."""
    try:
        answer = JSONRPCResponse.model_validate_json(said, by_name=False)
    except ValidationError:
        return None
    request = message.message
    return answer if isinstance(request, JSONRPCRequest) and str(answer.id) == str(request.id) else None


async def _close(opened: httpx2.Response | _Stream) -> None:
    with anyio.move_on_after(_CLOSE_S, shield=True), suppress(Exception):  # nobody wants anything more of it
        await opened.aclose()
