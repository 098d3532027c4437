"""Calls that have to ask the store before they are taken in keep their place before later ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.harness import FREE, LIMIT_S, GatewayClient, running, text_of, toy

pytestmark = pytest.mark.anyio

SERVERS = {
    "toy": toy(
        tools={
            "echo": FREE,
            "put": {"reads": [], "writes": ["dictionary/{key}"]},
            "get": {"reads": ["dictionary/{key}"], "writes": []},
        }
    )
}


async def read_beside(gateway: GatewayClient, value: str, meta: dict[str, Any] | None = None) -> str:
    """Send a write and, without waiting for anything, a read of the same key; what was read."""
    read: list[str] = []

    async def write() -> None:
        await gateway.client.call_tool("put", {"key": "a", "value": value, "delay_s": 0.2}, meta=meta)  # pyright: ignore[reportArgumentType]

    async def look() -> None:
        read.append(text_of(await gateway.client.call_tool("get", {"key": "a", "_wait_s": LIMIT_S})))

    with anyio.fail_after(2 * LIMIT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            tasks.start_soon(look)
    return read[0].split("\n--- ")[0]


async def test_a_call_with_a_key_keeps_its_place(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        assert await read_beside(gateway, "new", {"asyncfc/idempotencyKey": "a key of this call"}) == "new"


async def test_a_call_with_a_token_of_an_earlier_process_keeps_its_place(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        token = await gateway.token("echo", text="old", _wait_s=0)
        assert await gateway.value(token) == "old"
    async with running(SERVERS, state_folder=tmp_path) as gateway:
        assert await read_beside(gateway, token) == "old"
