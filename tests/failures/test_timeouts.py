"""A call that runs too long is stopped on its server as well, whichever era and transport that speaks."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, StdioEntry
from tests.bad_input.support import error_of
from tests.downstream.test_modern_servers import TRANSPORTS, offered
from tests.harness import FREE, running

pytestmark = pytest.mark.anyio


def as_written(server: ServerEntry, **settings: Any) -> dict[str, Any]:
    match server.transport:
        case StdioEntry() as near:
            way: dict[str, Any] = {"command": near.command, "args": list(near.args)}
        case RemoteEntry() as far:
            way = {"url": far.url, "type": far.type}
    return {**way, "asyncfc": settings}


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_a_call_that_times_out_is_cancelled_on_its_server(kind: str) -> None:
    tools: dict[str, Any] = {"sleep_until_cancelled": {**FREE, "timeout_s": 0.5}, "sleeping": FREE}
    async with offered(kind) as server, running({"far": as_written(server, tools=tools)}) as gateway:
        assert await gateway.text("far_sleeping", _wait_s=14) == "0"
        token = await gateway.token("far_sleep_until_cancelled", _wait_s=0)
        assert "(timed_out)" in error_of(await gateway.call("await_future", futures=[token]))
        with anyio.fail_after(10):
            while await gateway.text("far_sleeping", _wait_s=14) != "0":
                pass
