"""Answers over SSE, of sizes that end other clients' connections."""

from __future__ import annotations

import anyio
import pytest

from tests.downstream.support import connected
from tests.downstream.test_modern_servers import offered

pytestmark = pytest.mark.anyio


async def test_an_answer_of_five_million_characters_comes_over_sse() -> None:
    with anyio.fail_after(60):
        async with offered("sse") as server, connected(server) as connection:
            outcome = await connection.call_tool("size", {"count": 5_000_000})
            assert len(outcome.text or "") == 5_000_000
            assert (await connection.call_tool("echo", {"text": "on"})).text == "on"
