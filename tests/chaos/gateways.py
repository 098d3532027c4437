"""A gateway's place in a chaos run: a process that is started again whenever it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.abc
import psutil

from asyncfc_mcp.downstream.links import guardian
from tests.bounds import bound_s
from tests.chaos.probe import FILE_VARIABLE
from tests.chaos.wire import Lost, Overdue, Pipes
from tests.downstream.support import free_port

if TYPE_CHECKING:
    from tests.chaos.world import World

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-chaos-suite"
START_LIMIT_S = 90.0
_BROKEN_EVENTS = ("call_broke", "request_broke", "http_request_broke", "listener_failed")
"""In a gateway's log, what only a fault of the gateway itself writes."""


class Gateway:
    """One gateway's place in the world: the process in it comes and goes."""

    def __init__(self, world: World, name: str, kind: Literal["stdio", "http"], *, is_modern: bool) -> None:
        self.name = name
        self.kind = kind
        self.is_modern = is_modern
        self.generation = 0
        self.up = anyio.Event()
        """Set while it takes requests."""
        self.pipes: Pipes | None = None
        self.port = free_port() if kind == "http" else 0
        self._world = world
        self._process: anyio.abc.Process | None = None
        self._is_end_expected = False
        self._family: list[psutil.Process] = []
        self._folder = world.plan.folder / name
        self._folder.mkdir()

    @property
    def pid(self) -> int | None:
        """Of the process that is there now."""
        return self._process.pid if self._process is not None and self.up.is_set() else None

    @property
    def label(self) -> str:
        """Of the process that is there now; no other ever had it."""
        return f"{self.name}#{self.generation}"

    async def run(self) -> None:
        """Have a process in it, again and again, until cancelled."""
        while not self._world.is_over:
            await self._live()

    def _go_down(self) -> None:
        if self.up.is_set():  # else somebody may be waiting for this very event
            self.up = anyio.Event()

    async def _live(self) -> None:
        self.generation += 1
        self._is_end_expected = False
        errors = (self._folder / f"{self.generation}.log").open("wb")
        process = self._process = await anyio.open_process(
            self._command(), cwd=ROOT, env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=errors, start_new_session=True,
        )  # fmt: skip
        errors.close()
        try:
            async with anyio.create_task_group() as tasks:
                if self.kind == "stdio":
                    self.pipes = Pipes(process, self.label, is_modern=self.is_modern)
                    tasks.start_soon(self.pipes.hear)
                tasks.start_soon(self._note_readiness)
                await process.wait()
                self._go_down()
                tasks.cancel_scope.cancel()
        finally:
            self._go_down()
            with anyio.CancelScope(shield=True), suppress(ProcessLookupError):
                process.kill()
                await process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    await pipe.aclose()
        self._read_log(process.returncode)

    async def _note_readiness(self) -> None:
        with anyio.move_on_after(bound_s(START_LIMIT_S)):
            try:
                if self.pipes is not None:
                    await self.pipes.connect()
                else:
                    await self._connect()
            except (Lost, Overdue):
                return
            self.up.set()
            self._world.history.note("up", gateway=self.label)
            return
        self._world.history.violate("a gateway starts", f"{self.label} did not answer in {START_LIMIT_S} s")

    async def _connect(self) -> None:
        while True:
            with suppress(OSError):
                await (await anyio.connect_tcp("127.0.0.1", self.port)).aclose()
                return
            await anyio.sleep(0.05)

    def _command(self) -> list[str]:
        file = self._folder / "config.json"
        document = {"mcpServers": self._world.servers_of(self.name), "asyncfc": self._world.settings}
        file.write_text(json.dumps(document))
        command = [sys.executable, "-m", "tests.chaos.probe", "serve", "--config", str(file)]
        return command + (["--transport", "http", "--port", str(self.port)] if self.kind == "http" else [])

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ASYNCFC_STATE_FOLDER": str(self._world.plan.state_folder),
            "PYTHONPATH": str(ROOT),
            "ASYNCFC_TOKEN": TOKEN,
            FILE_VARIABLE: str(self._folder / "probe.json"),
        }

    def _read_log(self, code: int | None) -> None:
        text = (self._folder / f"{self.generation}.log").read_text(errors="replace")
        if not self._is_end_expected:
            self._world.history.violate("a gateway does not end by itself", f"{self.label}, {code}: {text[-1500:]}")
        for line in text.splitlines():
            if line.startswith("{"):
                event = str(json.loads(line).get("event"))
                self._world.logged[event] += 1
                if event in _BROKEN_EVENTS:
                    self._world.history.violate("no call breaks the gateway", f"{self.label}: {line[:1500]}")
            elif "Traceback" in line:
                self._world.history.violate("no call breaks the gateway", f"{self.label}: {text[-1500:]}")

    # Faults

    def servers(self) -> list[psutil.Process]:
        """The processes that serve it, without the one that stands by to end them."""
        return [one for one in self.family() if not _is_guardian(one)]

    def family(self) -> list[psutil.Process]:
        """The processes that it has started."""
        pid = self.pid
        if pid is None:
            return []
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).children(recursive=True)
        return []

    def kill(self) -> None:
        """End it with no chance to do anything."""
        self._end_with(signal.SIGKILL)

    def end(self) -> None:
        """Ask it to end."""
        self._end_with(signal.SIGTERM)

    def _end_with(self, number: signal.Signals) -> None:
        if self._process is None or not self.up.is_set():
            return
        family = self.family()
        self._is_end_expected = True
        self._go_down()
        self._process.send_signal(number)
        self._world.watch_orphans(self.label, family)

    async def end_of_input(self) -> None:
        """Its client goes."""
        if self._process is None or not self.up.is_set() or self.kind != "stdio":
            return
        family = self.family()
        self._is_end_expected = True
        self._go_down()
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        self._world.watch_orphans(self.label, family)

    async def reached_servers(self) -> None:
        """Return once its process has reached every server, which it does while it takes requests already."""
        log = self._folder / f"{self.generation}.log"
        said = [f'"event": "server_ready", "server": "{name}"' for name in self._world.servers_of(self.name)]
        with anyio.fail_after(bound_s(START_LIMIT_S)):
            while not all(one in log.read_text(errors="replace") for one in said):  # noqa: ASYNC110  as in `probe`
                await anyio.sleep(0.05)

    async def probe(self) -> dict[str, Any]:
        """What it holds now."""
        file = self._folder / "probe.json"
        file.unlink(missing_ok=True)
        pid = self.pid
        assert pid is not None
        process = psutil.Process(pid)
        process.send_signal(signal.SIGUSR2)
        with anyio.fail_after(bound_s(20)):
            while not file.exists():  # noqa: ASYNC110  it is another process that writes it
                await anyio.sleep(0.05)
        sockets = Counter(
            f"{'from clients' if one.laddr.port == self.port else 'to servers'}: {one.status}"
            for one in process.net_connections("tcp")
        )
        return json.loads(file.read_text()) | {
            "connections": dict(sockets),
            "handles": process.num_fds(),
            "threads": process.num_threads(),
            "children": len(process.children(recursive=True)),
            "memory_mb": round(process.memory_info().rss / 2**20, 1),
        }


def _is_guardian(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return guardian.NAME in process.cmdline()
    return False
