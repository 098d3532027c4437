"""A whole installation in this process: a program's servers, and a gateway in front of them or none."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from mcp import Client
from mcp.server.lowlevel import Server
from mcp.shared.memory import create_client_server_memory_streams
from mcp_types import CallToolResult

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import LoadedConfig, load_file
from asyncfc_mcp.config.models import RemoteEntry
from asyncfc_mcp.downstream import supervision
from asyncfc_mcp.downstream.links.link import Link
from benchmarks.workloads.labels import Policy, settings
from benchmarks.workloads.program import Program

Servers = Mapping[str, Server[Any]]


class GatewayWire:
    """A client of a gateway."""

    def __init__(self, client: Client, names: Mapping[tuple[str, str], str]) -> None:
        self._client = client
        self._names = names

    async def call(self, server: str, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        return await self._client.call_tool(self._names[server, tool], arguments)

    async def await_futures(self, tokens: Sequence[str]) -> CallToolResult:
        return await self._client.call_tool("await_future", {"futures": list(tokens)})


class DirectWire:
    """Clients of the servers themselves."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self._clients = clients

    async def call(self, server: str, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        return await self._clients[server].call_tool(tool, arguments)

    async def await_futures(self, tokens: Sequence[str]) -> CallToolResult:
        raise LookupError(f"without a gateway there are no futures: {', '.join(tokens)}")


@asynccontextmanager
async def without_gateway(servers: Servers) -> AsyncGenerator[DirectWire]:
    """A client at each server."""
    async with AsyncExitStack() as stack:
        yield DirectWire({name: await stack.enter_async_context(Client(server)) for name, server in servers.items()})


@asynccontextmanager
async def behind_gateway(
    program: Program, servers: Servers, policy: Policy, own_settings: Mapping[str, Any]
) -> AsyncGenerator[GatewayWire]:
    """A client at a gateway in front of the servers."""
    labels = settings(program.tools, policy)
    document = {
        "mcpServers": {
            name: {"url": f"http://{number}.invalid", "oauth": None, "asyncfc": labels[name]}
            for number, name in enumerate(servers)
        },
        "asyncfc": {"store": "memory", **own_settings},
    }
    app = App(_loaded(document), None)
    # The gateway has no link to a server in its own process, so the function that opens links is replaced here.
    real_link = supervision.remote_link
    supervision.remote_link = partial(_in_process_link, list(servers.values()))
    try:
        async with app.running(), Client(app.handlers.server) as client:
            yield GatewayWire(client, await tool_names(client))
    finally:
        supervision.remote_link = real_link


def _loaded(document: Mapping[str, Any]) -> LoadedConfig:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps(document))
        return load_file(file, {})


async def tool_names(client: Client) -> dict[tuple[str, str], str]:
    """How the gateway calls each server's tools."""
    listed = await client.list_tools()
    origins = [(tool.name, (tool.meta or {}).get("asyncfc/tool")) for tool in listed.tools]
    return {(origin["server"], origin["name"]): name for name, origin in origins if origin}


@asynccontextmanager
async def _in_process_link(servers: Sequence[Server[Any]], transport: RemoteEntry, *_: object) -> AsyncGenerator[Link]:
    server = servers[int((urlsplit(transport.url).hostname or "").partition(".")[0])]
    async with create_client_server_memory_streams() as (near, far), anyio.create_task_group() as tasks:
        tasks.start_soon(server.run, *far, server.create_initialization_options())
        yield Link(*near, trouble=lambda: None)
        tasks.cancel_scope.cancel()
