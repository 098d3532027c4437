"""Plays the scenario with the Python SDK 1.x: `python_sdk_1.py stdio COMMAND ARGS` or `... http|sse URL`."""

# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false
# the SDK that pyright sees is 2.x

from __future__ import annotations

import os
import sys
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import anyio
from mcp import ClientSession, McpError
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from scenario import play
from sessions import Updates, as_json, print_report


class Sdk1:
    timed_out = McpError

    def __init__(self, session: ClientSession, updates: Updates) -> None:
        self.session = session
        self.updates = updates

    async def names(self) -> dict[str, list[str]]:
        return {
            "tools": [tool.name for tool in (await self.session.list_tools()).tools],
            "resources": [str(resource.uri) for resource in (await self.session.list_resources()).resources],
            "prompts": [prompt.name for prompt in (await self.session.list_prompts()).prompts],
        }

    async def call(self, tool: str, arguments: dict[str, Any], limit_s: float | None = None) -> dict[str, Any]:
        limit = timedelta(seconds=limit_s) if limit_s is not None else None
        return as_json(await self.session.call_tool(tool, arguments, read_timeout_seconds=limit))

    async def read(self, uri: str) -> dict[str, Any]:
        return as_json(await self.session.read_resource(uri))

    async def prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        return as_json(await self.session.get_prompt(name, arguments))

    def watch(self, uri: str) -> AbstractAsyncContextManager[anyio.Event]:
        return self.updates.watch(uri, self.session.subscribe_resource, self.session.unsubscribe_resource)


def connection(door: str, where: list[str]) -> AbstractAsyncContextManager[Any]:
    match door:
        case "stdio":
            return stdio_client(StdioServerParameters(command=where[0], args=where[1:], env=dict(os.environ)))
        case "sse":
            return sse_client(where[0])
        case _:
            return streamable_http_client(where[0])


async def main() -> None:
    _, door, *where = sys.argv
    updates = Updates()
    async with (
        connection(door, where) as (read, write, *_),
        ClientSession(read, write, message_handler=updates.handle) as session,
    ):
        await session.initialize()
        print_report(await play(Sdk1(session, updates)))


anyio.run(main)
