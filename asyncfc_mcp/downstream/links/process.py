"""The children that we start: spawning them, and ending them with everything that they started.

The only file that knows about process groups and signals, besides `guardian`, which ends what we leave when we are
killed. What is said over the pipes is `stdio`'s.
"""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import anyio
import structlog

from asyncfc_mcp.config.dialects import without_options
from asyncfc_mcp.config.models import StdioEntry
from asyncfc_mcp.errors import GatewayError

if sys.platform == "win32":
    from asyncfc_mcp.downstream.links.job import Guardian
else:
    from asyncfc_mcp.downstream.links.guardian import Guardian

log = structlog.get_logger(__name__)

INSIDE_MARKER = "ASYNCFC_INSIDE"
"""Set for every child, so that a gateway can see that it would run behind itself."""

_PIPE_BUFFER_BYTES = 1024 * 1024
_EOF_GRACE_S = 0.25
_TERM_GRACE_S = 0.3
_KILL_GRACE_S = 0.2
_GROUP_POLL_S = 0.01
_GUARDIAN = Guardian()  # one for the process, as its children are
_NEW_GROUP_FLAG = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0


class CommandNotFound(GatewayError):
    """The command of a server is not there, or cannot be run."""

    def __init__(self, command: str) -> None:
        # Without the PATH itself: `env` may set it, and this text reaches the log and the model.
        where = "in the PATH of its environment" if Path(command).parent == Path() else "there, or cannot be run"
        way_out = "put its words but the first into `args`" if " " in command else "install it"
        shown = without_options(command)
        super().__init__(f"command {shown!r} was not found {where}; {way_out}, or give its whole path as `command`")
        self.command = command


class WorkingFolderMissing(GatewayError):
    """The `cwd` of a server is not a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"working folder {str(folder)!r} does not exist; create it or correct `cwd`")
        self.folder = folder


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Streams with flow control, but for stdout, and an event for the exit itself.

    `Process.wait` would wait for the pipes too, which a grandchild may hold open.
    """

    def __init__(self) -> None:
        super().__init__(limit=_PIPE_BUFFER_BYTES, loop=asyncio.get_running_loop())
        self.exited = anyio.Event()
        self.deaf = anyio.Event()
        self.has_missed = False
        self._group = 0
        self._on_stdout: Callable[[bytes], None] | None = None
        self._came_early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._group = cast("asyncio.SubprocessTransport", transport).get_pid()
        _GUARDIAN.watch(self._group)

    def listen(self, on_stdout: Callable[[bytes], None]) -> None:
        self._on_stdout = on_stdout
        early, self._came_early = self._came_early, []
        for chunk in early:
            on_stdout(chunk)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        if fd != 1:
            super().pipe_data_received(fd, data)
        elif isinstance(data, bytes):  # asyncio gives nothing else
            self._take_stdout(data)

    def _take_stdout(self, data: bytes) -> None:
        if self._on_stdout is None:
            self._came_early.append(data)
        else:
            self._on_stdout(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        super().pipe_connection_lost(fd, exc)
        if fd == 1:
            self._take_stdout(b"")
        if fd == 0:
            # not `wait_closed`: asyncio shares its one future, and whoever is cancelled there cancels it for all
            self.has_missed = exc is not None
            self.deaf.set()

    def process_exited(self) -> None:
        super().process_exited()
        if not _is_alive(self._group):
            _GUARDIAN.forget(self._group)
        self.exited.set()


class ChildProcess:
    """A running child with its three pipes; leads a process group of its own."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol) -> None:
        stdout = cast("asyncio.ReadTransport | None", transport.get_pipe_transport(1))
        if protocol.stdin is None or stdout is None or protocol.stderr is None:
            raise RuntimeError("a child is always started with three pipes")
        self.stdin = protocol.stdin
        self.stderr = protocol.stderr
        self.listen = protocol.listen
        """Has a callable told what comes on its stdout, as it comes; nothing at all says that it has ended."""
        self.pause = stdout.pause_reading
        """Read nothing more of its stdout for now."""
        self.resume = stdout.resume_reading
        self.pid = transport.get_pid()
        self.own_exit_code: int | None = None
        """How it ended when it did so by itself; None while it runs or when we ended it."""
        self._transport = transport
        self._protocol = protocol

    async def exited(self) -> None:
        """Wait until it has exited, whatever still holds its pipes."""
        await self._protocol.exited.wait()

    async def deaf(self) -> bool:
        """Wait until its stdin is closed, by it or by us; whether something was left over."""
        await self._protocol.deaf.wait()
        return self._protocol.has_missed

    async def end(self) -> None:
        """Ask it to end (end of file, then SIGTERM), then make it; returns within 0.9 s, with its group gone."""
        with anyio.CancelScope(shield=True):
            self.stdin.close()
            is_gone = await self._is_gone_within(_EOF_GRACE_S)
            if self._protocol.exited.is_set():
                self.own_exit_code = self._transport.get_returncode()
            if not is_gone:
                await self._force_end()
            _GUARDIAN.forget(self.pid)
            await self._release_pipes()

    async def _force_end(self) -> None:
        if sys.platform == "win32":
            await _kill_tree(self.pid)
        else:
            self._signal_group(signal.SIGTERM)
            if await self._is_gone_within(_TERM_GRACE_S):
                return
            self._signal_group(signal.SIGKILL)
        if not await self._is_gone_within(_KILL_GRACE_S):
            log.warning("server_process_not_reaped", pid=self.pid)

    async def _is_gone_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._protocol.exited.wait()
            while _is_alive(self.pid):  # noqa: ASYNC110 - nothing tells when the last grandchild has gone
                await anyio.sleep(_GROUP_POLL_S)
            return True
        return False

    def _signal_group(self, signal_number: int) -> None:
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal_number)

    async def _release_pipes(self) -> None:
        if self.stdin.transport.get_write_buffer_size() > 0:
            self.stdin.transport.abort()
        self._transport.close()
        with anyio.move_on_after(0.05):
            await self._protocol.deaf.wait()


def _is_alive(group: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


async def spawn(entry: StdioEntry) -> ChildProcess:
    """Start the server of `entry` with the gateway's whole environment and its own.

    Raises:
        CommandNotFound: There is no such command.
        WorkingFolderMissing: `cwd` is not a folder.
        OSError: The system would not start it.
    """
    environment = {**os.environ, **entry.env, INSIDE_MARKER: "1"}
    if entry.cwd is not None and not await anyio.Path(entry.cwd).is_dir():
        raise WorkingFolderMissing(entry.cwd)
    command = _resolved_command(entry, environment)
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(
        _Protocol,
        command,
        *entry.args,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=entry.cwd,
        start_new_session=sys.platform != "win32",
        creationflags=_NEW_GROUP_FLAG,
    )
    return ChildProcess(transport, protocol)


def _resolved_command(entry: StdioEntry, environment: dict[str, str]) -> str:
    path = environment.get("PATH", os.defpath)
    command = entry.command
    if entry.cwd is not None and Path(command).parent != Path():
        command = str(entry.cwd / command)
    # The child's PATH, not ours; on Windows this also finds npx.cmd behind `npx`.
    found = shutil.which(command, path=path)
    if found is None:
        raise CommandNotFound(entry.command)
    return found


async def _kill_tree(pid: int) -> None:
    killer = await asyncio.create_subprocess_exec(
        "taskkill", "/T", "/F", "/PID", str(pid), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with anyio.move_on_after(_TERM_GRACE_S):
        await killer.wait()
