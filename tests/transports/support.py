"""Gateways on every transport, and clients of theirs: the SDK's own, and plain HTTP for what those would never say."""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
from mcp import Client
from mcp.client.session import MessageHandlerFnT
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, RequestId

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.transports.access import Access
from asyncfc_mcp.transports.listener import Listener
from tests.bounds import bound_s, with_wait
from tests.harness import FREE, LIMIT_S, Era, text_of, toy

Kind = Literal["stdio", "http", "sse"]
Json = dict[str, Any]

TOKEN = "a-token-that-nobody-guesses"
LEGACY, MODERN = "2025-11-25", "2026-07-28"
BOTH = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
FREE_TOOLS = dict.fromkeys(("echo", "hold", "steps", "append", "change_tools"), FREE)


@dataclass(frozen=True, slots=True)
class Way:
    """How a client comes."""

    kind: Kind
    era: Era

    def __str__(self) -> str:
        return f"{self.kind}-{'legacy' if self.era == 'legacy' else 'modern'}"


EVERY_WAY = [Way(kind, era) for kind in ("stdio", "http", "sse") for era in ("legacy", "auto")]


class Place:
    """A gateway that clients can come to."""

    def __init__(self, kind: Kind, target: str | StdioServerParameters, token: str | None) -> None:
        self.kind = kind
        self.target = target
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    @property
    def url(self) -> str:
        assert isinstance(self.target, str)
        return self.target

    @asynccontextmanager
    async def client(
        self, era: Era = "auto", *, message_handler: MessageHandlerFnT | None = None, **headers: str
    ) -> AsyncGenerator[Client]:
        """A client of the SDK."""
        all_headers = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with httpx2.AsyncClient(headers=all_headers, timeout=60) as http:
            if self.kind == "http":
                target: Any = streamable_http_client(self.url, http_client=http)
            else:
                target = sse_client(self.url, headers=all_headers) if self.kind == "sse" else self.target
            async with Client(target, mode=era, message_handler=message_handler) as client:
                yield client

    @asynccontextmanager
    async def http(self, **headers: str) -> AsyncGenerator[RawHttp]:
        """A client that says what it is told to."""
        async with httpx2.AsyncClient(headers={**BOTH, **self.headers, **headers}, timeout=bound_s(LIMIT_S)) as client:
            yield RawHttp(client, self.url)


@asynccontextmanager
async def place(kind: Kind, *, token: str | None = None, **settings: Any) -> AsyncGenerator[Place]:
    """A gateway on that transport in front of the toy, most of whose tools conflict with nothing."""
    document = {"mcpServers": {"toy": toy(tools=FREE_TOOLS)}, "asyncfc": settings}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps(document))
        if kind == "stdio":
            command = ["-m", "asyncfc_mcp", "serve", "--config", str(file)]
            env = {**os.environ, "ASYNCFC_STATE_FOLDER": str(Path(folder, "state"))}
            yield Place(kind, StdioServerParameters(command=sys.executable, args=command, env=env), None)
            return
        app = App(load_file(file, os.environ), None, serves_network=True)
        async with serving(app, kind, token=token) as url:
            yield Place(kind, url, token)


@asynccontextmanager
async def serving(app: App, kind: Kind, *, token: str | None = None) -> AsyncGenerator[str]:
    """The URL at which that application serves, until this is left."""
    listener = Listener("127.0.0.1", 0)
    access = Access.to("127.0.0.1", token=token)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.serve_sse if kind == "sse" else app.serve_http, listener, access)
        yield f"{listener.origin}/{'sse' if kind == 'sse' else 'mcp'}"
        tasks.cancel_scope.cancel()


class RawHttp:
    """MCP over HTTP by hand."""

    def __init__(self, client: httpx2.AsyncClient, url: str) -> None:
        self.client = client
        self.url = url
        self.ids = itertools.count(1)
        self.session: dict[str, str] = {}

    def message(self, method: str, params: Json | None = None) -> Json:
        return {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params or {}}

    async def post(self, message: Any, **headers: str) -> httpx2.Response:
        sent = message if isinstance(message, bytes) else json.dumps(message).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with anyio.fail_after(bound_s(LIMIT_S)):
            return await self.client.post(self.url, content=sent, headers={**self.session, **named})

    async def initialize(self) -> httpx2.Response:
        """Open a session of the handshake era; every further request belongs to it."""
        info = {"name": "raw", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": info}
        answer = await self.post(self.message("initialize", params))
        if "mcp-session-id" in answer.headers:
            self.session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": LEGACY}
            await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call_message(self, tool: str, arguments: Json) -> Json:
        return self.message("tools/call", {"name": tool, "arguments": arguments})

    async def call(self, tool: str, **arguments: Any) -> Json:
        """Call a tool in the session; the JSON-RPC message that answers."""
        return answer_in(await self.post(self.call_message(tool, arguments)))

    async def text(self, tool: str, **arguments: Any) -> str:
        return (await self.call(tool, **with_wait(tool, arguments)))["result"]["content"][0]["text"]

    def modern(self, tool: str, arguments: Json) -> tuple[Json, dict[str, str]]:
        """A call of the later era and the headers that go with it."""
        envelope = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        }
        message = self.call_message(tool, arguments)
        message["params"]["_meta"] = envelope
        return message, {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": tool}


def answer_in(response: httpx2.Response) -> Json:
    """The JSON-RPC message of a response, whichever way it was sent."""
    if response.headers["content-type"].startswith("application/json"):
        return response.json()
    # not `splitlines`, which takes more characters for the end of a line than events have
    lines = [line for line in response.text.split("\n") if line.startswith("data: {")]
    return json.loads(lines[-1].removeprefix("data: "))


def ignore(_: RequestId) -> None:
    """Want to know nothing of the requests that come and go."""


async def call(client: Client, tool: str, **arguments: Any) -> CallToolResult:
    with anyio.fail_after(bound_s(LIMIT_S)):
        return await client.call_tool(tool, arguments)


async def value(client: Client, tool: str, **arguments: Any) -> str:
    """Call and have the value itself, without what is attached to it."""
    return text_of(await call(client, tool, **with_wait(tool, arguments))).split("\n--- ")[0]


async def token(client: Client, tool: str, **arguments: Any) -> str:
    """Call and have the token at once."""
    result = await call(client, tool, _wait_s=0, **arguments)
    assert result.meta, text_of(result)
    return result.meta["asyncfc/future"]["token"]


async def until(client: Client, tool: str, is_so: Callable[[str], bool], **arguments: Any) -> str:
    """Ask until the answer is so."""
    with anyio.fail_after(bound_s(LIMIT_S)):
        while not is_so(answer := await value(client, tool, **arguments)):
            pass
    return answer


def token_of(answer: Mapping[str, Any]) -> str:
    return answer["result"]["_meta"]["asyncfc/future"]["token"]
