"""Where a demonstration happens: its temporary folder, the gateway's configuration and the gateway's process."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from asyncfc_mcp.demo.program import TRIP
from asyncfc_mcp.demo.simulation import Simulation
from asyncfc_mcp.errors import GatewayError

LOG_TAIL = 12
"""Lines of the gateway's log that an error shows."""


class ToolsMissing(GatewayError):
    """The gateway does not offer what the program calls."""

    def __init__(self, missing: frozenset[str], log: str) -> None:
        super().__init__(f"the gateway started without the tools {', '.join(sorted(missing))}; its log ends:\n{log}")
        self.missing = missing
        self.log = log


@dataclass(frozen=True, slots=True)
class Place:
    """The temporary folder of one demonstration."""

    root: Path

    @property
    def files(self) -> Path:
        """Where the small servers keep their state."""
        return self.root / "trip"

    @property
    def journal(self) -> Path:
        """Where the small servers write down when they work."""
        return self.root / "journal.jsonl"

    def start_over(self) -> None:
        """Empties the state, so that every run begins with the same."""
        self.files.mkdir(exist_ok=True)
        for file in (*self.files.iterdir(), self.journal):
            file.unlink(missing_ok=True)

    def state(self) -> dict[str, str]:
        """The text of every file of the state."""
        return {file.name: file.read_text(encoding="utf-8") for file in sorted(self.files.iterdir())}

    def log_tail(self) -> str:
        """The last lines that the gateway wrote to its log."""
        log = self.root / "gateway.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-LOG_TAIL:]) or "(nothing)"

    @asynccontextmanager
    async def gateway(self, simulation: Simulation) -> AsyncGenerator[Client]:
        """A client of a gateway process of our own, once all three servers have shown their tools."""
        file = self.root / "gateway.json"
        file.write_text(json.dumps(configuration(simulation, self.files), indent=2), encoding="utf-8")
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-m", "asyncfc_mcp", "serve", "--config", str(file)],
            # What the gateway remembers of these servers goes when the folder goes.
            env={"ASYNCFC_STATE_FOLDER": str(self.root / "state")},
        )
        with (self.root / "gateway.log").open("w", encoding="utf-8") as log:
            async with Client(stdio_client(parameters, errlog=log)) as client:
                offered = {tool.name for tool in (await client.list_tools()).tools}
                if missing := frozenset(call.gateway_tool for call in TRIP) - offered:
                    raise ToolsMissing(missing, self.log_tail())
                yield client


def configuration(simulation: Simulation, files: Path) -> dict[str, Any]:
    """The gateway's configuration: the three servers, and the resource labels of each tool."""
    servers: dict[str, Any] = {}
    for call in TRIP:
        servers.setdefault(
            call.server,
            {
                "command": sys.executable,
                "args": [*server_arguments(call.server, simulation, files)],
                "asyncfc": {"tools": {}},
            },
        )
        labels = {"reads": [*call.reads], "writes": [*call.writes]}
        servers[call.server]["asyncfc"]["tools"][call.tool] = labels
    return {"mcpServers": servers}


def server_arguments(server: str, simulation: Simulation, files: Path) -> tuple[str, ...]:
    """What Python is started with to be one of the small servers."""
    return ("-m", f"asyncfc_mcp.demo.servers.{server}", *simulation.arguments(), "--folder", str(files))
