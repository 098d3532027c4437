"""The gateway that a command talks to: one in this process, as long as the command runs, or one that runs already."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from asyncfc_mcp import __version__
from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file, state_folder
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.transports.access import token_from

_CLIENT_INFO = Implementation(name="asyncfc-mcp-cli", version=__version__)
_SILENCE_S = 120.0
"""Longer than any request to a gateway waits."""


class GatewayUnreachable(GatewayError):
    """There is no gateway at that address, or it does not let us in."""

    def __init__(self, url: str, fact: str, way_out: str) -> None:
        super().__init__(f"{_place(url)} {fact}; {way_out}")
        self.url = url


@dataclass(frozen=True, slots=True)
class Session:
    """A client at the door of a gateway."""

    client: Client
    app: App | None
    """The gateway itself, where it runs in this process."""


@asynccontextmanager
async def own_gateway(file: Path) -> AsyncGenerator[Session]:
    """A gateway of our own, which ends with this; it keeps no futures, and takes over none of others.

    Raises:
        GatewayError: the file cannot be used.
    """
    app = App(load_file(file, os.environ, {"store": "memory"}), state_folder(os.environ))
    async with app.running(), Client(app.handlers.server, client_info=_CLIENT_INFO) as client:
        yield Session(client, app)


@asynccontextmanager
async def running_gateway(url: str, token_file: Path | None) -> AsyncGenerator[Session]:
    """A gateway that runs at an address.

    Raises:
        GatewayUnreachable: there is none, or it wants another token.
        TokenFault: the token cannot be read.
    """
    token = token_from(os.environ, token_file)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    await _look(url, headers)
    async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=_SILENCE_S)) as http:
        is_sse = urlsplit(url).path.rstrip("/").endswith("/sse")
        way: Any = sse_client(url, headers=headers) if is_sse else streamable_http_client(url, http_client=http)
        async with Client(way, client_info=_CLIENT_INFO) as client:
            yield Session(client, None)


def _place(url: str) -> str:
    """The address without what may be secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "what --url says"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else "what --url says"


async def _look(url: str, headers: dict[str, str]) -> None:
    """See that somebody lets us in; the SDK's client would only say that it could not be initialised."""
    try:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            http.stream("GET", url, headers={"accept": "text/event-stream"}) as response,
        ):
            status = response.status_code
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        raise GatewayUnreachable(url, "is no address", "write http://127.0.0.1:8765/mcp, say") from None
    except httpx2.TransportError as error:
        fact = f"cannot be reached ({type(error).__name__})"
        way_out = "start a gateway there with `asyncfc-mcp serve --transport http`, or correct --url"
        raise GatewayUnreachable(url, fact, way_out) from None
    if status in {401, 403}:
        way_out = "give it with --token-file FILE or ASYNCFC_TOKEN"
        raise GatewayUnreachable(url, f"wants another token (HTTP {status})", way_out)
    if status == 404:
        raise GatewayUnreachable(url, "has nothing at that path (HTTP 404)", "it ends in /mcp, or in /sse for SSE")
