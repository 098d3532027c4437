"""Servers that ask for roots before the client's own handshake has ended."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.harness import LIMIT_S, GatewayClient, running
from tests.questions.support import User

pytestmark = pytest.mark.anyio

ROOTED = {
    "command": sys.executable,
    "args": [str(Path(__file__).parent / "servers" / "rooted.py")],
    "asyncfc": {"prefix": ""},
}


async def answered(gateway: GatewayClient) -> dict[str, Any]:
    """What the server heard, once it has heard something."""
    with anyio.fail_after(LIMIT_S):
        while not (said := json.loads(await gateway.text("roots"))):
            pass
    return said


async def test_a_server_that_asks_at_the_start_gets_the_roots_of_the_only_client() -> None:
    user = User()
    async with running({"rooted": ROOTED}, era="legacy", client_options={"list_roots_callback": user.roots}) as gateway:
        assert (await answered(gateway))["roots"][0]["uri"] == "file:///project"
        assert user.asked == ["roots"]


async def test_a_server_that_asks_a_client_without_a_handshake_is_refused_at_once() -> None:
    user = User()
    async with running({"rooted": ROOTED}, era="auto", client_options={"list_roots_callback": user.roots}) as gateway:
        assert "no one client is meant" in (await answered(gateway))["message"]
        assert user.asked == []
