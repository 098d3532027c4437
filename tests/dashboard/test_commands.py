"""`dashboard`, `futures` and `stats`: what people see of gateways from a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio import to_thread
from anyio.abc import SocketAttribute, SocketStream
from click.testing import CliRunner
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from asyncfc_mcp.cli.main import main
from asyncfc_mcp.dashboard.directory import RunningGateway, announced
from tests.bounds import bound_s
from tests.dashboard.support import LIMIT_S
from tests.harness import FREE, toy

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def gateway(folder: Path, *arguments: str, key: str = "toy") -> AsyncGenerator[Client]:
    """A client on the pipe of a gateway process."""
    file = folder / "servers.json"
    tools = dict.fromkeys(("echo", "hold", "fail", "sleep"), FREE)
    file.write_text(json.dumps({"mcpServers": {key: toy(tools=tools)}}))
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "asyncfc_mcp", "serve", "--config", str(file), *arguments],
        env={**os.environ, "ASYNCFC_STATE_FOLDER": str(folder / "state")},
    )
    with (folder / "log").open("w") as log, anyio.fail_after(bound_s(3 * LIMIT_S)):
        async with Client(stdio_client(parameters, errlog=log)) as client:
            await client.list_tools()
            yield client


async def said(folder: Path, *arguments: str, code: int = 0) -> str:
    """What a command prints."""
    env = {"ASYNCFC_STATE_FOLDER": str(folder / "state")}
    done = await to_thread.run_sync(lambda: CliRunner().invoke(main, arguments, env=env))
    assert done.exit_code == code, done.output
    return done.output if code else done.stdout


async def listed(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(await said(folder, "futures", "--json", *arguments))


async def call(client: Client, tool: str, name: str, **arguments: Any) -> None:
    await client.call_tool(tool, {**arguments, "_as": name, "_wait_s": 0})


async def test_live_futures_of_a_gateway_on_stdio_are_listed(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--dashboard", "0") as client:
        await call(client, "hold", "plants", key="secret-of-mine")
        await call(client, "get", "later", key="fut_plants")
        held, later = await listed(tmp_path)
        assert (held["token"], held["state"], held["why"]) == ("fut_plants", "running", "")
        assert (later["state"], later["why"]) == ("pending", "for the value of fut_plants")
        table = await said(tmp_path, "futures", "--state", "running")
        assert "fut_plants" in table
        assert "fut_later" not in table
        assert "secret-of-mine" not in json.dumps([held, later])
        await client.call_tool("release", {"key": "secret-of-mine", "_wait_s": 5})


async def test_past_futures_come_from_the_store(tmp_path: Path) -> None:
    async with gateway(tmp_path) as client:
        await call(client, "echo", "word", text="hello")
        await call(client, "fail", "broken", message="a value")
        await client.call_tool("await_future", {"futures": ["fut_word", "fut_broken"]})
        await client.call_tool("list_futures", {})
    assert await listed(tmp_path) == []
    word, broken = await listed(tmp_path, "--all")
    assert (word["source"], word["tool"], word["state"]) == ("store", "echo", "resolved")
    assert (broken["state"], broken["failure"]) == ("failed", "tool_error")
    assert [one["tool"] for one in await listed(tmp_path, "--state", "failed")] == ["fail"]
    assert [one["token"] for one in await listed(tmp_path, "fut_word")] == ["fut_word"]
    assert "state:   failed (tool error)" in await said(tmp_path, "futures", "fut_broken")


async def test_a_future_that_runs_and_is_stored_is_listed_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--dashboard", "0") as client:
        await call(client, "echo", "word", text="hello")
        await client.call_tool("await_future", {"futures": ["fut_word"]})
        listing = [one for one in await listed(tmp_path, "--all") if one["tool"] == "echo"]
        assert [(one["token"], one["source"] == "store") for one in listing] == [("fut_word", False)]


async def test_a_token_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    assert "fut_nothing is not known" in await said(tmp_path, "futures", "fut_nothing", code=1)


async def test_statistics_say_what_overlapped_and_how_long_calls_took(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--dashboard", "0") as client:
        await call(client, "hold", "one", key="a")
        await call(client, "sleep", "two", seconds=0.5)
        await call(client, "fail", "broken", message="no")
        await client.call_tool("await_future", {"futures": ["fut_two"]})
        await client.call_tool("release", {"key": "a", "_wait_s": 5})
        await client.call_tool("await_future", {"futures": ["fut_one", "fut_two", "fut_broken"]})
        (stats,) = json.loads(await said(tmp_path, "stats", "--json"))
        assert stats["saved_s"] > 0.1
        assert stats["overlapped"] >= 2
        (server,) = stats["servers"]
        assert (server["state"], server["failed"], server["unsettled"]) == ("ready", 1, 0)
        assert server["run_p95_s"] >= 0.5
        text = await said(tmp_path, "stats")
        assert f"{stats['calls']} calls ran" in text
        assert "toy" in text


async def test_a_gateway_that_was_to_have_no_dashboard_has_none(tmp_path: Path) -> None:
    assert "no gateway runs: a client starts its own" in await said(tmp_path, "stats", code=1)
    async with gateway(tmp_path):
        assert "no dashboard" in await said(tmp_path, "stats", code=1)
        assert "no dashboard is served by" in await said(tmp_path, "dashboard", code=1)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", b"not http\r\n\r\n", b""])
async def test_a_gateway_that_ends_while_it_is_asked_is_said_not_to_answer(answer: bytes, tmp_path: Path) -> None:
    async def hang_up(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hang_up)
        port = listener.extra(SocketAttribute.local_port)
        url = f"http://127.0.0.1:{port}/dashboard"
        with announced(tmp_path / "state", RunningGateway(os.getpid(), 0.0, "http", ("a",), url, "token")):
            assert "does not answer" in await said(tmp_path, "stats", code=1)
            assert await listed(tmp_path) == []
        tasks.cancel_scope.cancel()


async def test_names_cannot_move_the_cursor_nor_turn_the_line_around(tmp_path: Path) -> None:
    key = "to\u202ey\x9b2J"
    async with gateway(tmp_path, "--dashboard", "0", key=key) as client:
        await call(client, next(tool.name for tool in (await client.list_tools()).tools if "hold" in tool.name), "held")
        for command in (("futures", "--all"), ("futures", "fut_held"), ("stats",)):
            text = await said(tmp_path, *command)
            assert "to\\u202ey\\x9b2J" in text
            assert not set(key) & set(text) - set("toy2J")


async def test_the_address_of_the_dashboard_beside_stdio_is_printed_and_opens_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, "--dashboard", "0"):
        address = (await said(tmp_path, "dashboard", "--print")).strip()
        page, _, token = address.partition("#token=")
        async with httpx2.AsyncClient() as http:
            assert (await http.get(page)).status_code == 200
            assert (await http.get(f"{page}/snapshot")).status_code == 401
            snapshot = await http.get(f"{page}/snapshot", headers={"authorization": f"Bearer {token}"})
            assert snapshot.json()["gateway"]["transport"] == "stdio"
        assert token not in (tmp_path / "log").read_text()
    assert "no gateway runs" in await said(tmp_path, "dashboard", code=1)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
async def test_the_browser_is_started_with_a_ticket_and_not_with_the_token(tmp_path: Path) -> None:
    browser, started_with = tmp_path / "browser", tmp_path / "started-with"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {started_with}\n')
    browser.chmod(0o700)
    async with gateway(tmp_path, "--dashboard", "0"):
        token = (await said(tmp_path, "dashboard", "--print")).strip().partition("#token=")[2]
        ours, terminal = os.openpty()
        env = {**os.environ, "ASYNCFC_STATE_FOLDER": str(tmp_path / "state"), "BROWSER": f"{browser} %s"}
        await anyio.run_process([sys.executable, "-m", "asyncfc_mcp", "dashboard"], stdout=terminal, env=env)
        os.close(terminal)
        os.close(ours)
        page, _, ticket = started_with.read_text().partition("#token=")
        assert ticket not in ("", token)
        async with httpx2.AsyncClient() as http:
            opened = await http.post(f"{page}/session", headers={"authorization": f"Bearer {ticket}"})
            assert opened.status_code == 204


async def test_two_gateways_of_one_file_have_a_dashboard_each(tmp_path: Path) -> None:
    file = tmp_path / "other"
    file.mkdir()
    async with gateway(tmp_path, "--dashboard", "0"):
        first = (await said(tmp_path, "dashboard", "--print")).strip()
        port = str(httpx2.URL(first).port)
        async with gateway(tmp_path, "--dashboard", port):
            second = (await said(tmp_path, "dashboard", "--print")).strip()
            assert httpx2.URL(second).port != httpx2.URL(first).port


async def test_a_store_that_is_none_is_one_line_and_an_error(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "futures.db").write_bytes(b"no database, but long enough to be looked at as one" * 40)
    text = await said(tmp_path, "futures", "--all", code=1)
    assert text.startswith("asyncfc-mcp: ")
    assert text.count("\n") == 1
    assert "futures.db" in text


async def test_the_dashboard_of_http_has_no_port_of_its_own(tmp_path: Path) -> None:
    text = await said(tmp_path, "serve", "--transport", "http", "--dashboard", "0", "--", "true", code=2)
    assert "over http it is at /dashboard of the same port" in text
