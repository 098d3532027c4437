"""Gateways with a dashboard, over real servers, and a real browser to look at it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from playwright.async_api import Browser, async_playwright

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.dashboard.directory import RunningGateway, running_gateways
from asyncfc_mcp.demo.place import configuration
from asyncfc_mcp.demo.simulation import Simulation
from asyncfc_mcp.transports.access import Access
from asyncfc_mcp.transports.listener import Listener
from tests.bounds import bound_s
from tests.harness import FREE, toy

DESK = Path(__file__).with_name("desk.py")
CHROMIUM = os.environ.get("ASYNCFC_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
LIMIT_S = 20.0
TOKEN = "a-token-that-nobody-guesses"

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="ASYNCFC_TEST_CHROMIUM names no browser, and none is there")


@dataclass(frozen=True, slots=True)
class Watched:
    """A gateway that serves HTTP, and one client of it."""

    app: App
    client: Client
    gateway: RunningGateway
    state_folder: Path

    @property
    def address(self) -> str:
        """What a person would open."""
        assert self.gateway.address is not None
        return self.gateway.address

    @property
    def page(self) -> str:
        """The same without the token."""
        assert self.gateway.url is not None
        return self.gateway.url

    def http(self, token: str | None = None) -> httpx2.AsyncClient:
        """A client of the pages."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx2.AsyncClient(base_url=self.page, headers=headers, timeout=LIMIT_S)

    async def call(self, tool: str, name: str | None = None, /, wait_s: float = 0, **arguments: Any) -> None:
        """Call a tool under a name; it runs on behind us."""
        await self.client.call_tool(tool, {**arguments, "_wait_s": wait_s, **({"_as": name} if name else {})})

    async def settled(self, *names: str) -> None:
        """Wait until these calls have settled."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            await self.client.call_tool("await_future", {"futures": [f"fut_{name}" for name in names]})


@asynccontextmanager
async def watched(
    servers: Mapping[str, Any],
    state_folder: Path,
    *,
    token: str | None = None,
    client_options: Mapping[str, Any] | None = None,
    scope: str = "chat",
    **settings: Any,
) -> AsyncGenerator[Watched]:
    """A gateway over HTTP in front of these servers."""
    state_folder.mkdir(exist_ok=True)
    file = state_folder / "gateway.json"
    file.write_text(json.dumps({"mcpServers": servers, "asyncfc": settings}))
    app = App(load_file(file, os.environ), state_folder, serves_network=True)
    listener = Listener("127.0.0.1", 0)
    headers = {"asyncfc-scope": scope, **({"authorization": f"Bearer {token}"} if token else {})}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.serve_http, listener, Access.to("127.0.0.1", token=token))
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            target: Any = streamable_http_client(f"{listener.origin}/mcp", http_client=http)
            async with Client(target, **(client_options or {})) as client:
                await client.list_tools()
                (gateway,) = running_gateways(state_folder)
                yield Watched(app, client, gateway, state_folder)
        tasks.cancel_scope.cancel()


def travel(folder: Path, speed: float = 1.0) -> dict[str, Any]:
    """The servers of the demonstration, with their labels, a desk and a phone."""
    files = folder / "trip"
    files.mkdir(exist_ok=True)
    servers: dict[str, Any] = configuration(Simulation(folder / "journal.jsonl", speed), files)["mcpServers"]
    tools = dict.fromkeys(("check_visa", "translate"), FREE)
    desk = {"command": sys.executable, "args": [str(DESK), str(speed)], "asyncfc": {"tools": tools}}
    return {**servers, "desk": desk, "phone": toy(prefix="phone", include=["ask"], tools={"ask": FREE})}


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """The browser that is installed; none is ever downloaded."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()
