"""Plays the scenario with the Python SDK 1.x: `python_sdk_1.py COMMAND ARGS`, with the interpreter that has it."""

# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false
# the SDK that pyright sees is 2.x

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import Any

import anyio
from mcp import ClientSession, McpError
from mcp.client.stdio import StdioServerParameters, stdio_client
from scenario import run_scenario


async def main() -> None:
    command, *arguments = sys.argv[1:]
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with stdio_client(server) as streams, ClientSession(*streams) as session:

        async def call(name: str, values: dict[str, Any], limit_s: float | None) -> dict[str, Any]:
            limit = timedelta(seconds=limit_s) if limit_s is not None else None
            result = await session.call_tool(name, values, read_timeout_seconds=limit)
            return result.model_dump(mode="json", by_alias=True, exclude_none=True)

        await session.initialize()
        tools = (await session.list_tools()).tools
        report = {"tools": [tool.name for tool in tools], **await run_scenario(call, McpError)}
    sys.stdout.write(json.dumps(report))


anyio.run(main)
