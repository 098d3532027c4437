"""A gateway that many examples of one property go through."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.harness import GatewayClient, running
from tests.security.support import Shifty


@pytest.fixture
async def forging(tmp_path: Path) -> AsyncGenerator[tuple[GatewayClient, Shifty]]:
    """A gateway in front of a server that forges."""
    shifty = Shifty(tmp_path)
    async with running({"shifty": shifty.entry()}) as gateway:
        yield gateway, shifty
