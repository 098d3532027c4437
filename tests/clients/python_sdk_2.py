"""Plays the scenario with the Python SDK 2.x, in the era that is asked for: `python_sdk_2.py ERA COMMAND ARGS`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import anyio
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from scenario import run_scenario


async def main() -> None:
    era, command, *arguments = sys.argv[1:]
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with Client(server, mode=era) as client:

        async def call(name: str, values: dict[str, Any], limit_s: float | None) -> dict[str, Any]:
            result = await client.call_tool(name, values, read_timeout_seconds=limit_s)
            return result.model_dump(mode="json", by_alias=True, exclude_none=True)

        tools = (await client.list_tools()).tools
        report = {"tools": [tool.name for tool in tools], **await run_scenario(call, MCPError)}
    sys.stdout.write(json.dumps(report))


anyio.run(main)
