"""The processes of a chaos run: gateways that are started again whenever they end, servers, and relays between them."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.abc
import psutil

from tests.bounds import bound_s
from tests.chaos.history import History
from tests.chaos.probe import FILE_VARIABLE
from tests.chaos.proxy import Proxy, free_port
from tests.chaos.wire import Lost, Overdue, Pipes
from tests.process.support import alive

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-chaos-suite"
ORPHANS_END_WITHIN_S = 6.0
"""After a kill -9 of their gateway: its servers have only the end of their stdin to tell."""
START_LIMIT_S = 90.0
_BROKEN_EVENTS = ("call_broke", "request_broke", "http_request_broke", "listener_failed")
"""In a gateway's log, what only a fault of the gateway itself writes."""

Plant = Literal["", "memory", "twice", "value", "order"]
"""A fault planted on purpose, to see that the checker finds it."""

SETTINGS: dict[str, Any] = {
    "inline_wait_s": 0.3,
    "await_cap_s": 4,
    "timeout_s": 6,
    "cancel_grace_s": 1.5,
    "concurrency": 16,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is made of."""

    folder: Path
    seed: str
    plant: Plant = ""
    has_real_servers: bool = True
    fills_disk: bool = False
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


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
            "ASYNCFC_STATE_FOLDER": str(self._world.plan.folder / "state"),
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


class World:
    """All that runs."""

    def __init__(self, plan: Plan, history: History) -> None:
        self.plan = plan
        self.history = history
        self.logged: Counter[str] = Counter()
        """What the gateways wrote into their logs."""
        self.journal = plan.folder / "journal.jsonl"
        self.journal.touch()
        self.files = plan.folder / "files"
        self.files.mkdir()
        self.settings = {**SETTINGS, **plan.settings} | ({"store": "memory"} if plan.plant == "memory" else {})
        self.window = Gateway(self, "window", "stdio", is_modern=False)
        self.other_window = Gateway(self, "other", "stdio", is_modern=True)
        self.network = Gateway(self, "network", "http", is_modern=True)
        self.gateways = [self.window, self.other_window, self.network]
        self.door = Proxy(self.network.port)
        self._far_port = free_port()
        self.far_line = Proxy(self._far_port)
        self.far: psutil.Popen | None = None
        self.is_over = False
        """Whether a gateway that ends is not started again."""
        self._tasks: anyio.abc.TaskGroup | None = None

    @asynccontextmanager
    async def running(self, gateways: Sequence[Gateway] | None = None) -> AsyncGenerator[None]:
        """Everything, or only these gateways; when it is left, nothing of it is left."""
        wanted = self.gateways if gateways is None else gateways
        async with self.door.running(), self.far_line.running(), anyio.create_task_group() as tasks:
            self._tasks = tasks
            self.start_far()
            try:
                async with anyio.create_task_group() as lives:
                    for gateway in wanted:
                        lives.start_soon(gateway.run)
                    yield
                    self.is_over = True
                    for gateway in wanted:
                        gateway.end()
            finally:
                self.kill_far()
                tasks.cancel_scope.cancel()

    def servers_of(self, gateway: str) -> dict[str, Any]:
        """The servers behind a gateway, as its configuration has them."""
        free: dict[str, list[str]] = {"reads": [], "writes": []}
        write = {"writes": ["box/{key}"]}
        labels = {"write": write, "record": write, "repeatable": write, "read": {"reads": ["box/{key}"]}}
        if self.plan.plant == "order":
            labels = dict.fromkeys(labels, free)
        servers: dict[str, Any] = {
            "box": self._counter("box") | {"asyncfc": {"tools": labels}},
            "plain": self._counter("plain"),
            "far": {"url": f"http://127.0.0.1:{self.far_line.port}/mcp", "asyncfc": {"isolated": True}},
        }
        if gateway == "other" and self.plan.has_real_servers:
            servers |= real_servers(self.files)
        return servers

    def _counter(self, name: str) -> dict[str, Any]:
        return {"command": sys.executable, "args": self._counter_arguments(name), "env": {"PYTHONPATH": str(ROOT)}}

    def _counter_arguments(self, name: str) -> list[str]:
        plant = ["--plant", self.plan.plant] if self.plan.plant in {"twice", "value"} else []
        return ["-m", "tests.chaos.counter", "--name", name, "--journal", str(self.journal), *plant]

    def start_far(self) -> None:
        command = [sys.executable, *self._counter_arguments("far"), "--port", str(self._far_port)]
        self.far = psutil.Popen(command, cwd=ROOT)

    def cut_idle(self) -> None:
        """End the connections that clients and gateways keep in case they need them again."""
        self.door.cut()
        self.far_line.cut()

    def kill_far(self) -> None:
        if self.far is not None:
            self.far.kill()
            self.far.wait()
            self.far = None

    def watch_orphans(self, label: str, family: list[psutil.Process]) -> None:
        """See that a gateway's servers end with it."""
        assert self._tasks is not None
        self._tasks.start_soon(self._watch, label, family)

    async def _watch(self, label: str, family: list[psutil.Process]) -> None:
        with anyio.move_on_after(bound_s(ORPHANS_END_WITHIN_S)):
            while alive(family):
                for one in family:
                    with suppress(psutil.NoSuchProcess):
                        one.send_signal(signal.SIGCONT)  # a frozen one cannot see that its gateway is gone
                await anyio.sleep(0.1)
            return
        left = [" ".join(one.cmdline()[:4]) for one in alive(family)]
        if left:
            self.history.violate("no process outlives its gateway", f"{label}: {left}")
            for one in alive(family):
                one.kill()


def real_servers(files: Path) -> dict[str, Any]:
    """Other people's servers, as far as they are installed."""
    servers: dict[str, Any] = {}
    npm = os.environ.get("ASYNCFC_TEST_NPM")
    filesystem = Path(npm or "", "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js")
    if npm and filesystem.exists() and (node := shutil.which("node")):
        servers["fs"] = {"command": node, "args": [str(filesystem), str(files)]}
    if importlib.util.find_spec("mcp_server_time") is not None:
        servers["time"] = {"command": sys.executable, "args": ["-m", "mcp_server_time"]}
    return servers


def generator(plan: Plan, purpose: str) -> random.Random:
    """Chance for one purpose, the same in every run with this seed."""
    return random.Random(f"{plan.seed}/{purpose}")
