"""Plays the scenario with FastMCP's client: `fastmcp_client.py ERA stdio COMMAND ARGS` or `... ERA http|sse URL`."""

# pyright: basic, reportMissingImports=false
# it lives in an environment of its own

from __future__ import annotations

import os
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from mcp import MCPError
from python_sdk_2 import watching
from scenario import play
from sessions import Updates, as_json, print_report


class FastMcp:
    timed_out = MCPError

    def __init__(self, client: Client, updates: Updates) -> None:
        self.client = client
        self.updates = updates

    async def names(self) -> dict[str, list[str]]:
        return {
            "tools": [tool.name for tool in await self.client.list_tools()],
            "resources": [str(resource.uri) for resource in await self.client.list_resources()],
            "prompts": [prompt.name for prompt in await self.client.list_prompts()],
        }

    async def call(self, tool: str, arguments: dict[str, Any], limit_s: float | None = None) -> dict[str, Any]:
        return as_json(await self.client.call_tool_mcp(tool, arguments, timeout=limit_s))

    async def read(self, uri: str) -> dict[str, Any]:
        return as_json(await self.client.read_resource_mcp(uri))

    async def prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        return as_json(await self.client.get_prompt_mcp(name, arguments))

    def watch(self, uri: str) -> AbstractAsyncContextManager[anyio.Event]:
        # it has no call of its own for this
        return watching(self.client.session, self.updates, uri)


async def main() -> None:
    _, era, door, *where = sys.argv
    match door:
        case "stdio":
            transport: Any = StdioTransport(where[0], where[1:], env=dict(os.environ), keep_alive=False)
        case "sse":
            transport = SSETransport(where[0])
        case _:
            transport = StreamableHttpTransport(where[0])
    updates = Updates()
    async with Client(transport, mode=era, message_handler=updates.handle) as client:
        print_report(await play(FastMcp(client, updates)))


anyio.run(main)
