"""Servers that run elsewhere: streamable HTTP through the SDK and SSE through ours, with our own HTTP client.

Addresses and headers may hold secrets: nothing here puts either into a log line or an error, except the one address
that the user has to go to for a sign-in.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp_types import INTERNAL_ERROR, ErrorData

from asyncfc_mcp.config.models import RemoteEntry
from asyncfc_mcp.downstream.links.faults import (
    FORGOTTEN,
    NO_ANSWER,
    TRANSPORT_FAULT_CODE,
    fault_of,
    most_read_bytes,
    too_large,
)
from asyncfc_mcp.downstream.links.keep_alive import KeepAlive
from asyncfc_mcp.downstream.links.link import Link
from asyncfc_mcp.downstream.links.pools import POOL_SIZE, Pools, is_of_type
from asyncfc_mcp.downstream.links.posting import Posting, handed_over
from asyncfc_mcp.downstream.links.sse import sse_streams
from asyncfc_mcp.downstream.sign_in.auth import SignIn, has_credentials
from asyncfc_mcp.errors import GatewayError

_TIMEOUT = httpx2.Timeout(connect=10.0, read=None, write=60.0, pool=None)
# uvicorn and Node close what was idle for 5 s; a request that meets that is lost
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=POOL_SIZE, keepalive_expiry=4.0)
_BODY_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class _Client(httpx2.AsyncClient):
    """An HTTP client that remembers what went wrong, for a message that names no address."""

    def __init__(self, entry: RemoteEntry, sign_in: SignIn | None, keep_alive: KeepAlive) -> None:
        super().__init__(
            headers=entry.headers, timeout=_TIMEOUT, limits=_LIMITS, auth=sign_in, transport=_transport(keep_alive)
        )
        self._has_credentials = has_credentials(entry)
        self.trouble: str | None = None

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as error:
            self.trouble = f"it cannot be reached ({type(error).__name__}); start it, or correct its `url`"
            raise
        except GatewayError as error:
            self.trouble = str(error)
            raise
        # A server without a stream of its own says so with a 405, which is no trouble.
        if response.status_code >= 400 and response.status_code != 405:
            self.trouble = f"it answered HTTP {response.status_code} {response.reason_phrase}".rstrip()
            if response.status_code == 401 and self._has_credentials:
                self.trouble += "; it does not take the credentials in its entry"
        return response


class _HttpClient(_Client):
    """For streamable HTTP, where one failed POST must cost one call and not the whole connection."""

    def __init__(
        self, entry: RemoteEntry, sign_in: SignIn | None, keep_alive: KeepAlive, max_result_bytes: int
    ) -> None:
        super().__init__(entry, sign_in, keep_alive)
        self._max_result_bytes = max_result_bytes

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if (response := handed_over()) is not None:
            return response
        try:
            response = await super().send(request, **options)
            if _is_json(response):
                # Read here: a body that breaks off while the SDK reads it ends the whole connection.
                response = await self._read(request, response)
        except (httpx2.RequestError, GatewayError) as error:
            return _error_response(request, fault_of(error))
        if response.status_code >= 500 and not _is_json(response):
            await response.aclose()
            # The SDK's own words, so that a handshake takes it as it takes the status.
            unanswered = ErrorData(code=INTERNAL_ERROR, message="Server returned an error response", data=NO_ANSWER)
            return _error_response(request, unanswered)
        if response.status_code == 404 and "mcp-session-id" in request.headers:
            await response.aclose()
            forgotten = ErrorData(code=TRANSPORT_FAULT_CODE, message="the server has ended our session", data=FORGOTTEN)
            return _error_response(request, forgotten)
        return response

    async def _read(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """The response with its whole body, or an error in its place where that is too large."""
        if response.is_stream_consumed:
            return response
        if _known_bytes(response) <= most_read_bytes(self._max_result_bytes):
            await response.aread()
            return response
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most_read_bytes(self._max_result_bytes):
                await response.aclose()
                return _error_response(request, too_large(len(body), self._max_result_bytes, at_least=True))
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in _BODY_HEADERS]
        return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)


@asynccontextmanager
async def remote_link(
    entry: RemoteEntry, sign_in: SignIn | None, max_result_bytes: int, keep_alive: KeepAlive
) -> AsyncGenerator[Link]:
    """Open the way to a server at an address; without `sign_in` it is what the entry says, or nothing."""
    open_link = _open_sse if entry.type == "sse" else _open_http
    async with open_link(entry, sign_in, max_result_bytes, keep_alive) as link:
        yield link


@asynccontextmanager
async def _open_http(
    entry: RemoteEntry, sign_in: SignIn | None, max_result_bytes: int, keep_alive: KeepAlive
) -> AsyncGenerator[Link]:
    most = most_read_bytes(max_result_bytes)
    async with (
        _HttpClient(entry, sign_in, keep_alive, max_result_bytes) as client,
        streamable_http_client(entry.url, http_client=client, max_sse_event_size=most) as (read, write),
    ):
        yield Link(read, write, trouble=lambda: client.trouble, short_way=Posting(client, entry.url, write))


@asynccontextmanager
async def _open_sse(
    entry: RemoteEntry, sign_in: SignIn | None, max_result_bytes: int, keep_alive: KeepAlive
) -> AsyncGenerator[Link]:
    async with (
        _Client(entry, sign_in, keep_alive) as client,
        sse_streams(client, entry.url, max_result_bytes=max_result_bytes) as (read, write),
    ):
        yield Link(read, write, trouble=lambda: client.trouble)


def _transport(keep_alive: KeepAlive) -> httpx2.AsyncBaseTransport | None:
    """One whose connections notice a peer that is gone; None where a proxy is in the way, which is near."""
    if getproxies().keys() & {"http", "https", "all"}:
        # With a transport of one's own the HTTP client no longer looks for proxies in the environment.
        return None
    context = httpx2.create_ssl_context()
    options = keep_alive.socket_options()
    return Pools(lambda: httpx2.AsyncHTTPTransport(verify=context, limits=_LIMITS, socket_options=options))


def _is_json(response: httpx2.Response) -> bool:
    return is_of_type(response, "application/json")


def _known_bytes(response: httpx2.Response) -> float:
    """How long the body is at most, where that can be said before it is read."""
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() and "content-encoding" not in response.headers else math.inf


def _error_response(request: httpx2.Request, fault: ErrorData) -> httpx2.Response:
    error = fault.model_dump(mode="json", exclude_none=True)
    return httpx2.Response(503, request=request, json={"jsonrpc": "2.0", "id": None, "error": error})
