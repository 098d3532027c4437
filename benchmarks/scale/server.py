"""A server for many calls at once, over stdio or HTTP, with nothing but the standard library.

`hold` is not answered before somebody connects to the socket that `--control PATH` names, from when on every `hold` is
answered at once; `stamp` says when it ended, on the clock that all processes of a machine share. A held call costs one
entry of a list.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

TOOLS = [
    {"name": "hold", "inputSchema": {"type": "object", "properties": {"key": {"type": "string"}}}},
    {"name": "stamp", "inputSchema": {"type": "object", "properties": {"after_s": {"type": "number"}}}},
]
CHUNK = 200
"""Held calls that are answered before others get their turn."""

Reply = Callable[[dict[str, Any]], None]


class Server:
    """Answers requests; `reply` may be called much later."""

    def __init__(self) -> None:
        self._held: list[tuple[dict[str, Any], Reply]] = []
        self._is_open = False

    def take(self, request: dict[str, Any], reply: Reply) -> None:
        """Take one request in."""
        match request["method"]:
            case "initialize":
                info = {"name": "scale", "version": "1"}
                offer: dict[str, Any] = {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}},
                    "serverInfo": info,
                }
                reply(_answer(request, result=offer))
            case "tools/list":
                reply(_answer(request, result={"tools": TOOLS}))
            case "tools/call":
                self._call(request, reply)
            case "ping":
                reply(_answer(request, result={}))
            case _:
                reply(_answer(request, error={"code": -32601, "message": "Method not found"}))

    def _call(self, request: dict[str, Any], reply: Reply) -> None:
        arguments: dict[str, Any] = request["params"].get("arguments") or {}
        match request["params"]["name"]:
            case "hold" if not self._is_open:
                self._held.append((request, reply))
            case "stamp":
                delay_s: float = arguments.get("after_s", 0)
                end = lambda: reply(_text(request, str(time.monotonic_ns())))  # noqa: E731
                asyncio.get_running_loop().call_later(delay_s, end) if delay_s else end()
            case _:
                reply(_text(request, "held"))

    async def obey(self) -> None:
        """Listen for the order to answer what is held."""
        if "--control" in sys.argv:
            await asyncio.start_unix_server(self._open, sys.argv[sys.argv.index("--control") + 1])

    def _open(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        self._is_open = True
        self._let_go()

    def _let_go(self) -> None:
        going, self._held = self._held[:CHUNK], self._held[CHUNK:]
        for request, reply in going:
            reply(_text(request, "held"))
        if self._held:
            asyncio.get_running_loop().call_soon(self._let_go)


def _answer(request: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request["id"], **fields}


def _text(request: dict[str, Any], text: str) -> dict[str, Any]:
    return _answer(request, result={"content": [{"type": "text", "text": text}]})


async def serve_stdio() -> None:
    """Serve until our stdin ends."""
    loop, server = asyncio.get_running_loop(), Server()
    await server.obey()
    lines = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    def reply(answer: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    async for line in lines:
        message = json.loads(line)
        if "id" in message and "method" in message:
            server.take(message, reply)


async def serve_http() -> None:
    """Serve streamable HTTP in its plainest form, a JSON answer a POST, until our stdin ends; says its port first."""
    server = Server()
    await server.obey()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _exchange(server, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    loop, ended = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    listening = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await ended.read()


async def _exchange(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request and its answer; whether there may be another."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    method = head.split(" ", 1)[0]
    length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
    body = await reader.readexactly(length)
    if method != "post":
        _respond(writer, "405 Method Not Allowed", b"")
        return True
    message = json.loads(body)
    if "id" not in message or "method" not in message:
        _respond(writer, "202 Accepted", b"")
        return True
    answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    server.take(message, answered.set_result)
    _respond(writer, "200 OK", json.dumps(await answered).encode())
    await writer.drain()
    return True


def _respond(writer: asyncio.StreamWriter, status: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


if __name__ == "__main__":
    asyncio.run(serve_http() if "--http" in sys.argv else serve_stdio())
