"""A program's servers as real MCP servers in this process, over one shared world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as WireTool

from benchmarks.workloads.canonical import canonical
from benchmarks.workloads.world import Latency, Tool, ToolsOfServers, World


class Backend:
    """The servers of one run; a run that is repeated needs a new one."""

    def __init__(self, world: World, tools: ToolsOfServers) -> None:
        self._world = world
        self._tools = tools

    def servers(self, latency: Latency) -> Mapping[str, Server[Any]]:
        """An MCP server for each name."""
        return {name: self.server(name, latency) for name in self._tools}

    def server(self, name: str, latency: Latency) -> Server[Any]:
        """One of the servers."""
        listed = ListToolsResult(tools=[_wire_tool(tool) for tool in self._tools[name]])
        seen: Counter[tuple[str, str]] = Counter()

        async def list_tools(
            _context: ServerRequestContext[Any], _params: PaginatedRequestParams | None
        ) -> ListToolsResult:
            return listed

        async def call_tool(_context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
            arguments = params.arguments or {}
            key = (params.name, canonical(arguments))
            occurrence = seen[key]
            seen[key] += 1
            # The work takes effect as it ends, so that calls which overlap wrongly do go wrong.
            await anyio.sleep(latency.seconds(name, params.name, arguments, occurrence))
            answer = self._world.call(name, params.name, arguments)
            return CallToolResult(content=[TextContent(text=answer.text)], is_error=answer.is_error)

        return Server(name, on_list_tools=list_tools, on_call_tool=call_tool)

    def state(self) -> Any:
        """What the calls have made of the world."""
        return self._world.state()


def _wire_tool(tool: Tool) -> WireTool:
    hints = None if tool.writes else ToolAnnotations(read_only_hint=True)
    return WireTool(name=tool.name, description=tool.description, input_schema=tool.input_schema, annotations=hints)
