"""A server of 2026-07-28 with one tool, which asks two questions at once; over stdio."""

from __future__ import annotations

import json
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

Json = dict[str, Any]


def question(name: str) -> Json:
    schema = {"type": "object", "properties": {name: {"type": "string"}}}
    params = {"mode": "form", "message": f"What is {name}?", "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}


async def list_tools(_: ServerRequestContext[Any, Any], __: types.PaginatedRequestParams) -> Json:
    tools = [{"name": "both", "inputSchema": {"type": "object"}}]
    return {"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private"}


async def call_tool(context: ServerRequestContext[Any, Any], _: types.CallToolRequestParams) -> Json:
    responses: Json = (context.params or {}).get("inputResponses") or {}
    if responses.keys() < {"a", "b"}:
        requests = {name: question(name) for name in "ab"}
        return {"resultType": "input_required", "inputRequests": requests, "requestState": "asked"}
    answers = [responses[name]["content"][name] for name in "ab"]
    return {"resultType": "complete", "content": [{"type": "text", "text": json.dumps(answers)}]}


async def main() -> None:
    server: Server[Any] = Server("survey", version="1")
    server.add_request_handler("tools/list", types.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    async with stdio_server() as (source, sink):
        await server.run(source, sink, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
