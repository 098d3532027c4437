"""The tools of a conversation: straight from the servers, or through the gateway process, under the same names."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent, Tool

from benchmarks.common import gateway_process

Json = dict[str, Any]
SERVER = Path(__file__).with_name("server.py")
LABELS: Mapping[str, Mapping[str, Any]] = {
    "library": {name: {"reads": []} for name in ("search", "read_page", "draw_chart")},
    "files": {
        "list_files": {"reads": ["files"]},
        "read_file": {"reads": ["files/{path:path}"]},
        "write_file": {"writes": ["files/{path:path}"]},
    },
    "lab": {
        "measure": {"reads": ["lab/sensors/{sensor}"]},
        "calibrate": {"writes": ["lab/sensors/{sensor}"]},
        "run_simulation": {"reads": []},
        "submit_report": {"writes": ["lab/reports"]},
    },
}
"""What each tool reads and writes, as a user would declare it."""

_MOST_AWAITS = 4
"""Each waits as long as the gateway lets a request wait."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What a model may call."""

    definitions: tuple[Json, ...]
    """As chat-completions endpoints want them."""
    instructions: str
    """What the servers tell a model when a client connects."""
    clients: Mapping[str, tuple[Client, str]]
    """Who answers a tool, and what the tool is called there."""

    async def call(self, name: str, arguments: Json) -> CallToolResult:
        """The result, or in its form what went wrong."""
        client, own_name = self.clients[name]
        try:
            return await client.call_tool(own_name, arguments)
        except MCPError as error:
            return CallToolResult(content=[TextContent(type="text", text=f"Error: {error}")], is_error=True)

    async def settle(self) -> None:
        """Wait until nothing runs any more behind the gateway, so that the final state is final."""
        for _ in range(_MOST_AWAITS if "await_future" in self.clients else 0):
            said = await self.call("await_future", {"futures": []})
            if "Still unsettled after " not in str(said.content):
                return


@asynccontextmanager
async def straight(servers: Sequence[str], folder: Path) -> AsyncGenerator[Toolbox]:
    """The servers without a gateway."""
    async with AsyncExitStack() as connections:
        definitions: list[Json] = []
        clients: dict[str, tuple[Client, str]] = {}
        for server in servers:
            parameters = StdioServerParameters(command=sys.executable, args=[str(SERVER), server, str(folder)])
            client = await connections.enter_async_context(Client(stdio_client(parameters)))
            for tool in (await client.list_tools()).tools:
                name = f"{server}_{tool.name}"
                definitions.append(_definition(name, tool))
                clients[name] = (client, tool.name)
        yield Toolbox(tuple(definitions), "", clients)


@asynccontextmanager
async def through_gateway(
    servers: Sequence[str], folder: Path, settings: Mapping[str, Any], *, has_labels: bool = True
) -> AsyncGenerator[Toolbox]:
    """The servers behind the gateway process."""
    entries = {server: _entry(server, folder, has_labels=has_labels) for server in servers}
    async with gateway_process(entries, **settings) as client:
        tools = (await client.list_tools()).tools
        definitions = tuple(_definition(tool.name, tool) for tool in tools)
        yield Toolbox(definitions, client.instructions or "", {tool.name: (client, tool.name) for tool in tools})


def _entry(server: str, folder: Path, *, has_labels: bool) -> Json:
    settings: Json = {"concurrency": 64, **({"tools": LABELS[server]} if has_labels else {})}
    return {"command": sys.executable, "args": [str(SERVER), server, str(folder)], "asyncfc": settings}


def _definition(name: str, tool: Tool) -> Json:
    function: Json = {"name": name, "description": tool.description or "", "parameters": tool.input_schema}
    return {"type": "function", "function": function}
