"""What the tests of failures share: little patience, the processes of servers, and toys under names of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import psutil

from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.patience import Patience
from asyncfc_mcp.downstream.status import ConnectionState

WATCHFUL = Patience(first_quiet_s=0.05, quiet_s=0.1, answer_limit_s=0.3, replace_after_s=0.4, delay_s=lambda _: 0.02)
"""Asks a quiet child several times in a second."""


def quick(breaker_attempts: int = 3, *, pause_when_open_s: float = 60.0, **more: Any) -> Patience:
    """Tries again at once until the breaker opens."""

    def delay_s(attempt: int) -> float:
        return 0.02 if attempt < breaker_attempts else pause_when_open_s

    return Patience(breaker_attempts=breaker_attempts, delay_s=delay_s, **more)


def child(*words: str) -> psutil.Process:
    """Our only living child whose command line has all these words."""
    children = [one for one in psutil.Process().children(recursive=True) if _is_meant(one, words)]
    assert len(children) == 1, children
    return children[0]


def _is_meant(process: psutil.Process, words: tuple[str, ...]) -> bool:
    try:
        said = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    return all(any(word in part for part in said) for word in words)


@contextmanager
def frozen(process: psutil.Process) -> Generator[None]:
    """Meanwhile the process does nothing at all."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)


async def stands(connection: Connection, state: ConnectionState) -> None:
    """Wait until the connection stands so; the status has no event of its own for callers."""
    with anyio.fail_after(20):
        while connection.status.state is not state:  # noqa: ASYNC110
            await anyio.sleep(0.005)


async def gone(process: psutil.Process) -> None:
    """Wait until the process has ended."""
    with anyio.fail_after(20):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await anyio.sleep(0.01)
