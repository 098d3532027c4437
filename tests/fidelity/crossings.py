"""Records the script of every server directly, and behind gateways on stdio and on HTTP, for clients of both eras.

On stdio the gateway is the real process; on HTTP it is the application in this one, at a real socket.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import anyio

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from tests.fidelity.doors import Door, Era, Json, User, connected, connected_to
from tests.fidelity.gateways import ERAS, document_of, exposed_name, folder_of, gateway_command
from tests.fidelity.recording import steady_text
from tests.fidelity.script import SCRIPTS
from tests.fidelity.servers import GALLERY, RealServer
from tests.fidelity.surfaces import Step, record_lists, record_steps
from tests.transports.support import serving

Way = Literal["direct", "stdio", "http"]
ON_HTTP = (GALLERY,)
_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Crossing:
    """Which of the recordings."""

    way: Way
    era: Era
    server: str


@dataclass(frozen=True, slots=True)
class Script:
    """What one client saw of one server."""

    lists: Mapping[str, Json]
    """By the method that asks for each, before any step; behind a gateway those of all its servers."""
    seen: tuple[Json, ...]
    """One for each step."""
    lists_later: Mapping[str, Json]
    """After the last step."""


async def record_crossings(servers: Iterable[RealServer], home: Path) -> dict[Crossing, Script]:
    """Every recording that there is, each in a folder of its own."""
    chosen = tuple(servers)
    recordings: dict[Crossing, Script] = {}
    turns = anyio.CapacityLimiter(_AT_ONCE)

    async def directly(server: RealServer, era: Era) -> None:
        folder = folder_of(server, home / f"direct-{era}")
        async with turns, connected(server.command(folder), era, env=server.env(folder), user=User()) as door:
            await door.client.list_tools()
            recordings[Crossing("direct", era, server.name)] = await _record(server, door, folder)

    async def behind(way: Way, era: Era, those: tuple[RealServer, ...]) -> None:
        place = home / f"{way}-{era}"
        folders = {server.name: folder_of(server, place) for server in those}
        config = place / "config.json"
        config.write_text(json.dumps(document_of(those, folders, "auto")))
        async with turns, _gateway(way, era, config) as door:
            tools = (await door.client.list_tools()).tools
            listed = [tool.model_dump(by_alias=True, exclude_unset=True) for tool in tools]
            lists = await record_lists(door)
            for server in those:
                recorded = await _record(server, door, folders[server.name], lists=lists, listed=listed)
                recordings[Crossing(way, era, server.name)] = recorded

    async with anyio.create_task_group() as tasks:
        for era in ERAS:
            tasks.start_soon(behind, "stdio", era, chosen)
            tasks.start_soon(behind, "http", era, ON_HTTP)
            for server in chosen:
                tasks.start_soon(directly, server, era)
    return recordings


@asynccontextmanager
async def _gateway(way: Way, era: Era, config: Path) -> AsyncGenerator[Door]:
    if way == "stdio":
        env = {"ASYNCFC_STATE_FOLDER": str(config.parent / "state")}
        errors = config.parent / "log"
        async with connected(gateway_command(config), era, env=env, errors=errors, user=User()) as door:
            yield door
        return
    app = App(load_file(config, os.environ), None, serves_network=True)
    async with serving(app, "http") as url, connected_to(url, era, user=User()) as door:
        yield door


async def _record(
    server: RealServer,
    door: Door,
    folder: Path,
    *,
    lists: Mapping[str, Json] | None = None,
    listed: Iterable[Mapping[str, Any]] | None = None,
) -> Script:
    def translated(step: Step) -> Step:
        return step if listed is None else behind_gateway(step, server.name, listed)

    if lists is None:
        lists = await record_lists(door)
    seen = await record_steps(door, SCRIPTS[server.name], translated)
    later = await record_lists(door)
    return Script(
        steady_text(lists, folder),
        tuple(steady_text(json.loads(json.dumps(asdict(one))), folder) for one in seen),
        steady_text(later, folder),
    )


def behind_gateway(step: Step, server: str, listed: Iterable[Mapping[str, Any]]) -> Step:
    """The step with the names that tools and prompts have there; URIs stay as they are."""
    params = step.params
    if step.method == "tools/call":
        return replace(step, params={**params, "name": exposed_name(server, params["name"], listed)})
    if step.method == "prompts/get":
        return replace(step, params={**params, "name": f"{server}_{params['name']}"})
    if step.method == "completion/complete" and "name" in params["ref"]:
        return replace(step, params={**params, "ref": {**params["ref"], "name": f"{server}_{params['ref']['name']}"}})
    return step
