"""The bare SDK relay: an SDK client behind an SDK low-level server, with nothing between them.

It is the floor of anything that has two SDK ends. It forwards `tools/list` and `tools/call` and has no scheduler, no
checks and no logs: `python benchmarks/relay.py [--port N] (--url URL | COMMAND ...)`.
"""

from __future__ import annotations

import argparse
from typing import Any

import anyio
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams


def relay_to(client: Client) -> Server[Any]:
    """A server whose tools are those of the client's server."""
    schemas: dict[str, Any] = {}

    async def list_tools(_context: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        listed = await client.session.list_tools(params=params)
        schemas.update({tool.name: tool.input_schema for tool in listed.tools})
        return listed

    async def call_tool(_context: Any, params: CallToolRequestParams) -> CallToolResult:
        return await client.session.call_tool(params.name, params.arguments)

    # Without the schemas the SDK would run the whole list before each call over HTTP.
    return Server("relay", get_tool_input_schema=schemas.get, on_list_tools=list_tools, on_call_tool=call_tool)


async def serve(server: Server[Any], port: int | None) -> None:
    """Serve on stdio, or over HTTP at a port."""
    if port is not None:
        app = server.streamable_http_app()
        await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()
        return
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


async def main(options: argparse.Namespace) -> None:
    """Relay until the client goes."""
    command, *arguments = options.command or [""]
    target: Any = options.url or stdio_client(StdioServerParameters(command=command, args=arguments))
    async with Client(target) as client:
        await serve(relay_to(client), options.port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--url")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    anyio.run(main, parser.parse_args())
