"""An MCP server over streamable HTTP, written out byte by byte, that breaks connections where it is told to.

`pay` is no tool to be called twice; `look` only reads. It counts how often each was carried out, and keeps all calls.
"""

from __future__ import annotations

import itertools
import json
import socket
import struct
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute

Json = dict[str, Any]
Era = Literal["legacy", "modern"]

BEFORE_IT_IS_READ = ("at_once", "in_the_body")
BEFORE_IT_IS_CARRIED_OUT = ("after_the_body", "refused_by_status")
AFTERWARDS = (
    "unanswered",
    "in_the_headers",
    "in_the_json",
    "in_the_chunks",
    "in_the_events",
    "after_an_event_with_an_id",
    "with_a_status_of_a_proxy",
    "reset",
)
RESUMED = "resumed_by_a_get"

TOOLS: list[Json] = [
    {"name": "pay", "inputSchema": {"type": "object", "properties": {"amount": {"type": "integer"}}}},
    {"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
]


@dataclass
class BreakingServer:
    """What it has done, and what it is to do."""

    era: Era
    plan: list[str] = field(default_factory=list[str])
    """Where the connections of the next calls break, one each; the others are answered."""
    carried_out: Counter[str] = field(default_factory=Counter[str])
    sent: Counter[str] = field(default_factory=Counter[str])
    """How often a call came in, as far as it was read."""
    read: list[str] = field(default_factory=list[str])
    port: int = 0
    _sessions: set[str] = field(default_factory=set[str])
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _kept: list[Json] = field(default_factory=list[Json])

    @property
    def entry(self) -> Json:
        return {
            "url": f"http://127.0.0.1:{self.port}/mcp",
            "asyncfc": {
                "prefix": "",
                "trust": True,
                "tools": {name["name"]: {"reads": [], "writes": []} for name in TOOLS},
            },
        }

    async def serve(self, stream: ByteStream) -> None:
        """Answer the requests of one connection."""
        buffer = b""
        try:
            async with stream:
                while True:
                    while b"\r\n\r\n" not in buffer:
                        buffer += await stream.receive()
                    head, _, buffer = buffer.partition(b"\r\n\r\n")
                    lines = head.decode().split("\r\n")
                    headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines[1:])}
                    if self._breaks_at(headers, "at_once"):
                        return
                    length = int(headers.get("content-length", "0"))
                    if self._breaks_at(headers, "in_the_body"):
                        return
                    while len(buffer) < length:
                        buffer += await stream.receive()
                    body, buffer = buffer[:length], buffer[length:]
                    if not await self._answer(stream, lines[0].split()[0], headers, body):
                        return
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    def _breaks_at(self, headers: dict[str, str], stage: str) -> bool:
        """Whether this request is a call, and the connection is to break here; told by its length or its header."""
        is_call = headers.get("mcp-method") == "tools/call" if self.era == "modern" else bool(self._sessions)
        if not (is_call and self.plan[:1] == [stage] and int(headers.get("content-length", "0")) > 0):
            return False
        del self.plan[0]
        return True

    async def _answer(self, stream: ByteStream, verb: str, headers: dict[str, str], body: bytes) -> bool:
        """Answer one request; whether the connection goes on."""
        if verb == "GET" and "last-event-id" in headers and self._kept:
            await stream.send(_head("text/event-stream", close=True) + _event(self._kept.pop()))
            return False
        if verb != "POST":
            await stream.send(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n")
            return True
        message: Json = json.loads(body)
        method = message["method"]
        if "id" not in message:
            await stream.send(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            return True
        if method == "tools/call":
            self.read.append(body.decode())
            return await self._call(stream, message)
        more = ""
        if method == "initialize":
            session = f"session-{next(self._numbers)}"
            self._sessions.add(session)
            more = f"mcp-session-id: {session}\r\n"
        result = self._result(method)
        if result is None:
            error = {"code": -32601, "message": "Method not found"}
            await stream.send(_json({"jsonrpc": "2.0", "id": message["id"], "error": error}))
        else:
            await stream.send(_json({"jsonrpc": "2.0", "id": message["id"], "result": result}, more))
        return True

    def _result(self, method: str) -> Json | None:
        capabilities: Json = {"tools": {}}
        cached = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if self.era == "modern" else {}
        match method, self.era:
            case "initialize", "legacy":
                info = {"name": "breaking", "version": "1"}
                return {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}
            case "server/discover", "modern":
                return {"supportedVersions": ["2026-07-28"], "capabilities": capabilities, **cached}
            case "tools/list", _:
                return {"tools": TOOLS, **cached}
            case _:
                return None

    async def _call(self, stream: ByteStream, message: Json) -> bool:
        tool = cast("str", message["params"]["name"])
        self.sent[tool] += 1
        stage = self.plan.pop(0) if self.plan else "answered"
        match stage:
            case "after_the_body":
                return False
            case "session_forgotten":
                await stream.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                return True
            case "refused_by_status":
                await stream.send(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
                return True
            case _:
                pass
        self.carried_out[tool] += 1
        kind = {"resultType": "complete"} if self.era == "modern" else {}
        result = {"content": [{"type": "text", "text": f"{tool} {self.carried_out[tool]}"}], **kind}
        return await self._break(stream, stage, {"jsonrpc": "2.0", "id": message["id"], "result": result})

    async def _break(self, stream: ByteStream, stage: str, answer: Json) -> bool:
        whole = _json(answer)
        match stage:
            case "in_the_headers":
                await stream.send(whole[:30])
            case "in_the_json":
                await stream.send(whole[:-20])
            case "in_the_chunks":
                await stream.send(_head("application/json", chunked=True) + b'5\r\n{"jso\r\n')
            case "in_the_events":
                await stream.send(_head("text/event-stream", close=True) + b": working\n\n")
            case "after_an_event_with_an_id" | "resumed_by_a_get":
                if stage == RESUMED:
                    self._kept.append(answer)
                await stream.send(_head("text/event-stream", close=True) + b"id: 1\nretry: 10\ndata: \n\n")
            case "with_a_status_of_a_proxy":
                await stream.send(b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n")
                return True
            case "reset":
                raw = stream.extra(SocketAttribute.raw_socket)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "answered":
                await stream.send(whole)
                return True
            case _:
                pass
        return False


@asynccontextmanager
async def breaking(era: Era) -> AsyncGenerator[BreakingServer]:
    """A server that listens until this is left."""
    server = BreakingServer(era)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        server.port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


def _head(kind: str, *, close: bool = False, chunked: bool = False) -> bytes:
    more = ("connection: close\r\n" if close else "") + ("transfer-encoding: chunked\r\n" if chunked else "")
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{more}\r\n".encode()


def _json(message: Json, more: str = "") -> bytes:
    body = json.dumps(message).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _event(message: Json) -> bytes:
    return f"id: 2\ndata: {json.dumps(message)}\n\n".encode()
