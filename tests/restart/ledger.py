"""A server over HTTP in the test's own process: it survives every gateway, and knows what was executed how often."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asyncfc_mcp.transports.listener import Listener
from tests.bounds import bound_s
from tests.harness import FREE
from tests.process.support import LIMIT_S

STRING = {"type": "string"}
BOOK = {"type": "object", "properties": {"key": STRING, "value": STRING, "gate": STRING}}
TOOLS = [
    {"name": "write", "inputSchema": BOOK},
    {"name": "read", "inputSchema": BOOK, "annotations": {"readOnlyHint": True}},
    {"name": "say", "inputSchema": BOOK},
]


class Ledger:
    """What was executed, in order, and gates that keep calls from ending."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.executed: list[str] = []
        self.values: dict[str, str] = {}
        self._started: dict[str, anyio.Event] = {}
        self._open: dict[str, anyio.Event] = {}

    def entry(self, **settings: Any) -> dict[str, Any]:
        """Its entry in a configuration."""
        tools = {
            "write": {"reads": [], "writes": ["book/{key}"]},
            "read": {"reads": ["book/{key}"], "writes": []},
            "say": FREE,
        }
        return {"url": self.url, "asyncfc": {"prefix": "", "trust": True, "tools": tools, **settings}}

    def open(self, gate: str) -> None:
        """Let the calls go that wait at this gate, and those that will come to it."""
        self._open.setdefault(gate, anyio.Event()).set()

    async def started(self, gate: str) -> None:
        """Wait until a call has come to this gate."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            await self._started.setdefault(gate, anyio.Event()).wait()

    def forget_started(self, gate: str) -> None:
        """From now on wait for the next call to come to this gate."""
        self._started[gate] = anyio.Event()

    def count(self, line: str) -> int:
        """How often that was executed."""
        return self.executed.count(line)

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        key, value = str(arguments.get("key", "")), str(arguments.get("value", ""))
        self.executed.append(" ".join(part for part in (tool, key, value) if part))
        if gate := arguments.get("gate"):
            self._started.setdefault(gate, anyio.Event()).set()
            await self._open.setdefault(gate, anyio.Event()).wait()
        if tool == "write":
            self.values[key] = value
        said = self.values.get(key, "nothing") if tool == "read" else value
        return {"content": [{"type": "text", "text": said}]}

    async def answer(self, request: Request) -> Response:
        message: dict[str, Any] = json.loads(await request.body())
        params: dict[str, Any] = message.get("params") or {}
        match message.get("method"):
            case "initialize":
                result: dict[str, Any] = {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "ledger", "version": "1"},
                }
            case "tools/list":
                result = {"tools": TOOLS}
            case "tools/call":
                result = await self.call(params["name"], params.get("arguments") or {})
            case "ping":
                result = {}
            case _ if "id" in message:
                error = {"code": -32601, "message": "Method not found"}
                return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "error": error})
            case _:
                return Response(status_code=202)
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": result})


@asynccontextmanager
async def ledger() -> AsyncGenerator[Ledger]:
    """A ledger that listens until this is left."""
    listener = Listener("127.0.0.1", 0)
    book = Ledger(f"{listener.origin}/mcp")
    app = Starlette(routes=[Route("/mcp", book.answer, methods=["POST"])])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, app, anyio.lowlevel.checkpoint)
        yield book
        tasks.cancel_scope.cancel()
