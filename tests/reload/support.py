"""Gateways whose configuration file is changed while they run."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil

from tests.bounds import bound_s
from tests.harness import FREE, STEERING
from tests.process.support import LIMIT_S, RawGateway, alive, started
from tests.restart.support import TOKEN, Visitor
from tests.transports.support import BOTH, RawHttp

NAMED = Path(__file__).parent / "servers" / "named.py"
Json = dict[str, Any]


def named(who: str = "first", **settings: Any) -> Json:
    """The entry of a server that knows its name; tools that steer it, and `who`, conflict with nothing."""
    tools = {**dict.fromkeys((*STEERING, "who"), FREE), **settings.pop("tools", {})}
    return {
        "command": sys.executable,
        "args": [str(NAMED)],
        "env": {"WHO": who},
        "asyncfc": {"tools": tools, **settings},
    }


class ConfigOnDisk:
    """The file that a running gateway follows."""

    def __init__(self, folder: Path, process: RawGateway) -> None:
        self.path = folder / "config.json"
        self._process = process
        self._taken_up = 0

    def write(self, servers: Mapping[str, Any], **settings: Any) -> None:
        """Put another file in its place, as editors do."""
        self.write_text(json.dumps({"mcpServers": servers, "asyncfc": settings}))

    def write_text(self, text: str) -> None:
        written = self.path.with_suffix(".new")
        written.write_text(text)
        written.replace(self.path)

    async def change(self, servers: Mapping[str, Any], **settings: Any) -> Json:
        """Have the gateway take up another file at once; what it says of that."""
        self.write(servers, **settings)
        return await self.taken_up()

    async def taken_up(self) -> Json:
        """Have the gateway look; what it has taken up."""
        self._process.signal(signal.SIGHUP)
        self._taken_up += 1
        return await self._process.logged("configuration_taken_up", self._taken_up)


@asynccontextmanager
async def over_stdio(
    folder: Path, servers: Mapping[str, Any], **settings: Any
) -> AsyncGenerator[tuple[RawGateway, ConfigOnDisk]]:
    """A gateway on stdio whose client has shaken hands, and its file."""
    async with started(folder, servers, settings=settings) as gateway:
        await gateway.initialize()
        yield gateway, ConfigOnDisk(folder, gateway)


@asynccontextmanager
async def over_http(
    folder: Path, servers: Mapping[str, Any], **settings: Any
) -> AsyncGenerator[tuple[Visitor, ConfigOnDisk]]:
    """A gateway over HTTP with a client of the later era, and its file."""
    options = ("--transport", "http", "--port", "0")
    async with started(folder, servers, *options, settings=settings, environment={"ASYNCFC_TOKEN": TOKEN}) as process:
        url = (await process.logged("listening"))["url"]
        headers = {**BOTH, "authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(headers=headers, timeout=bound_s(LIMIT_S)) as client:
            yield Visitor(process, RawHttp(client, url)), ConfigOnDisk(folder, process)


class Gate:
    """Holds calls of `hold_until` back, also those that are beyond every tool."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    async def begun(self) -> None:
        """Wait until a call has begun to wait for it."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while not Path(f"{self.path}.begun").exists():  # noqa: ASYNC110 - another process makes it
                await anyio.sleep(0.01)

    def open(self) -> None:
        Path(self.path).touch()


async def until_gone(pid: int) -> None:
    """Wait for the end of a process that nobody tells us of."""
    with anyio.fail_after(bound_s(LIMIT_S)):
        while psutil.pid_exists(pid) and alive([psutil.Process(pid)]):  # noqa: ASYNC110 - it is another's child
            await anyio.sleep(0.02)


async def tool_names(gateway: RawGateway) -> list[str]:
    return [tool["name"] for tool in (await gateway.request("tools/list"))["result"]["tools"]]


async def until_listed(gateway: RawGateway, tool: str) -> None:
    """Wait until the list of tools has one of that name, hearing of each change of it."""
    with anyio.fail_after(bound_s(LIMIT_S)):
        while tool not in await tool_names(gateway):
            await gateway.line()  # the next thing to come is that the list has changed
