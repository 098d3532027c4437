"""What a running gateway makes of its file: seen by itself or on SIGHUP, taken up or refused, and what it says then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
import pytest

from tests.bounds import bound_s
from tests.harness import TOY
from tests.process.support import LIMIT_S, run
from tests.reload.support import named, over_http, over_stdio, until_gone, until_listed

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")]


async def test_a_change_is_seen_without_a_word_to_the_gateway(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        file.write({"a": named(), "b": named()})
        assert (await gateway.logged("configuration_taken_up"))["added"] == ["b"]
        file.path.write_text(file.path.read_text().replace('"b"', '"c"'))
        said = await gateway.logged("configuration_taken_up", 2)
        assert (said["added"], said["gone"]) == (["c"], ["b"])
        await until_listed(gateway, "c_who")


async def test_a_file_that_cannot_be_used_changes_nothing_until_it_is_right_again(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        before = await gateway.text("a_who", _wait_s=LIMIT_S)
        token = "s3cret-of-the-user"
        file.write({"b": {**named(), "env": {"KEY": token}}}, mode="fast", max_running=0)
        gateway.signal(signal.SIGHUP)
        refused = await gateway.logged("configuration_refused")
        assert "asyncfc.mode" in refused["why"]
        assert "asyncfc.max_running" in refused["why"]
        assert token not in str(refused)
        assert await gateway.text("a_who", _wait_s=LIMIT_S) == before
        listed = await gateway.text("list_futures")
        assert "cannot be used, so what it said before still counts" in listed
        assert str(tmp_path) not in listed
        await file.change({"a": named(), "b": named()})
        await until_listed(gateway, "b_who")
        assert await gateway.text("a_who", _wait_s=LIMIT_S) == before
        assert "cannot be used" not in await gateway.text("list_futures")


async def test_names_that_tools_cannot_have_are_refused_as_at_the_start(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        await until_listed(gateway, "a_who")
        file.write({"a": named(tools={"echo": {"name": "same"}, "who": {"name": "same"}}), "b": named()})
        gateway.signal(signal.SIGHUP)
        assert "same" in (await gateway.logged("configuration_refused"))["why"]
        assert (await gateway.text("a_who", _wait_s=LIMIT_S)).startswith("first")


async def test_a_hangup_of_a_file_that_is_as_it_was_says_so(tmp_path: Path) -> None:
    async with over_http(tmp_path, {"a": named()}) as (client, _):
        client.process.signal(signal.SIGHUP)
        await client.process.logged("configuration_unchanged")
        assert (await client.text("a_who", _wait_s=LIMIT_S)).startswith("first")


async def test_a_change_that_only_a_restart_takes_up_is_said_once(tmp_path: Path) -> None:
    async with over_stdio(tmp_path, {"a": named()}) as (gateway, file):
        file.write({"a": named()}, tasks="off")
        gateway.signal(signal.SIGHUP)
        assert (await gateway.logged("configuration_needs_restart"))["settings"] == ["tasks"]
        gateway.signal(signal.SIGHUP)
        await gateway.logged("configuration_unchanged")
        said = await file.change({"a": named()}, tasks="off", piggyback="off")
        assert said["settings"] == ["piggyback"]
        with pytest.raises(TimeoutError), anyio.fail_after(0):
            await gateway.logged("configuration_needs_restart", 2)


async def test_a_gateway_of_one_command_follows_nothing_and_ends_with_a_hangup(tmp_path: Path) -> None:
    async with run(tmp_path, ["serve", "--", sys.executable, str(TOY)]) as gateway:
        await gateway.initialize()
        gateway.signal(signal.SIGHUP)
        assert await gateway.exit_code() == -signal.SIGHUP


async def test_a_gateway_whose_terminal_is_closed_ends(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"mcpServers": {"a": named()}}))
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "asyncfc_mcp", "serve", "--config", str(file), "--transport", "http", "--port=0"]
    take_terminal = "import fcntl, os, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    process = subprocess.Popen(  # noqa: ASYNC220 - only so can it be given a terminal of its own
        [sys.executable, "-c", f"{take_terminal}; os.execv({command[0]!r}, {command})"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "ASYNCFC_STATE_FOLDER": str(tmp_path / "state")},
    )
    os.close(theirs)
    try:
        with anyio.fail_after(bound_s(LIMIT_S)):
            said = b""
            while b"server_ready" not in said:
                said += await anyio.to_thread.run_sync(os.read, ours, 4096)
            family = psutil.Process(process.pid).children(recursive=True)
            os.close(ours)
            await anyio.to_thread.run_sync(process.wait)
        for one in family:
            await until_gone(one.pid)
    finally:
        process.kill()
        process.wait()
