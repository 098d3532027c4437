"""Servers that run elsewhere: streamable HTTP and SSE through the SDK, with our own HTTP client.

Addresses and headers may hold secrets: nothing here puts either into a log line or an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from asyncfc_mcp.config.models import RemoteEntry
from asyncfc_mcp.downstream.link import Link

UNREACHABLE = "asyncfc/unreachable"
"""`data` of the error that stands for a request that never reached the server."""
BROKEN_OFF = "asyncfc/broken_off"
"""`data` of the error that stands for a request whose answer can no longer come."""
FORGOTTEN = "asyncfc/forgotten"
"""`data` of the error that stands for a request refused because the server has ended our session."""
TRANSPORT_FAULTS = (UNREACHABLE, BROKEN_OFF, FORGOTTEN)

_TIMEOUT = httpx2.Timeout(connect=10.0, read=None, write=60.0, pool=None)
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=32)
_MAX_EVENT_BYTES = 64 * 1024 * 1024


class _Client(httpx2.AsyncClient):
    """An HTTP client that remembers what went wrong, for a message that names no address."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(headers=headers, timeout=_TIMEOUT, limits=_LIMITS)
        self.trouble: str | None = None

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as error:
            self.trouble = f"it cannot be reached ({type(error).__name__})"
            raise
        # A server without a stream of its own says so with a 405, which is no trouble.
        if response.status_code >= 400 and response.status_code != 405:
            self.trouble = f"it answered HTTP {response.status_code} {response.reason_phrase}".rstrip()
        return response


class _HttpClient(_Client):
    """For streamable HTTP, where one failed POST must cost one call and not the whole connection."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
            if response.headers.get("content-type", "").lower().startswith("application/json"):
                # Read here: a body that breaks off while the SDK reads it ends the whole connection.
                await response.aread()
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            return _error_response(request, UNREACHABLE, f"the server cannot be reached ({type(error).__name__})")
        except httpx2.TransportError as error:
            return _error_response(request, BROKEN_OFF, f"the connection broke off ({type(error).__name__})")
        if response.status_code == 404 and "mcp-session-id" in request.headers:
            await response.aclose()
            return _error_response(request, FORGOTTEN, "the server has ended our session")
        return response


class _SseClient(_Client):
    """For SSE, where the SDK goes on listening after a failed POST that nobody will ever answer."""

    def __init__(self, headers: dict[str, str], on_lost: Callable[[], None]) -> None:
        super().__init__(headers)
        self._on_lost = on_lost

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError:
            self._on_lost()
            raise
        if response.status_code >= 400:
            self._on_lost()
        return response


@asynccontextmanager
async def remote_link(entry: RemoteEntry) -> AsyncGenerator[Link]:
    """Open the way to a server at an address."""
    opened = _open_sse(entry) if entry.type == "sse" else _open_http(entry)
    async with opened as link:
        yield link


@asynccontextmanager
async def _open_http(entry: RemoteEntry) -> AsyncGenerator[Link]:
    async with (
        _HttpClient(entry.headers) as client,
        streamable_http_client(entry.url, http_client=client, max_sse_event_size=_MAX_EVENT_BYTES) as (read, write),
    ):
        yield Link(read, write, trouble=lambda: client.trouble)


@asynccontextmanager
async def _open_sse(entry: RemoteEntry) -> AsyncGenerator[Link]:
    lost = anyio.Event()
    client = _SseClient(entry.headers, on_lost=lost.set)

    def client_factory(*_: object, **__: object) -> httpx2.AsyncClient:
        return client

    async with sse_client(entry.url, httpx_client_factory=client_factory) as (read, write):
        yield Link(read, write, trouble=lambda: client.trouble, lost=lost)


def _error_response(request: httpx2.Request, kind: str, message: str) -> httpx2.Response:
    error = {"code": -32000, "message": message, "data": kind}
    return httpx2.Response(503, request=request, json={"jsonrpc": "2.0", "id": None, "error": error})
