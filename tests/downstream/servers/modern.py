"""A well-behaved server made with the SDK: over stdio, or as `modern.py KIND PORT` over HTTP."""

import socket
import sys
from pathlib import Path

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Nothing(BaseModel):
    pass


def build() -> MCPServer:
    server = MCPServer("modern", instructions="Be modern.", version="2")
    started = 0

    @server.tool()
    async def echo(text: str) -> str:
        return text

    @server.tool()
    async def header(context: Context, name: str) -> str:
        return (context.headers or {}).get(name, "")

    @server.tool()
    async def size(count: int) -> str:
        return "x" * count

    @server.tool()
    async def steps(context: Context) -> str:
        for step in range(3):
            await context.report_progress(step + 1, 3, f"step {step + 1}")
        return "walked"

    @server.tool()
    async def ask_user(context: Context, message: str) -> str:
        return (await context.elicit(message, Nothing)).action

    @server.tool()
    async def wait_for_file(path: str) -> str:
        Path(path + ".waiting").touch()
        while not Path(path).exists():  # noqa: ASYNC110 - it comes from another process
            await anyio.sleep(0.01)
        return "found"

    @server.tool()
    async def sleep_until_cancelled() -> str:
        nonlocal started
        started += 1
        try:
            await anyio.sleep_forever()
        finally:
            started -= 1
        return "never"

    @server.tool()
    async def sleeping() -> int:
        return started

    @server.tool()
    async def grow(context: Context) -> str:
        async def grown() -> str:
            return "grown"

        server.add_tool(grown)
        await context.notify_tools_changed()
        await context.session.send_tool_list_changed()
        return "grown"

    return server


def without_discovery(app: ASGIApp) -> ASGIApp:
    """A server of the handshake era: it knows no `server/discover`."""

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (b"mcp-method", b"server/discover") in scope["headers"]:
            await Response("what?", 400)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return legacy


def application(kind: str) -> ASGIApp:
    if kind == "refusing":
        return Response("who are you?", 401)
    if kind == "sse":
        return build().sse_app()
    app = build().streamable_http_app()
    return without_discovery(app) if kind == "legacy_http" else app


class Announced(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write("listening\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:]:
        Announced(
            uvicorn.Config(application(sys.argv[1]), port=int(sys.argv[2]), log_level="critical", ws="none")
        ).run()
    else:
        build().run()
