"""A traced MCP server over stdio, for both eras: it exports the SDK's spans as the environment says.

`hold` waits for `release` of the same key; `parent` says which trace context came with its call.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.telemetry.exporting import start_exporting

Json = dict[str, Any]
GATES: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)


async def list_tools(_: ServerRequestContext[Any, Any], __: types.PaginatedRequestParams) -> Json:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    tools = [{"name": name, "inputSchema": schema} for name in ("echo", "fail", "reject", "hold", "release", "parent")]
    return {"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private"}


async def call_tool(context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams) -> Json:
    text = str((params.arguments or {}).get("text", ""))
    match params.name:
        case "hold":
            await GATES[text].wait()
        case "release":
            GATES[text].set()
        case "parent":
            text = str((context.meta or {}).get("traceparent"))
        case "reject":
            raise MCPError(types.INVALID_PARAMS, f"refused: {text}")
        case _:
            pass
    result: Json = {"resultType": "complete", "content": [{"type": "text", "text": text}]}
    return {**result, "isError": True} if params.name == "fail" else result


async def main() -> None:
    server: Server[Any] = Server("traced", version="1")
    server.add_request_handler("tools/list", types.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    async with stdio_server() as (source, sink):
        await server.run(source, sink, server.create_initialization_options())


if __name__ == "__main__":
    os.environ["OTEL_SERVICE_NAME"] = "traced"
    start_exporting(os.environ)
    anyio.run(main)
