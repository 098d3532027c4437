"""Servers that run elsewhere: streamable HTTP through the SDK and SSE through ours, with our own HTTP client.

Addresses and headers may hold secrets: nothing here puts either into a log line or an error, except the one address
that the user has to go to for a sign-in.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ErrorData

from asyncfc_mcp.config.models import RemoteEntry
from asyncfc_mcp.downstream.links.faults import FORGOTTEN, TRANSPORT_FAULT_CODE, fault_of
from asyncfc_mcp.downstream.links.link import Link
from asyncfc_mcp.downstream.links.sse import sse_streams
from asyncfc_mcp.downstream.sign_in.auth import SignIn, has_credentials
from asyncfc_mcp.errors import GatewayError

_TIMEOUT = httpx2.Timeout(connect=10.0, read=None, write=60.0, pool=None)
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=32)
_MAX_EVENT_BYTES = 64 * 1024 * 1024


class _Client(httpx2.AsyncClient):
    """An HTTP client that remembers what went wrong, for a message that names no address."""

    def __init__(self, entry: RemoteEntry, sign_in: SignIn | None) -> None:
        super().__init__(headers=entry.headers, timeout=_TIMEOUT, limits=_LIMITS, auth=sign_in)
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

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
            if response.headers.get("content-type", "").lower().startswith("application/json"):
                # Read here: a body that breaks off while the SDK reads it ends the whole connection.
                await response.aread()
        except (httpx2.TransportError, GatewayError) as error:
            return _error_response(request, fault_of(error))
        if response.status_code == 404 and "mcp-session-id" in request.headers:
            await response.aclose()
            forgotten = ErrorData(code=TRANSPORT_FAULT_CODE, message="the server has ended our session", data=FORGOTTEN)
            return _error_response(request, forgotten)
        return response


@asynccontextmanager
async def remote_link(entry: RemoteEntry, sign_in: SignIn | None = None) -> AsyncGenerator[Link]:
    """Open the way to a server at an address; without `sign_in` it is what the entry says, or nothing."""
    opened = _open_sse(entry, sign_in) if entry.type == "sse" else _open_http(entry, sign_in)
    async with opened as link:
        yield link


@asynccontextmanager
async def _open_http(entry: RemoteEntry, sign_in: SignIn | None) -> AsyncGenerator[Link]:
    async with (
        _HttpClient(entry, sign_in) as client,
        streamable_http_client(entry.url, http_client=client, max_sse_event_size=_MAX_EVENT_BYTES) as (read, write),
    ):
        yield Link(read, write, trouble=lambda: client.trouble)


@asynccontextmanager
async def _open_sse(entry: RemoteEntry, sign_in: SignIn | None) -> AsyncGenerator[Link]:
    async with (
        _Client(entry, sign_in) as client,
        sse_streams(client, entry.url, max_event_bytes=_MAX_EVENT_BYTES) as (read, write),
    ):
        yield Link(read, write, trouble=lambda: client.trouble)


def _error_response(request: httpx2.Request, fault: ErrorData) -> httpx2.Response:
    error = fault.model_dump(mode="json", exclude_none=True)
    return httpx2.Response(503, request=request, json={"jsonrpc": "2.0", "id": None, "error": error})
