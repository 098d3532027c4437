"""What a client sees of a server that never comes up, from one start of the real process to the next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.harness import toy
from tests.process.support import LIMIT_S, RawGateway, started

pytestmark = pytest.mark.anyio

GATED = Path(__file__).parent / "servers" / "gated.py"


def servers(gate: Path) -> dict[str, Any]:
    gated = {"command": sys.executable, "args": [str(GATED), str(gate)], "asyncfc": {"prefix": ""}}
    return {"gated": gated, "toy": toy()}


async def names(gateway: RawGateway) -> set[str]:
    return {tool["name"] for tool in (await gateway.request("tools/list"))["result"]["tools"]}


async def first_list(gateway: RawGateway) -> tuple[set[str], float, float]:
    """What a new client is shown, and how long it waited for the handshake, and for both together."""
    await gateway.logged("starting")
    start = anyio.current_time()
    await gateway.initialize()
    handshake_s = anyio.current_time() - start
    return await names(gateway), handshake_s, anyio.current_time() - start


async def test_a_server_that_never_came_up_holds_up_the_first_start_only(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    async with started(tmp_path, servers(gate)) as gateway:
        shown, first_handshake_s, first_s = await first_list(gateway)
        assert "echo" in shown
    sooner_s: list[tuple[float, float]] = []
    for _ in range(2):  # a busy machine may be slow at one of them
        async with started(tmp_path, servers(gate)) as gateway:
            shown_again, handshake_s, again_s = await first_list(gateway)
            assert shown_again == shown
            sooner_s.append((first_handshake_s - handshake_s, first_s - again_s))
    assert any(handshake_s > 1 and both_s > 4 for handshake_s, both_s in sooner_s), "it should be 2 and 8 s"
    async with started(tmp_path, servers(gate)) as gateway:
        await gateway.initialize()
        assert await names(gateway) == shown
        gate.unlink()
        await _until_told(gateway, "notifications/tools/list_changed")
        assert await names(gateway) == {*shown, "say"}
    gate.touch()
    async with started(tmp_path, servers(gate)) as gateway:
        await gateway.initialize()
        assert await names(gateway) == {*shown, "say"}


async def _until_told(gateway: RawGateway, method: str) -> None:
    with anyio.fail_after(LIMIT_S):
        while method not in [one["method"] for one in gateway.notifications]:
            await gateway.request("ping")
