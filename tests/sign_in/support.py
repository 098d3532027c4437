"""A gateway's pool in front of a house, and what its user does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncfc_mcp.config.models import OAuthEntry, RemoteEntry, ServerEntry
from asyncfc_mcp.downstream.outcome import DownstreamUnavailable
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.downstream.status import ConnectionState
from tests.downstream.support import entry, running
from tests.sign_in.house import House, browse


def far(house: House, key: str = "far", oauth: OAuthEntry | None = None, **settings: Any) -> ServerEntry:
    headers = settings.pop("headers", {})
    kind = "sse" if house.kind == "sse" else "http"
    return entry(key, RemoteEntry(url=house.url, headers=headers, type=kind, oauth=oauth or OAuthEntry()), **settings)


async def address(pool: Pool, key: str = "far") -> str:
    """Where the user has to go, as the status of the server says it."""
    with anyio.fail_after(30):
        while True:
            status = pool.connection(key).status
            before, _, url = (status.message or "").partition("it needs you to sign in: ")
            if status.state is ConnectionState.FAILED and url and not before:
                return url
            await anyio.lowlevel.checkpoint()


async def ready(pool: Pool, key: str = "far") -> None:
    with anyio.fail_after(30):
        while pool.connection(key).status.state is not ConnectionState.READY:
            await anyio.lowlevel.checkpoint()


async def sign_in(pool: Pool, key: str = "far") -> None:
    """Go where the server says, and wait until it is connected."""
    response = await browse(await address(pool, key))
    assert "You are signed in" in response.text
    await ready(pool, key)


@asynccontextmanager
async def signed_in(house: House, state_folder: Path | None = None, **options: Any) -> AsyncGenerator[Pool]:
    async with running([far(house, **options)], state_folder=state_folder) as pool:
        await sign_in(pool)
        yield pool


async def echo(pool: Pool, text: str, key: str = "far") -> str | None:
    with anyio.fail_after(30):
        return (await pool.connection(key).call_tool("echo", {"text": text})).text


async def refusal(pool: Pool, key: str = "far") -> str:
    """What a call is told that cannot be made."""
    with anyio.fail_after(30), pytest.raises(DownstreamUnavailable) as raised:
        await pool.connection(key).call_tool("echo", {"text": ""})
    return str(raised.value)
