"""A gateway in this process, in front of real child processes, with an SDK client at its door."""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
from mcp import Client
from mcp.client.session import MessageHandlerFnT
from mcp_types import CallToolResult, TextContent

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from tests.bounds import bound_s, with_wait

TOY = Path(__file__).with_name("toy.py")
LIMIT_S = 15.0
"""The bound of everything that could hang."""
FREE: dict[str, list[str]] = {"reads": [], "writes": []}
"""Labels that conflict with nothing."""

STEERING = ("release", "started", "cancelled", "state")
"""Toy tools that steer it or look at it; a test that calls them wants their value."""

Era = Literal["legacy", "auto"]


def toy(**settings: Any) -> dict[str, Any]:
    """The entry of a toy server; tools that steer it conflict with nothing."""
    tools = {**dict.fromkeys(STEERING, FREE), **settings.pop("tools", {})}
    return {"command": sys.executable, "args": [str(TOY)], "asyncfc": {"prefix": "", "tools": tools, **settings}}


@asynccontextmanager
async def running(
    servers: Mapping[str, Any] | None = None,
    *,
    era: Era = "auto",
    state_folder: Path | None = None,
    message_handler: MessageHandlerFnT | None = None,
    client_options: Mapping[str, Any] | None = None,
    lives_s: float = 60,
    **settings: Any,
) -> AsyncGenerator[GatewayClient]:
    """A client of a running gateway; by default in front of one toy server, with names as the toy has them.

    `lives_s` is the bound of all of it, on a machine that does nothing else.
    """
    document = {"mcpServers": servers or {"toy": toy()}, "asyncfc": settings}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps(document))
        app = App(load_file(file, os.environ), state_folder)
    with anyio.fail_after(bound_s(lives_s)):
        async with (
            app.running(),
            Client(app.handlers.server, mode=era, message_handler=message_handler, **(client_options or {})) as client,
        ):
            yield GatewayClient(client, app)


class GatewayClient:
    """Calls tools and reads answers the way tests want to say it."""

    def __init__(self, client: Client, app: App) -> None:
        self.client = client
        self.app = app
        self._names = itertools.count()

    async def call(self, tool: str, *, scope: str | None = None, **arguments: Any) -> CallToolResult:
        meta = {"asyncfc/scope": scope} if scope else None
        if tool in STEERING:
            arguments = with_wait(tool, arguments)
        with anyio.fail_after(bound_s(LIMIT_S)):
            result = await self.client.call_tool(tool, arguments, meta=meta)  # pyright: ignore[reportArgumentType]
        if tool in STEERING:  # whoever waits for something to happen must not go on without it
            future = (result.meta or {}).get("asyncfc/future", {})
            assert future.get("state") not in ("pending", "running"), text_of(result)
        return result

    async def token(self, tool: str, *, scope: str | None = None, **arguments: Any) -> str:
        """Call and expect a token."""
        result = await self.call(tool, scope=scope, **arguments)
        assert result.meta, text_of(result)
        assert "asyncfc/future" in result.meta, text_of(result)
        return result.meta["asyncfc/future"]["token"]

    async def named(self, tool: str, *, scope: str | None = None, **arguments: Any) -> str:
        """Call under a name of its own and wait for it; its token, however fast it was and however short a wait."""
        name = f"n{next(self._names)}"
        await self.call(tool, scope=scope, _as=name, _wait_s=0, **arguments)
        await self.settle(f"fut_{name}", scope=scope)
        return f"fut_{name}"

    async def settle(self, *tokens: str, scope: str | None = None) -> None:
        """Await these futures, or all, as often as that takes."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while "Still unsettled" in await self.text("await_future", scope=scope, futures=list(tokens)):
                pass

    async def text(self, tool: str, *, scope: str | None = None, **arguments: Any) -> str:
        """Call and give the text of the answer, without what was attached to it."""
        result = await self.call(tool, scope=scope, **with_wait(tool, arguments))
        is_carrier = "asyncfc/delivered" in (result.meta or {})
        return text_of(result).rpartition("\n--- ")[0].rpartition("\n--- ")[0] if is_carrier else text_of(result)

    async def value(self, *tokens: str) -> str:
        """Await futures; the text of the answer."""
        return await self.text("await_future", futures=list(tokens))


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
