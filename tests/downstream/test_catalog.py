from __future__ import annotations

import json
import stat
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from asyncfc_mcp.config.models import StdioEntry
from asyncfc_mcp.config.policy import LabelSource
from asyncfc_mcp.downstream.naming import NameCollision, ReservedName
from asyncfc_mcp.downstream.pool import Pool, UnknownServer
from asyncfc_mcp.downstream.status import ConnectionState
from tests.downstream.support import config, entry, odd, running

pytestmark = pytest.mark.anyio


async def test_tools_keep_the_order_of_the_servers_and_of_their_lists() -> None:
    with anyio.fail_after(20):
        async with running([odd("slow_start", key="b"), odd("two_pages", key="a")]) as pool:
            names = [tool.name for tool in await pool.catalog.tools()]
    assert names == ["b_echo", "b_die", "b_huge", "b_never", "a_first", "a_second"]


async def test_a_tool_is_found_by_its_name_with_policy_and_raw_listing() -> None:
    with anyio.fail_after(10):
        async with running([odd(tools={"echo": {"mode": "sync"}})]) as pool:
            await pool.catalog.tools()
            tool = pool.catalog.find("odd_echo")
            assert pool.catalog.find("echo") is None
    assert tool is not None
    assert (tool.server, tool.own_name, tool.tool["x-unknown"]) == ("odd", "echo", 1)
    assert (tool.policy.mode, tool.policy.label_source) == ("sync", LabelSource.DEFAULT)


async def test_a_tool_of_a_server_that_has_not_listed_any_yet_is_waited_for() -> None:
    with anyio.fail_after(20):
        async with running([odd("slow_start")]) as pool:
            assert pool.catalog.find("odd_echo") is None
            tool = await pool.catalog.find_listed("odd_echo")
            assert await pool.catalog.find_listed("odd_ecko") is None
    assert tool is not None
    assert tool.own_name == "echo"


async def test_include_and_exclude_are_globs_on_the_own_name() -> None:
    with anyio.fail_after(10):
        async with running([odd(include=("*e*",), exclude=("n*", "huge"), prefix="")]) as pool:
            assert [tool.name for tool in await pool.catalog.tools()] == ["echo", "die"]


async def test_of_two_tools_of_one_name_the_first_wins() -> None:
    with capture_logs() as logs, anyio.fail_after(10):
        async with running([odd("twins")]) as pool:
            tools = await pool.catalog.tools()
    assert [tool.tool["title"] for tool in tools] == ["first"]
    assert any("listed twice" in line.get("fault", "") for line in logs)


async def test_a_faulty_tool_never_breaks_the_list() -> None:
    with anyio.fail_after(10):
        async with running([odd("bad_tools")]) as pool:
            tools = await pool.catalog.tools()
    assert [tool.own_name for tool in tools] == ["a", "b", "c", "echo"]
    assert [tool.input_schema for tool in tools[:3]] == [{"type": "object"}, {"type": 7}, {"type": "object"}]


async def test_endless_pages_come_to_an_end() -> None:
    with capture_logs() as logs, anyio.fail_after(20):
        async with running([odd("endless_pages")]) as pool:
            assert len(await pool.catalog.tools()) == 100
    assert any(line["event"] == "server_list_endless" for line in logs)


async def test_a_changed_list_is_announced_once() -> None:
    changes: list[int] = []
    with anyio.fail_after(10):
        async with running([odd()], changes=changes) as pool:
            assert pool.catalog.version == 0
            await pool.catalog.tools()
            assert changes == [1]
            await pool.connection("odd").call_tool("grow", {})
            while pool.catalog.find("odd_grown") is None:
                await anyio.lowlevel.checkpoint()
    assert changes == [1, 2]


async def test_a_kept_list_is_served_at_once_and_changes_nothing_when_it_still_holds(tmp_path: Path) -> None:
    changes: list[int] = []
    with anyio.fail_after(20):
        async with running([odd("slow_start")], state_folder=tmp_path) as pool:
            first = await pool.catalog.tools()
        async with running([odd("slow_start")], state_folder=tmp_path, changes=changes) as pool:
            assert await pool.catalog.tools() == first
            assert pool.connection("odd").status.state is ConnectionState.CONNECTING
            assert pool.statuses()["odd"].instructions == "Be odd."
            await pool.connection("odd").call_tool("echo", {})
    assert changes == []


async def test_a_kept_list_is_private_and_tells_nothing_of_the_entry(tmp_path: Path) -> None:
    with anyio.fail_after(10):
        async with running([odd(env={"API_KEY": "hush-hush"})], state_folder=tmp_path) as pool:
            await pool.connection("odd").call_tool("echo", {})
    (file,) = (tmp_path / "lists").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "hush" not in file.read_text()
    assert "odd.py" not in file.read_text()
    assert len(file.stem) == 64


async def test_a_kept_list_does_not_outlive_a_change_of_the_entry(tmp_path: Path) -> None:
    with anyio.fail_after(10):
        async with running([odd(env={"A": "1"})], state_folder=tmp_path) as pool:
            await pool.catalog.tools()
    async with running([odd(env={"A": "2"})], state_folder=tmp_path) as pool:
        assert await pool.catalog.tools(timeout_s=0) == ()


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"schema": 2, "tools": [3]}', '{"schema": 2, "tools": 3}', "[" * 9999]
)
async def test_a_damaged_kept_list_is_ignored_with_a_warning(tmp_path: Path, damage: str) -> None:
    with anyio.fail_after(20):
        async with running([odd()], state_folder=tmp_path) as pool:
            await pool.connection("odd").call_tool("echo", {})
        (file,) = (tmp_path / "lists").iterdir()
        file.write_text(damage)
        with capture_logs() as logs:
            async with running([odd()], state_folder=tmp_path) as pool:
                assert len(await pool.catalog.tools()) == 4
    assert [line["event"] for line in logs].count("kept_list_ignored") == 1


async def test_a_list_of_another_schema_is_read_anew(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with running([odd()], state_folder=tmp_path) as pool:
            await pool.connection("odd").call_tool("echo", {})
        (file,) = (tmp_path / "lists").iterdir()
        file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 0}))
        async with running([odd()], state_folder=tmp_path) as pool:
            assert await pool.catalog.tools(timeout_s=0) == ()


async def test_a_server_that_cannot_start_does_not_hold_up_the_list() -> None:
    gone = entry("gone", StdioEntry(command="no-such-command-here"))
    with anyio.fail_after(5):
        async with running([gone, odd()]) as pool:
            assert len(await pool.catalog.tools()) == 4
            assert "no-such-command-here" in (pool.statuses()["gone"].message or "")


async def test_a_server_that_takes_too_long_is_left_out(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("600")
    with anyio.fail_after(10):
        async with running([odd("starts_when", str(go), key="slow"), odd()]) as pool:
            await pool.connection("odd").listing_or_failure()
            assert {tool.server for tool in await pool.catalog.tools(timeout_s=0)} == {"odd"}


async def test_colliding_tools_are_reported_and_the_first_stays() -> None:
    with anyio.fail_after(10):
        async with running(
            [odd(key="one", prefix=""), odd("two_pages", key="two", tools={"first": {"name": "echo"}})]
        ) as pool:
            tools = await pool.catalog.tools()
    assert [tool.name for tool in tools if tool.name == "echo"] == ["echo"]
    (collision,) = pool.catalog.collisions
    assert "'one'" in str(collision)
    assert "'two'" in str(collision)


async def test_names_that_are_wrong_in_the_configuration_itself_stop_the_start() -> None:
    twice = [odd(key=key, tools={"echo": {"name": "same"}}) for key in ("one", "two")]
    with pytest.raises(NameCollision, match="'same'"):
        Pool(config(*twice), state_folder=None, on_change=lambda: None)
    with pytest.raises(ReservedName, match="list_futures"):
        Pool(config(odd(tools={"echo": {"name": "list_futures"}})), state_folder=None, on_change=lambda: None)


async def test_an_unknown_server_is_named() -> None:
    async with running([odd()]) as pool:
        with pytest.raises(UnknownServer, match=r"'nobody'.*odd"):
            pool.connection("nobody")
