"""Rules hold for calls of an earlier process as well: those of today, whatever held as the call came."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import toy
from tests.restart.ledger import ledger
from tests.restart.support import http_gateway, kill

pytestmark = pytest.mark.anyio


async def test_a_pending_call_that_may_not_have_its_value_any_more_fails_as_flow_denied(tmp_path: Path) -> None:
    async with ledger() as book:
        servers = {"ledger": book.entry(), "toy": toy()}
        async with http_gateway(tmp_path, servers) as visitor:
            read = await visitor.token("read", key="a", gate="g")
            await book.started("g")
            leak = await visitor.token("echo", text=read)
            await kill(visitor.process)
        book.open("g")
        book.values["a"] = "secret"
        flows = [{"from": "ledger", "to": "toy", "policy": "deny"}]
        async with http_gateway(tmp_path, servers, flows=flows) as visitor:
            assert await visitor.text("await_future", futures=[read]) == "secret"
            assert f"{leak} (echo) failed (flow_denied)" in await visitor.text("await_future", futures=[leak])
