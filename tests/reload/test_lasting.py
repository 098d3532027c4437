"""What a change of the file leaves behind for the next gateway, and servers at an address."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from tests.harness import FREE
from tests.process.support import LIMIT_S
from tests.reload.support import Gate, named, over_http, over_stdio, until_listed
from tests.restart.support import http_gateway, kill
from tests.transports.support import serving

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")]


async def test_a_call_that_waits_is_sent_to_the_new_server_by_the_gateway_after_this_one_too(tmp_path: Path) -> None:
    entry = {"concurrency": 1, "tools": {"hold_until": FREE}}
    async with over_http(tmp_path, {"a": named("old", **entry)}) as (client, file):
        gate = Gate(tmp_path / "gate")
        await client.call("a_echo", text="kept", _as="kept", _wait_s=LIMIT_S)
        await client.token("a_hold_until", path=gate.path)
        await gate.begun()
        waiting = await client.token("a_who")
        await file.change({"a": named("new", **entry)})
        await kill(client.process)
    async with http_gateway(tmp_path, {"a": named("new", **entry)}) as later:
        assert "new " in await later.text("await_future", futures=[waiting], timeout_s=LIMIT_S)
        assert "kept" in await later.text("await_future", futures=["fut_kept"])


async def test_a_call_that_waits_for_a_server_that_is_gone_is_not_sent_by_the_gateway_after_this_one(
    tmp_path: Path,
) -> None:
    entry = {"concurrency": 1, "tools": {"hold_until": FREE}}
    async with over_http(tmp_path, {"a": named("old", **entry), "b": named()}) as (client, file):
        gate = Gate(tmp_path / "gate")
        await client.token("a_hold_until", path=gate.path)
        await gate.begun()
        waiting = await client.token("a_who")
        await file.change({"b": named()})
        await kill(client.process)
    async with http_gateway(tmp_path, {"b": named()}) as later:
        told = await later.text("await_future", futures=[waiting], timeout_s=LIMIT_S)
        assert "is not configured any more as it was" in told


async def test_a_server_at_another_address_answers_the_next_call(tmp_path: Path) -> None:
    async with (
        serving(_app(tmp_path, "one"), "http") as one,
        serving(_app(tmp_path, "two"), "http") as two,
        over_stdio(tmp_path, {"far": {"url": one}}) as (gateway, file),
    ):
        await until_listed(gateway, "far_a_who")
        assert (await gateway.text("far_a_who", _wait_s=LIMIT_S)).startswith("one ")
        gate = Gate(tmp_path / "gate")
        await gateway.call("far_a_hold_until", path=gate.path, _as="running", _wait_s=0)
        await gate.begun()
        assert (await file.change({"far": {"url": two}}))["replaced"] == ["far"]
        # what another client of a server asks for is free of the label that the running call holds
        await file.change({"far": {"url": two, "asyncfc": {"tools": {"a_who": FREE}}}})
        assert (await gateway.text("far_a_who", _wait_s=LIMIT_S)).startswith("two ")
        gate.open()
        held = await gateway.text("await_future", futures=["fut_running"], timeout_s=LIMIT_S)
        assert "held by one" in held
        assert (await gateway.logged("server_left"))["server"] == "far"


def _app(folder: Path, who: str) -> App:
    """A gateway, which is a server at an address as good as any."""
    file = folder / f"{who}.json"
    sync = {"mcpServers": {"a": named(who)}, "asyncfc": {"mode": "sync", "store": "memory"}}
    file.write_text(json.dumps(sync))
    return App(load_file(file, os.environ), None, serves_network=True)
