"""Library servers to stand behind the gateway, and what clients of both eras hear."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.client.session import IncomingMessage
from mcp.shared.exceptions import MCPError
from mcp_types import EmptyResult, ReadResourceResult, Request, TextResourceContents
from pydantic import BaseModel

from tests.harness import FREE, LIMIT_S, GatewayClient

LIBRARY = Path(__file__).parent / "servers" / "library.py"
both_eras = pytest.mark.parametrize("era", ["legacy", "auto"])


def library(name: str = "lib", era: str = "both", **settings: Any) -> dict[str, Any]:
    """The entry of a library server; its tools answer at once and conflict with nothing."""
    tools = dict.fromkeys(("touch", "watched", "add_book", "say", "level", "cancelled", "stop"), FREE)
    return {
        "command": sys.executable,
        "args": [str(LIBRARY), era, name],
        "asyncfc": {"tools": tools, "inline_wait_s": LIMIT_S, **settings},
    }


async def answer(gateway: GatewayClient, tool: str, **arguments: Any) -> Any:
    """What a tool of a library says."""
    return json.loads(await gateway.text(tool, **arguments))


def text(result: Any) -> str:
    """The text of the only content that was read."""
    assert isinstance(result, ReadResourceResult)
    (content,) = result.contents
    assert isinstance(content, TextResourceContents)
    return content.text


def wire(result: BaseModel) -> dict[str, Any]:
    """The result as it is on the wire."""
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


async def send(gateway: GatewayClient, method: str, **params: Any) -> None:
    """Send a request that only legacy clients have; the SDK's own methods warn of that."""
    request: Any = Request[dict[str, Any], str](method=method, params=params)
    with anyio.fail_after(LIMIT_S):
        await gateway.client.session.send_request(request, EmptyResult)


async def subscribe(gateway: GatewayClient, uri: str, **more: Any) -> None:
    await send(gateway, "resources/subscribe", uri=uri, **more)


async def unsubscribe(gateway: GatewayClient, uri: str) -> None:
    await send(gateway, "resources/unsubscribe", uri=uri)


@asynccontextmanager
async def refused() -> AsyncGenerator[list[MCPError]]:
    """Expect a JSON-RPC error; it is in the list afterwards."""
    caught: list[MCPError] = []
    with anyio.fail_after(LIMIT_S):
        try:
            yield caught
        except MCPError as error:
            caught.append(error)
    assert caught, "no error came"


class Heard:
    """What a legacy client is notified of."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._more = anyio.Event()

    async def __call__(self, message: IncomingMessage) -> None:
        if isinstance(message, BaseModel):
            self.messages.append(wire(message))
            self._more.set()
            self._more = anyio.Event()

    def of(self, method: str) -> list[Any]:
        return [message.get("params") for message in self.messages if message.get("method") == method]

    async def until(self, is_so: Callable[[], object]) -> None:
        with anyio.fail_after(LIMIT_S):
            while not is_so():
                await self._more.wait()


async def eventually(is_so: Callable[[], object]) -> None:
    """Wait for what has no event of its own."""
    with anyio.fail_after(LIMIT_S):
        while not is_so():
            await anyio.lowlevel.checkpoint()
