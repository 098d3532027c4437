"""A gateway that has to come out of every bad input unharmed."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.bad_input.support import assert_unharmed, free_toy
from tests.harness import GatewayClient, running


@pytest.fixture
async def gateway() -> AsyncGenerator[GatewayClient]:
    """One with a future `fut_done` that has settled; it must be unharmed at the end."""
    async with running({"toy": free_toy()}, inline_wait_s=5) as gateway:
        await gateway.call("echo", text="done", _as="done")
        yield gateway
        await assert_unharmed(gateway)
