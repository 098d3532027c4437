"""Plays the scenario with the Python SDK 2.x: `python_sdk_2.py ERA stdio COMMAND ARGS` or `... ERA http|sse URL`."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import Client, MCPError
from mcp.client.session import ClientSession
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters
from mcp.client.subscriptions import listen
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from scenario import play
from sessions import Updates, as_json, print_report


class Sdk2:
    timed_out = MCPError

    def __init__(self, client: Client, updates: Updates) -> None:
        self.client = client
        self.updates = updates

    async def names(self) -> dict[str, list[str]]:
        return {
            "tools": [tool.name for tool in (await self.client.list_tools()).tools],
            "resources": [resource.uri for resource in (await self.client.list_resources()).resources],
            "prompts": [prompt.name for prompt in (await self.client.list_prompts()).prompts],
        }

    async def call(self, tool: str, arguments: dict[str, Any], limit_s: float | None = None) -> dict[str, Any]:
        return as_json(await self.client.call_tool(tool, arguments, read_timeout_seconds=limit_s))

    async def read(self, uri: str) -> dict[str, Any]:
        return as_json(await self.client.read_resource(uri))

    async def prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        return as_json(await self.client.get_prompt(name, arguments))

    @asynccontextmanager
    async def watch(self, uri: str) -> AsyncGenerator[anyio.Event]:
        async with watching(self.client.session, self.updates, uri) as updated:
            yield updated


@asynccontextmanager
async def watching(session: ClientSession, updates: Updates, uri: str) -> AsyncGenerator[anyio.Event]:
    """Subscribe the way the era of the session has for it."""
    if session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        subscribe, unsubscribe = session.subscribe_resource, session.unsubscribe_resource  # pyright: ignore[reportDeprecated]
        async with updates.watch(uri, subscribe, unsubscribe) as updated:
            yield updated
        return
    updated = anyio.Event()
    async with listen(session, resource_subscriptions=[uri]) as changes, anyio.create_task_group() as tasks:

        async def first() -> None:
            await anext(changes)
            updated.set()

        tasks.start_soon(first)
        yield updated
        tasks.cancel_scope.cancel()


async def main() -> None:
    _, era, door, *where = sys.argv
    server: Any = where[0]
    if door == "stdio":
        server = StdioServerParameters(command=where[0], args=where[1:], env=dict(os.environ))
    elif door == "sse":
        server = sse_client(where[0])
    updates = Updates()
    async with Client(server, mode=era, message_handler=updates.handle) as client:
        print_report(await play(Sdk2(client, updates)))


if __name__ == "__main__":
    anyio.run(main)
