"""A gateway that is killed leaves no servers behind, however little they care; and one that ends leaves no guardian."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import psutil
import pytest

from asyncfc_mcp.config.models import StdioEntry
from asyncfc_mcp.downstream.links.guardian import NAME
from asyncfc_mcp.downstream.links.process import spawn
from tests.bounds import PAUSE_S, bound_s
from tests.harness import TOY, toy
from tests.process.support import LIMIT_S, RawGateway, alive, started
from tests.process.test_ending import NPM, stubborn

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the system does this there"),
]

GONE_WITHIN_S = 2.5
"""A quarter of a second at the end of input, one after SIGTERM, and as much again for a busy machine."""
NOT_THERE = {"url": "http://127.0.0.1:9/mcp"}
MORE_PATIENCE = """
from asyncfc_mcp.downstream.links import guardian
guardian._SCRIPT = guardian._SCRIPT.replace("wait_for_their_end 5\\n", "wait_for_their_end 40\\n")
"""
"""Two seconds instead of a quarter, since a busy machine may take that long over what is to be seen."""
THREE_GROUPS = """
import os, subprocess, sys
from asyncfc_mcp.downstream.links.guardian import Guardian
guardian = Guardian()
groups = [subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, start_new_session=True).pid for _ in range(3)]
for group in groups:
    guardian.watch(group)
guardian.forget(groups[0])
print(*groups, flush=True)
os.kill(os.getpid(), 9)
"""


def guardians(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in alive(processes) if NAME in one.cmdline()]


def servers(gateway: RawGateway) -> list[psutil.Process]:
    return [one for one in gateway.family() if one.pid != gateway.pid and NAME not in one.cmdline()]


async def gone(processes: list[psutil.Process]) -> None:
    start = time.monotonic()
    while left := alive(processes):
        assert time.monotonic() - start < bound_s(GONE_WITHIN_S) + PAUSE_S, f"still there: {left}"
        await anyio.sleep(0.01)  # they are no children of ours, so nothing tells


async def killed(gateway: RawGateway) -> list[psutil.Process]:
    """All of the family of a gateway that has just been killed."""
    family = gateway.family()
    gateway.signal(signal.SIGKILL)
    assert await gateway.exit_code() == -signal.SIGKILL
    return family


async def serving(gateway: RawGateway) -> None:
    await gateway.initialize()
    await gateway.request("tools/list")


async def ignores(process: psutil.Process, number: signal.Signals) -> None:
    """Wait until a signal is nothing to that process, as the kernel says; it says so on Linux alone."""
    status = Path(f"/proc/{process.pid}/status")
    with anyio.fail_after(LIMIT_S):
        while status.exists():
            (mask,) = re.findall(r"SigIgn:\s+(\w+)", status.read_text())
            if int(mask, 16) >> (number - 1) & 1:
                return
            await anyio.sleep(0.01)


async def there(file: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        while not (file.exists() and file.read_text()):  # noqa: ASYNC110  nothing tells when a file appears
            await anyio.sleep(0.01)


async def test_stubborn_and_frozen_servers_and_their_children_go_with_a_killed_gateway(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with started(tmp_path, {"stubborn": stubborn(pids), "toy": toy()}) as gateway:
        await gateway.initialize()
        await gateway.text("start_helper")
        await there(pids)
        for server in servers(gateway):
            if str(TOY) in server.cmdline():
                server.suspend()
        family = await killed(gateway)
        assert len(family) == 6
        await gone(family)


async def test_signals_to_the_guardian_do_not_keep_it_from_its_work(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with started(tmp_path, {"stubborn": stubborn(pids)}, "--transport", "http", "--port", "0") as gateway:
        await there(pids)
        (guardian,) = guardians(gateway.family())
        assert os.getsid(guardian.pid) == guardian.pid
        await ignores(guardian, signal.SIGTERM)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            guardian.send_signal(number)
        await gone(await killed(gateway))


async def test_a_server_that_is_ending_by_itself_is_given_the_time_for_it(tmp_path: Path) -> None:
    up, note = tmp_path / "up", tmp_path / "note"
    words = (
        "import sys, time, pathlib\n"
        f"pathlib.Path({str(up)!r}).write_text('up')\n"
        "sys.stdin.read()\n"
        "time.sleep(0.05)\n"
        f"pathlib.Path({str(note)!r}).write_text('ended well')"
    )
    slow = {"command": sys.executable, "args": ["-c", words]}
    async with started(tmp_path, {"slow": slow}, prelude=MORE_PATIENCE) as gateway:
        await gateway.initialize()
        await there(up)
        await gone(await killed(gateway))
    assert note.read_text() == "ended well"


@pytest.mark.real
@pytest.mark.skipif(not NPM, reason="ASYNCFC_TEST_NPM does not name a folder with node_modules")
async def test_server_everything_below_npx_goes_with_a_killed_gateway(tmp_path: Path) -> None:
    npx = {"command": "npx", "args": ["--prefix", NPM, "--no-install", "mcp-server-everything"]}
    async with started(tmp_path, {"everything": npx}) as gateway:
        await serving(gateway)
        await gone(await killed(gateway))


async def test_a_gateway_without_processes_behind_it_has_no_guardian(tmp_path: Path) -> None:
    async with started(tmp_path, {"away": NOT_THERE}) as gateway:
        await gateway.initialize()
        await gateway.logged("server_start_failed")
        assert [one.pid for one in gateway.family()] == [gateway.pid]


async def test_a_guardian_that_was_killed_is_replaced_when_a_server_starts_again(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with started(tmp_path, {"toy": toy(), "stubborn": stubborn(pids)}) as gateway:
        await gateway.initialize()
        await there(pids)
        (guardian,) = guardians(gateway.family())
        guardian.kill()
        await gateway.call("die")
        await gateway.text("echo", text="back", _wait_s=LIMIT_S)
        (another,) = guardians(gateway.family())
        assert another.pid != guardian.pid
        await gone(await killed(gateway))


async def test_a_server_that_has_ended_by_itself_is_watched_no_longer() -> None:
    child = await spawn(StdioEntry(command="true"))
    with anyio.fail_after(LIMIT_S):
        await child.exited()
    assert guardians(psutil.Process().children()) == []
    await child.end()


async def test_the_guardian_holds_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hush")
    child = await spawn(StdioEntry(command="cat"))
    try:
        (guardian,) = guardians(psutil.Process().children())
        with anyio.fail_after(LIMIT_S):
            while guardian.num_fds() != 3:  # noqa: ASYNC110  it is only starting, and nothing tells
                await anyio.sleep(0.01)
        assert guardian.cwd() == "/"
        assert "A_SECRET" not in guardian.environ()
    finally:
        await child.end()
    assert guardians([guardian]) == []


def test_a_group_that_was_reported_as_ended_is_left_alone() -> None:
    done = subprocess.run([sys.executable, "-c", THREE_GROUPS], stdout=subprocess.PIPE, check=False, timeout=LIMIT_S)
    reported, *others = map(int, done.stdout.split())
    try:
        gone_by = time.monotonic() + LIMIT_S
        while [pid for pid in others if _lives(pid)]:  # they may be gone already
            assert time.monotonic() < gone_by
            time.sleep(0.01)
        assert _lives(reported)
    finally:
        os.kill(reported, signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        return alive([psutil.Process(pid)]) != []
    except psutil.NoSuchProcess:
        return False
