"""MCP over HTTP with SSE, the transport of before 2025: one stream of events from the server, a POST for each message.

Our own, because the SDK's ends the connection at an event over 1 MiB and leaves a failed POST without an answer.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import anyio
import anyio.abc
import httpx2
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import ReadStream, WriteStream  # TransportStreams has no public home
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCMessage, JSONRPCRequest
from pydantic import ValidationError

from asyncfc_mcp.downstream.links.events import EventReader
from asyncfc_mcp.downstream.links.faults import (
    BROKEN_OFF,
    FORGOTTEN,
    TRANSPORT_FAULT_CODE,
    fault_of,
    most_read_bytes,
    too_large,
)
from asyncfc_mcp.downstream.links.framing import Line
from asyncfc_mcp.downstream.links.messages import read_message
from asyncfc_mcp.downstream.links.open_requests import OpenRequests
from asyncfc_mcp.errors import GatewayError

log = structlog.get_logger(__name__)

_ENDPOINT_LIMIT_S = 30.0
_POST_TIMEOUT = httpx2.Timeout(60.0, connect=10.0, pool=None)
_MOST_REDIRECTS = 5

_Incoming = MemoryObjectSendStream[SessionMessage | Exception]


class NoEndpoint(GatewayError):
    """A stream that does not begin as SSE of MCP does."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"its event stream {fault}; is it a server of streamable HTTP?")
        self.fault = fault


@asynccontextmanager
async def sse_streams(
    client: httpx2.AsyncClient, url: str, *, max_result_bytes: int
) -> AsyncGenerator[tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]]:
    """Open the stream of events and wait for the address that messages go to.

    Raises:
        NoEndpoint: That address does not come.
        httpx2.HTTPError: The server cannot be reached, or refuses.
    """
    request = client.build_request("GET", url, headers={"Accept": "text/event-stream", "Cache-Control": "no-store"})
    async with _answer_within_origin(client, request) as response:
        response.raise_for_status()
        incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](16)
        # Unbounded: a server that takes no POST must not hold up those who cancel a call.
        write, outgoing = anyio.create_memory_object_stream[SessionMessage](math.inf)
        open_requests = OpenRequests()
        reader = _Reader(response, incoming, open_requests, max_result_bytes)
        async with incoming, read, write, outgoing, anyio.create_task_group() as tasks:
            with anyio.fail_after(_ENDPOINT_LIMIT_S):
                endpoint = await tasks.start(reader.run)
            tasks.start_soon(_Writer(client, endpoint, outgoing, incoming, open_requests).run)
            yield read, write
            tasks.cancel_scope.cancel()


class _Reader:
    """Turns events into messages."""

    def __init__(
        self, response: httpx2.Response, incoming: _Incoming, open_requests: OpenRequests, max_result_bytes: int
    ) -> None:
        self._response = response
        self._url = response.url
        self._incoming = incoming
        self._open_requests = open_requests
        self._max_result_bytes = max_result_bytes

    async def run(self, *, task_status: anyio.abc.TaskStatus[httpx2.URL]) -> None:
        is_started = False
        content_type, _, _ = self._response.headers.get("content-type", "").partition(";")
        if content_type.strip().lower() != "text/event-stream":
            raise NoEndpoint("is none")
        with self._incoming:
            try:
                reader = EventReader(most_read_bytes(self._max_result_bytes))
                async for event in reader.read(self._response.aiter_bytes()):
                    if event.name == "endpoint" and not is_started:
                        task_status.started(self._endpoint(event.data.head.decode("utf-8", "replace")))
                        is_started = True
                    elif event.name == "message" and (message := self._message(event.data)) is not None:
                        await self._incoming.send(message)
            except (httpx2.TransportError, httpx2.StreamError) as error:
                if not is_started:
                    raise
                log.debug("server_stream_ended", kind=type(error).__name__)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return
        if not is_started:
            raise NoEndpoint("ended before it named an endpoint")

    def _message(self, data: Line) -> SessionMessage | Exception | None:
        if data.is_cut:
            return self._too_large(data)
        if not data.head:
            return None
        try:
            message = read_message(data.head)
        except ValidationError as error:
            return error
        self._open_requests.note_received(message)
        return SessionMessage(message)

    def _too_large(self, data: Line) -> SessionMessage | None:
        """The answer in the place of one that was skipped; None when nothing says whose it was."""
        request_id = self._open_requests.meant_by(data)
        log.warning("server_event_skipped", size_bytes=data.size_bytes, is_answer=request_id is not None)
        if request_id is None:
            return None
        answer = JSONRPCError(jsonrpc="2.0", id=request_id, error=too_large(data.size_bytes, self._max_result_bytes))
        self._open_requests.note_received(answer)
        return SessionMessage(answer)

    def _endpoint(self, data: str) -> httpx2.URL:
        endpoint = httpx2.URL(urljoin(str(self._url), data))
        if not _is_within_origin(self._url, endpoint):
            raise NoEndpoint("names an endpoint on another host")
        return endpoint


class _Writer:
    """Sends messages one after another, in the order in which they were written."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        endpoint: httpx2.URL,
        outgoing: MemoryObjectReceiveStream[SessionMessage],
        incoming: _Incoming,
        open_requests: OpenRequests,
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._outgoing = outgoing
        self._incoming = incoming
        self._open_requests = open_requests

    async def run(self) -> None:
        async for item in self._outgoing:
            self._open_requests.note_sent(item.message)
            fault = await self._post(item.message)
            if fault is None:
                continue
            if isinstance(item.message, JSONRPCRequest):
                answer = JSONRPCError(jsonrpc="2.0", id=item.message.id, error=fault)
                self._open_requests.note_received(answer)
                try:
                    await self._incoming.send(SessionMessage(answer))
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return
            else:
                log.debug("server_post_failed", why=fault.message)

    async def _post(self, message: JSONRPCMessage) -> ErrorData | None:
        """Send one; why no answer can come to it, or nothing."""
        try:
            content = message.model_dump_json(by_alias=True, exclude_unset=True)
        except ValueError as error:
            return ErrorData(code=TRANSPORT_FAULT_CODE, message=f"the request cannot be written: {error}")
        request = self._client.build_request(
            "POST",
            self._endpoint,
            content=content,
            headers={"Content-Type": "application/json"},
            timeout=_POST_TIMEOUT,
        )
        try:
            async with _answer_within_origin(self._client, request) as response:
                if response.status_code < 300:
                    return None
                words = f"it answered HTTP {response.status_code} {response.reason_phrase}".rstrip()
                kind = FORGOTTEN if response.status_code == 404 else None
                return ErrorData(code=TRANSPORT_FAULT_CODE, message=words, data=kind)
        except (httpx2.TransportError, GatewayError) as error:
            return fault_of(error)
        except httpx2.StreamError:
            return ErrorData(code=TRANSPORT_FAULT_CODE, message="the connection broke off", data=BROKEN_OFF)


@asynccontextmanager
async def _answer_within_origin(client: httpx2.AsyncClient, request: httpx2.Request) -> AsyncGenerator[httpx2.Response]:
    """The answer after redirects that keep method and origin: what a request carries is for no other place."""
    response = await client.send(request, stream=True)
    for _ in range(_MOST_REDIRECTS):
        following = response.next_request
        if following is None or following.method != request.method or not _is_within_origin(request.url, following.url):
            break
        await response.aclose()
        request = following
        response = await client.send(request, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


def _is_within_origin(url: httpx2.URL, other: httpx2.URL) -> bool:
    return (other.host, other.port) == (url.host, url.port) and other.scheme in (url.scheme, "https")
