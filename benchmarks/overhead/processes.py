"""Processes of the overhead benchmark: started on a port of their own, watched, and surely ended."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import anyio
import anyio.to_thread
import psutil

SERVER = Path(__file__).with_name("server.py")
START_LIMIT_S = 90.0
"""The slowest peer makes its database first."""
POLL_S = 0.005
GRACE_S = 3.0
_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER`: what loses its parent becomes our child, so that no orphan is out of reach."""


class DidNotStart(RuntimeError):
    """A process that was to listen ended, or kept everybody waiting."""

    def __init__(self, command: Sequence[str], fact: str) -> None:
        super().__init__(f"{Path(command[0]).name} {' '.join(command[1:4])} {fact}; see what it wrote in the log file")


@dataclass(frozen=True, slots=True)
class Usage:
    """What some processes use, the measured server and all that it started left out."""

    cpu_s: float
    resident_mb: float
    count: int


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that came of it, without the server at the end of the path."""
    if _is_server(process):
        return []
    members = [process]
    with suppress(psutil.NoSuchProcess):
        for child in process.children():
            members.extend(family(child))
    return members


def usage(root: psutil.Process | None) -> Usage:
    """Summed over the family; nothing without a root."""
    cpu_s, resident, count = 0.0, 0, 0
    for member in family(root) if root else []:
        with suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            cpu_s += times.user + times.system
            resident += member.memory_info().rss
            count += 1
    return Usage(cpu_s, resident / 2**20, count)


def _is_server(process: psutil.Process) -> bool:
    """Whether Python runs the server in this process itself; others only carry its name as an argument."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return process.cmdline()[1:2] == [str(SERVER)]
    return False


def newest_child() -> psutil.Process:
    """The child that was started last: what a stdio client has just made."""
    return max(psutil.Process().children(), key=lambda child: child.create_time())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@asynccontextmanager
async def listening(
    command: Sequence[str], port: int, log: IO[str], environment: Mapping[str, str] | None = None
) -> AsyncGenerator[psutil.Process]:
    """A process of its own that listens on the port by now."""
    process = psutil.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        await _until_it_listens(process, command, port)
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(end, [process, *_descendants(process)])


async def _until_it_listens(process: psutil.Popen, command: Sequence[str], port: int) -> None:
    with anyio.move_on_after(START_LIMIT_S):
        while not await _accepts(port):
            if process.poll() is not None:
                raise DidNotStart(command, f"ended with code {process.returncode}")
            await anyio.sleep(POLL_S)
        return
    raise DidNotStart(command, f"did not listen within {START_LIMIT_S:g} s")


async def _accepts(port: int) -> bool:
    try:
        stream = await anyio.connect_tcp("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def end(processes: Sequence[psutil.Process]) -> None:
    """First politely to the eldest, then surely to all."""
    if not processes:
        return
    with suppress(psutil.NoSuchProcess):
        processes[0].terminate()
    _, alive = psutil.wait_procs(processes, timeout=GRACE_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=GRACE_S)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def nothing_left_behind() -> Generator[None]:
    """At the end, however it comes, every process that this one started is gone, and so are theirs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(psutil.Process().children(), timeout=GRACE_S)
