"""Bounds on what servers may cost: silence, and URIs without end."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from tests.bad_input.support import free_toy, pushy
from tests.bad_input.wires import WAYS, Way, assert_unharmed, place
from tests.harness import LIMIT_S

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
UPDATED = "notifications/resources/updated"
SILENT: list[tuple[str, Json]] = [
    ("prompts/get", {"name": "old_never"}),
    ("prompts/get", {"name": "new_never"}),
    ("resources/read", {"uri": "pushy://never"}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "old_never"}, "argument": {"name": "a", "value": ""}},
    ),
]


async def test_an_update_of_a_uri_without_end_is_taken_in_at_once() -> None:
    line = json.dumps({"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": "pushy://" + "a/" * 200_000}})
    async with place("stdio", {"toy": free_toy(), "old": pushy()}, inline_wait_s=LIMIT_S) as gateway:
        async with gateway.wire(WAYS[0]) as client:
            await client.request("resources/subscribe", uri="pushy://book")
            with anyio.fail_after(LIMIT_S):
                assert await client.value("old_emit", lines=[line]) == "emitted"
        await assert_unharmed(gateway, WAYS[0])


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("method", "params"), SILENT)
async def test_a_request_that_is_never_answered_fails_at_its_servers_time_out(
    way: Way, method: str, params: Json
) -> None:
    servers: Json = {"toy": free_toy(), "old": pushy(), "new": pushy("modern")}
    for name in ("old", "new"):
        servers[name]["asyncfc"] = {**servers[name].get("asyncfc", {}), "timeout_s": 0.5}
    async with place(way.kind, servers) as gateway:
        async with gateway.wire(way) as client:
            error = (await client.request(method, **params))["error"]
            assert "has not answered" in error["message"]
            assert "0.5 s" in error["message"]
        await assert_unharmed(gateway, way)
