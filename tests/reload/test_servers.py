"""Servers that come, go and become others in the file of a running gateway; as it is said in docs/reload.md."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import psutil
import pytest

from tests.bounds import bound_s
from tests.harness import FREE
from tests.process.support import LIMIT_S, text_of
from tests.reload.support import NAMED, Gate, named, over_http, over_stdio, tool_names, until_gone, until_listed

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")]

MUTE = "import sys; sys.stdin.read()"
"""A server that never answers."""


async def test_the_tools_of_a_new_server_appear_and_the_client_is_told(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named("a")}) as (gateway, file):
        await until_listed(gateway, "a_who")
        gateway.notifications.clear()
        said = await file.change({"a": named("a"), "b": named("b")})
        assert said["added"] == ["b"]
        await until_listed(gateway, "b_who")
        assert (await gateway.text("b_who")).startswith("b ")
        with anyio.fail_after(bound_s(LIMIT_S)):
            while not gateway.notifications:
                await gateway.call("a_who")
        assert gateway.notifications[0]["method"] == "notifications/tools/list_changed"


async def test_calls_of_a_server_that_is_gone_run_to_their_end_and_then_it_is_ended(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with over_stdio(tmp_path, {"a": named("a"), "b": named("b")}) as (gateway, file):
        pid = int((await gateway.text("b_who", _wait_s=LIMIT_S)).split()[1])
        await gateway.call("b_echo", text="long ago", _as="settled", _wait_s=LIMIT_S)
        await gateway.call("b_hold_until", path=gate.path, _as="running", _wait_s=0)
        await gate.begun()
        await gateway.call("b_echo", text="behind it", _as="pending", _wait_s=0)
        assert (await file.change({"a": named("a")}))["gone"] == ["b"]
        refused = await gateway.call("b_echo", text="new")
        assert refused["result"]["isError"]
        assert "its server 'b' was taken out of the gateway's configuration" in text_of(refused)
        assert not [name for name in await tool_names(gateway) if name.startswith("b_")]
        assert "long ago" in await gateway.text("await_future", futures=["fut_settled"])
        assert "running" in await gateway.text("get_future", future="fut_running")
        assert psutil.pid_exists(pid)
        gate.open()
        assert "held by b" in await gateway.text("await_future", futures=["fut_running"], timeout_s=LIMIT_S)
        assert "behind it" in await gateway.text("await_future", futures=["fut_pending"], timeout_s=LIMIT_S)
        assert not (await gateway.logged("server_left"))["is_replaced"]
        assert "long ago" in await gateway.text("await_future", futures=["fut_settled"])
        await until_gone(pid)


async def test_calls_in_flight_end_on_the_old_server_and_those_that_wait_go_to_the_new_one(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    entry = {"concurrency": 1, "tools": {"hold_until": FREE}}
    async with over_http(tmp_path, {"a": named("old", **entry)}) as (client, file):
        old = int((await client.text("a_who", _wait_s=LIMIT_S)).split()[1])
        running = await client.token("a_hold_until", path=gate.path)
        await gate.begun()
        waiting = await client.token("a_who")
        assert (await file.change({"a": named("new", **entry)}))["replaced"] == ["a"]
        gate.open()
        assert "held by old" in await client.text("await_future", futures=[running], timeout_s=LIMIT_S)
        name, pid = (await client.text("await_future", futures=[waiting], timeout_s=LIMIT_S)).split()
        assert (name, int(pid) != old) == ("new", True)
        assert (await client.process.logged("server_left"))["is_replaced"]
        await until_gone(old)


async def test_a_call_finds_the_tools_of_a_server_that_is_mended_while_it_looks_for_them(tmp_path: Path) -> None:
    mute = {**named(), "args": ["-c", MUTE]}
    async with over_stdio(tmp_path, {"a": named("well")}) as (gateway, file):
        await until_listed(gateway, "a_who")
        await file.change({"a": mute})
        asked = await gateway.start_call("a_who", {"_wait_s": LIMIT_S})
        await file.change({"a": named("mended")})
        assert text_of(await gateway.answer(asked)).startswith("mended ")


async def test_a_call_that_was_not_sent_since_its_server_was_down_goes_to_the_one_that_replaces_it(
    tmp_path: Path,
) -> None:
    script = tmp_path / "server.py"
    script.write_text(f"import runpy; runpy.run_path({str(NAMED)!r}, run_name='__main__')")
    async with over_stdio(tmp_path, {"a": {**named("well"), "args": [str(script)]}}) as (gateway, file):
        await until_listed(gateway, "a_who")
        script.write_text(MUTE)
        await gateway.call("a_die", _wait_s=LIMIT_S)
        await gateway.call("a_who", _as="waiting", _wait_s=0)
        assert "has not been sent" in await gateway.text("get_future", future="fut_waiting")
        await file.change({"a": named("mended")})
        assert "mended " in await gateway.text("await_future", futures=["fut_waiting"], timeout_s=LIMIT_S)


async def test_a_server_that_comes_back_is_started_anew(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    both = {"a": named("a"), "b": named("b")}
    async with over_stdio(tmp_path, both) as (gateway, file):
        before = await gateway.text("b_who", _wait_s=LIMIT_S)
        await gateway.call("b_hold_until", path=gate.path, _as="running", _wait_s=0)
        await gate.begun()
        await file.change({"a": named("a")})
        await file.change(both)
        await until_listed(gateway, "b_who")
        assert await gateway.text("b_who", _wait_s=LIMIT_S) != before
        gate.open()
        assert "held by b" in await gateway.text("await_future", futures=["fut_running"], timeout_s=LIMIT_S)
        await until_gone(int(before.split()[1]))


async def test_the_order_of_servers_in_the_file_is_that_of_their_tools(tmp_path: Path) -> None:
    a, b = named("a"), named("b")
    async with over_stdio(tmp_path, {"a": a, "b": b}) as (gateway, file):
        await until_listed(gateway, "a_who")
        await until_listed(gateway, "b_who")
        pid = await gateway.text("a_who", _wait_s=LIMIT_S)
        await file.change({"b": b, "a": a})
        listed = await tool_names(gateway)
        assert listed.index("b_who") < listed.index("a_who")
        assert await gateway.text("a_who", _wait_s=LIMIT_S) == pid


async def test_over_http_futures_survive_while_every_server_changes(tmp_path: Path) -> None:
    async with over_http(tmp_path, {"a": named("a")}) as (client, file):
        await client.call("a_record", count=3, _as="kept", _wait_s=LIMIT_S)
        await file.change({"b": named("b")})
        assert await client.text("b_echo", text="fut_kept/items/2/id", _wait_s=LIMIT_S) == "item-2"
