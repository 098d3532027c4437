"""The server behind every path of the overhead benchmark: an SDK low-level server that does as good as nothing.

`python benchmarks/overhead/server.py [--port N] [--tools N]`, on stdio without a port.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import anyio
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

ECHO, BLOB, FINISH = "echo", "blob", "finish"
TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def tool(name: str, description: str, properties: dict[str, Any]) -> Tool:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name=name, description=description, input_schema=schema)


def listed(count: int) -> list[Tool]:
    """The three tools that are called, and further ones of a usual size up to `count`."""
    tools = [
        tool(ECHO, "Gives the text back.", {"text": TEXT}),
        tool(BLOB, "Gives that many characters.", {"size": NUMBER}),
        tool(FINISH, "Waits, and says at which nanosecond it ended.", {"seconds": NUMBER}),
    ]
    properties = {
        f"field_{number}": {**TEXT, "description": "One of the things that it takes. " * 3} for number in "abcd"
    }
    further = (tool(f"tool_{number}", "Does one of many things. " * 8, properties) for number in range(3, count))
    return [*tools, *further]


async def answer(name: str, arguments: dict[str, Any]) -> str:
    if name == ECHO:
        return arguments["text"]
    if name == BLOB:
        return "x" * int(arguments["size"])
    await anyio.sleep(arguments["seconds"])
    return str(time.time_ns())


def build(tool_count: int) -> Server[Any]:
    tools = listed(tool_count)
    schemas = {one.name: one.input_schema for one in tools}

    async def list_tools(_context: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(_context: Any, params: CallToolRequestParams) -> CallToolResult:
        text = await answer(params.name, params.arguments or {})
        return CallToolResult(content=[TextContent(text=text)])

    return Server("overhead", get_tool_input_schema=schemas.get, on_list_tools=list_tools, on_call_tool=call_tool)


async def main(options: argparse.Namespace) -> None:
    server = build(options.tools)
    if options.port is not None:
        app = server.streamable_http_app()
        await uvicorn.Server(uvicorn.Config(app, port=options.port, log_level="warning")).serve()
        return
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--tools", type=int, default=3)
    anyio.run(main, parser.parse_args())
