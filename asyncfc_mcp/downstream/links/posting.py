"""The short way of a request over streamable HTTP: posted by the task that waits for its answer.

The SDK's transport takes two tasks and two streams for each request, which pays where the answer is a stream of events.
Mostly it is one JSON document. So the request is sent here first; whatever else comes back (events, an error, a
redirect) is handed to that transport, which goes on with the response instead of sending the request again.
"""

from __future__ import annotations

from contextvars import ContextVar
from http import HTTPStatus

import anyio
import httpx2
from mcp.client._transport import WriteStream  # TransportStreams has no public home
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import JSONRPCRequest, JSONRPCResponse
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from asyncfc_mcp.downstream.links.messages import read_message

_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_CLOSE_S = 2.0


class Posting:
    """Sends requests of the revisions without a session: with one, the SDK's transport alone knows what goes first.

    Args:
        client: hands out `handed_over` responses.
        url: of the server.
        write: the way to the SDK's transport.
    """

    def __init__(self, client: httpx2.AsyncClient, url: str, write: WriteStream[SessionMessage]) -> None:
        self._client = client
        # what the client adds to every request, worked out once: that takes it longer than all the rest of a request
        self._blank = client.build_request("POST", url, content=b"", headers=_HEADERS)
        self._headers = [one for one in self._blank.headers.multi_items() if one[0].lower() != "content-length"]
        self._write = write

    def takes(self, message: SessionMessage) -> bool:
        """Whether a message can go this way."""
        return _headers_of(message).get(MCP_PROTOCOL_VERSION_HEADER) in MODERN_PROTOCOL_VERSIONS

    async def send(self, message: SessionMessage) -> JSONRPCResponse | None:
        """Send a request; None where its answer will come through the SDK's transport. Cancelling aborts it."""
        request = self._request(message)
        response = await self._client.send(request, stream=True, follow_redirects=False)
        answer = _answer_in(response, message)
        if answer is None:
            await self._hand_over(response, message)
        return answer

    def _request(self, message: SessionMessage) -> httpx2.Request:
        own = {name.lower(): value for name, value in _headers_of(message).items()}
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
            handover.withdraw()
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await response.aclose()
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

    def withdraw(self) -> None:
        """Nobody waits for its answer now. The SDK may have the request all the same, and must not send it again."""
        if self._response is not None:
            self._response = httpx2.Response(HTTPStatus.ACCEPTED, request=self._response.request)


_handover: ContextVar[_Handover | None] = ContextVar("asyncfc_handover", default=None)


def handed_over() -> httpx2.Response | None:
    """The response to the request that is about to be sent, where that was sent already; once."""
    handover = _handover.get()
    return handover.take() if handover is not None else None


def _headers_of(message: SessionMessage) -> dict[str, str]:
    metadata = message.metadata
    return (metadata.headers or {}) if isinstance(metadata, ClientMessageMetadata) else {}


def _answer_in(response: httpx2.Response, message: SessionMessage) -> JSONRPCResponse | None:
    # what is JSON was read by the client already
    if response.status_code != HTTPStatus.OK or not response.is_stream_consumed:
        return None
    try:
        answer = read_message(response.content)
    except ValidationError:
        return None
    request = message.message
    if not isinstance(request, JSONRPCRequest) or not isinstance(answer, JSONRPCResponse):
        return None
    return answer if str(answer.id) == str(request.id) else None
