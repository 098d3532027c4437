"""The server of `eras.py` over HTTP with JSON bodies: `eras_http.py ERAS PORT`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from eras import Server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

ERAS = sys.argv[1]
servers: dict[str, Server] = {}
everything: list[dict[str, Any]] = []
"""What all sessions were sent, each message with its headers."""
aside: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
"""Answers that go over the stream of a session, and not over that of their request."""


class Announced(uvicorn.Server):
    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write("listening\n")
        sys.stdout.flush()


async def half() -> AsyncIterator[bytes]:
    yield b'{"jsonrpc": "2.0", '


async def endless() -> AsyncIterator[bytes]:
    yield b'{"jsonrpc": "2.0", "result": "'
    while True:
        yield b"x" * 100_000
        await asyncio.sleep(0)  # nothing else would let it hear that nobody listens any more


def event(message: dict[str, Any] | None) -> str:
    return f"event: message\ndata: {json.dumps(message)}\n\n"


async def events(answer: dict[str, Any] | None) -> AsyncIterator[str]:
    yield event(answer)


async def steps(token: Any, answer: dict[str, Any] | None) -> AsyncIterator[str]:
    params = {"progressToken": token, "progress": 1, "message": "half"}
    yield event({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    yield event(answer)


async def in_pieces(answer: dict[str, Any] | None) -> AsyncIterator[str]:
    said = ": hello\r\n\r\n" + event(answer)
    for start in range(0, len(said), 7):
        yield said[start : start + 7]
        await asyncio.sleep(0)


async def silence() -> AsyncIterator[str]:
    while True:
        yield ": nothing yet\n\n"
        await asyncio.sleep(0.01)


async def said_aside() -> AsyncIterator[str]:
    while True:
        yield event(await aside.get())


async def after_file(path: Path, answer: dict[str, Any] | None) -> AsyncIterator[str]:
    yield ": it works on it\n\n"
    while not path.exists():  # noqa: ASYNC110 - it comes from another process
        await asyncio.sleep(0.01)
    yield event(answer)


async def act_slowly(tool: str, arguments: dict[str, Any]) -> None:
    if tool == "slow":
        await asyncio.sleep(arguments["seconds"])
    if tool == "wait_for_file":
        path = Path(arguments["path"])
        Path(f"{path}.waiting").touch()
        while not path.exists():  # noqa: ASYNC110 - it comes from another process
            await asyncio.sleep(0.01)


async def post(request: Request) -> Response:
    message: dict[str, Any] = await request.json()
    params: dict[str, Any] = message.get("params") or {}
    session = request.headers.get("mcp-session-id")
    if message.get("method") == "initialize":
        session = f"session-{len(servers)}"
    server = servers.setdefault(session or "", Server(ERAS, lambda _: None))
    server.seen = everything
    message["x-headers"] = {key: value for key, value in request.headers.items() if key.startswith("mcp-")}
    message["x-header-names"] = sorted(request.headers.keys())
    message["x-cookies"] = request.cookies
    message["x-port"] = request.client.port if request.client else None
    if message.get("method") == "tools/call":
        if params["name"] == "break_off":
            return StreamingResponse(half(), headers={"content-length": "100"}, media_type="application/json")
        if params["name"] == "endless":
            return StreamingResponse(endless(), media_type="application/json")
        await act_slowly(params["name"], params.get("arguments") or {})
    answer = server.take(message)
    headers = {"mcp-session-id": session} if session else {}
    if (stream := as_stream(params, answer)) is not None:
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")
    if params.get("name") == "set_cookie":
        headers["set-cookie"] = "place=here"
    if params.get("name") == "packed_badly":
        return Response(b"no gzip", headers={**headers, "content-encoding": "gzip"}, media_type="application/json")
    if params.get("name") == "both":
        answer = {**(answer or {}), "error": {"code": 1, "message": "both"}}
    if params.get("name") == "for_another":
        answer = {**(answer or {}), "id": "no request of yours"}
    return JSONResponse(answer, headers=headers) if answer else Response(status_code=202, headers=headers)


def as_stream(params: dict[str, Any], answer: dict[str, Any] | None) -> AsyncIterator[str] | None:
    match params.get("name"):
        case "aside":
            aside.put_nowait(answer)
            return silence()
        case "as_events":
            return events(answer)
        case "as_steps":
            return steps(params["_meta"]["progressToken"], answer)
        case "in_pieces":
            return in_pieces(answer)
        case "after_file":
            return after_file(Path(params["arguments"]["path"]), answer)
        case _:
            return None


async def moved(_: Request) -> Response:
    return RedirectResponse("/mcp", 307)


async def listen(_: Request) -> Response:
    return StreamingResponse(said_aside(), media_type="text/event-stream")


async def delete(_: Request) -> Response:
    everything.append({"method": "DELETE"})
    return Response(status_code=204)


if __name__ == "__main__":
    app = Starlette(
        routes=[
            Route("/mcp", post, methods=["POST"]),
            Route("/mcp", delete, methods=["DELETE"]),
            Route("/moved", moved, methods=["POST"]),
            Route("/talkative", post, methods=["POST"]),
            Route("/talkative", listen, methods=["GET"]),
        ]
    )
    Announced(uvicorn.Config(app, port=int(sys.argv[2]), log_level="critical", ws="none", lifespan="off")).run()
