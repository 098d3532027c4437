"""A gateway of the Python API in front of a toy server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio

from asyncfc_mcp import Gateway, Scope
from tests.bounds import bound_s
from tests.harness import FREE, toy

LIMIT_S = 15.0


def document(**settings: Any) -> dict[str, Any]:
    """The configuration of a gateway with one toy server, whose `hold` conflicts with nothing."""
    return {"mcpServers": {"toy": toy(tools={"hold": FREE})}, "asyncfc": settings}


@asynccontextmanager
async def opened(config: Mapping[str, Any] | None = None, **settings: Any) -> AsyncGenerator[Gateway]:
    with anyio.fail_after(bound_s(60)):
        async with Gateway(config or document(**settings)) as gateway:
            yield gateway


async def started(gateway: Scope, key: str) -> None:
    """Wait until a `hold` of that key has begun."""
    await gateway.call("started", {"key": key}, timeout_s=LIMIT_S)


async def release(gateway: Scope, key: str) -> None:
    """Let a `hold` of that key end."""
    await gateway.call("release", {"key": key}, timeout_s=LIMIT_S)
