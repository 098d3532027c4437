"""Records every real server once directly and once behind the gateway, in each mode and each era.

The gateway is the real process; one of them stands in front of all the servers at once, as users have it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio

from tests.fidelity.doors import Door, Era, connected
from tests.fidelity.recording import Recording, filled, record, steadied
from tests.fidelity.servers import RealServer

Mode = Literal["auto", "sync", "structured"]
MODES: tuple[Mode, ...] = ("auto", "sync", "structured")
ERAS: tuple[Era, ...] = ("legacy", "auto")
SETTINGS: Mapping[Mode, Mapping[str, Any]] = {
    "auto": {},
    "sync": {"mode": "sync"},
    "structured": {"structured": True},
}
_AT_ONCE = 3
"""More than two or three starting processes only take turns on a small machine."""


@dataclass(frozen=True, slots=True)
class Side:
    """Which of the recordings of one server."""

    server: str
    era: Era
    mode: Mode | None
    """None: without a gateway."""


def gateway_command(config: Path) -> list[str]:
    return [sys.executable, "-m", "asyncfc_mcp", "serve", "--config", str(config)]


def exposed_name(server: str, tool: str, listed: Iterable[Mapping[str, Any]]) -> str:
    """The name that the gateway says a server's tool has; for one that does not exist, what it would have."""
    for each in listed:
        if each.get("_meta", {}).get("asyncfc/tool") == {"server": server, "name": tool}:
            return each["name"]
    return f"{server}_{tool}"


async def record_all(servers: Iterable[RealServer], home: Path) -> dict[Side, Recording]:
    """Every recording that there is, each in a folder of its own."""
    chosen = tuple(servers)
    recordings: dict[Side, Recording] = {}
    turns = anyio.CapacityLimiter(_AT_ONCE)

    async def directly(server: RealServer, era: Era) -> None:
        async with turns:
            folder = folder_of(server, home / f"direct-{era}-none")
            async with connected(server.command(folder), era, env=server.env(folder)) as door:
                recordings[Side(server.name, era, None)] = await _record(server, door, folder)

    async def behind(mode: Mode, era: Era) -> None:
        async with turns:
            place = home / f"{mode}-{era}-gateway"
            folders = {server.name: folder_of(server, place) for server in chosen}
            config = place / "config.json"
            config.write_text(json.dumps(document_of(chosen, folders, mode)))
            env = {"ASYNCFC_STATE_FOLDER": str(place / "state")}
            async with connected(gateway_command(config), era, env=env, errors=place / "log") as door:
                for server in chosen:
                    recorded = await _record(server, door, folders[server.name], behind_gateway=True)
                    recordings[Side(server.name, era, mode)] = recorded

    async with anyio.create_task_group() as tasks:
        for era in ERAS:
            for mode in MODES:
                tasks.start_soon(behind, mode, era)
            for server in chosen:
                tasks.start_soon(directly, server, era)
    return recordings


def folder_of(server: RealServer, place: Path) -> Path:
    """A folder of its own for one server, with all that it needs."""
    folder = place / server.name
    folder.mkdir(parents=True)
    server.prepare(folder)
    return folder


def document_of(servers: Iterable[RealServer], folders: Mapping[str, Path], mode: Mode) -> dict[str, Any]:
    """The configuration of a gateway in front of these."""
    entries: dict[str, Any] = {}
    for server in servers:
        program, *arguments = server.command(folders[server.name])
        env = dict(server.env(folders[server.name]))
        entries[server.name] = {"command": program, "args": arguments, "env": env}
    # the calls here follow each other at once, so the step they share would turn quick ones into tokens
    return {"mcpServers": entries, "asyncfc": {"inline_wait_s": 20, **SETTINGS[mode]}}


async def _record(server: RealServer, door: Door, folder: Path, *, behind_gateway: bool = False) -> Recording:
    calls = [filled(call, folder) for call in server.calls]
    listed = (await door.client.list_tools()).tools if behind_gateway else []
    tools = [tool.model_dump(by_alias=True, exclude_unset=True) for tool in listed]

    def name_of(tool: str) -> str:
        return exposed_name(server.name, tool, tools) if behind_gateway else tool

    return steadied(await record(door, calls, name_of), folder)
