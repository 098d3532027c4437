"""What is done to the processes of a chaos run while its programs run."""

from __future__ import annotations

import resource
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import psutil

from asyncfc_mcp.downstream.links.guardian import NAME
from tests.chaos.gateways import Gateway
from tests.chaos.plan import generator
from tests.chaos.world import World

COUNTERS = ("--name box", "--name plain")


class Injector:
    """Does one thing after another, by chance."""

    def __init__(self, world: World, *, pause_s: float) -> None:
        self._world = world
        self._pause_s = pause_s
        self._random = generator(world.plan, "faults")
        self._tasks: anyio.abc.TaskGroup | None = None

    async def run(self) -> None:
        """Inject until cancelled; what it has stopped goes on then."""
        kinds: dict[str, tuple[float, Callable[[], Awaitable[bool]]]] = {
            "gateway killed": (14, self._kill_gateway),
            "gateway ended": (5, self._end_gateway),
            "server killed": (12, self._kill_server),
            "server frozen": (10, self._freeze_server),
            "frames corrupted": (22, self._corrupt),
            "remote server killed": (4, self._kill_far),
            "remote answer corrupted": (6, self._corrupt_far),
            "client connections cut": (12, self._cut_clients),
            "client connections held": (5, self._hold_clients),
            "server connections cut": (10, self._cut_far),
            "server connections held": (4, self._hold_far),
            "disk filled": (20 * (self._world.plan.disk == "full"), self._fill_disk),
        }
        weights = [weight for weight, _ in kinds.values()]
        async with anyio.create_task_group() as self._tasks:
            while True:
                await anyio.sleep(self._random.expovariate(1 / self._pause_s))
                kind = self._random.choices(list(kinds), weights)[0]
                if await kinds[kind][1]():
                    self._world.history.counts[f"fault: {kind}"] += 1

    def _note(self, what: str, **facts: str | int) -> bool:
        self._world.history.note("FAULT", None, fault=what, **facts)
        return True

    def _later(self, after_s: float, undo: Callable[[], object]) -> None:
        """Undo a fault some time later, or when the run is over."""

        async def wait() -> None:
            try:
                await anyio.sleep(after_s)
            finally:
                with suppress(psutil.NoSuchProcess):
                    undo()

        assert self._tasks is not None
        self._tasks.start_soon(wait)

    def _gateway(self) -> Gateway | None:
        up = [one for one in self._world.gateways if one.up.is_set()]
        return self._random.choice(up) if up else None

    def _child(self) -> psutil.Process | None:
        gateway = self._gateway()
        family = gateway.servers() if gateway is not None else []
        servers = [one for one in family if not _is_guardian(one)]
        return self._random.choice(servers) if servers else None

    # Processes

    async def _kill_gateway(self) -> bool:
        gateway = self._gateway()
        if gateway is None:
            return False
        self._note("gateway killed", gateway=gateway.label)
        gateway.kill()
        return True

    async def _end_gateway(self) -> bool:
        gateway = self._gateway()
        if gateway is None:
            return False
        self._note("gateway ended", gateway=gateway.label)
        if gateway.kind == "stdio" and self._random.random() < 0.5:
            await gateway.end_of_input()
        else:
            gateway.end()
        return True

    async def _kill_server(self) -> bool:
        child = self._child()
        if child is None:
            return False
        with suppress(psutil.NoSuchProcess):
            child.kill()
        return self._note("server killed", process=child.pid)

    async def _freeze_server(self) -> bool:
        child = self._child()
        if child is None:
            return False
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGSTOP)
        self._later(self._random.choice((0.3, 1, 3, 9)), lambda: child.send_signal(signal.SIGCONT))
        return self._note("server frozen", process=child.pid)

    async def _corrupt(self) -> bool:
        child = self._child()
        if child is None:
            return False
        with suppress(psutil.NoSuchProcess):
            if not any(name in " ".join(child.cmdline()) for name in COUNTERS):
                return False
            child.send_signal(signal.SIGUSR1)
        return self._note("frames corrupted", process=child.pid)

    async def _kill_far(self) -> bool:
        if self._world.far is None:
            return False
        self._world.kill_far()
        self._later(self._random.choice((0.1, 1, 4)), self._world.start_far)
        return self._note("remote server killed")

    async def _corrupt_far(self) -> bool:
        if self._world.far is None:
            return False
        self._world.far.send_signal(signal.SIGUSR1)
        return self._note("remote answer corrupted")

    # Connections

    async def _cut_clients(self) -> bool:
        return self._world.door.cut() > 0 and self._note("client connections cut")

    async def _hold_clients(self) -> bool:
        self._world.door.hold()
        self._later(self._random.choice((0.2, 2)), self._world.door.let_go)
        return self._note("client connections held")

    async def _cut_far(self) -> bool:
        return self._world.far_line.cut() > 0 and self._note("server connections cut")

    async def _hold_far(self) -> bool:
        self._world.far_line.hold()
        self._later(self._random.choice((0.2, 2, 8)), self._world.far_line.let_go)
        return self._note("server connections held")

    # The disk

    async def _fill_disk(self) -> bool:
        state = self._world.plan.state_folder
        return self._fill_to_the_brim(state) if self._world.plan.small_disk is not None else self._limit_files(state)

    def _fill_to_the_brim(self, state: Path) -> bool:
        filler = state / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        self._later(self._random.choice((0.5, 2, 5)), lambda: filler.unlink(missing_ok=True))
        return self._note("disk filled", size=filler.stat().st_size)

    def _limit_files(self, state: Path) -> bool:
        gateway = self._gateway()
        pid = gateway.pid if gateway is not None else None
        if pid is None:
            return False
        largest = max((file.stat().st_size for file in state.rglob("*") if file.is_file()), default=0)
        process = psutil.Process(pid)
        try:
            _, hard = process.rlimit(resource.RLIMIT_FSIZE)
            # some of what it writes still fits: files of the store grow at different times
            process.rlimit(resource.RLIMIT_FSIZE, (largest // self._random.choice((1, 2)) + 4096, hard))
        except psutil.NoSuchProcess:
            return False
        self._later(self._random.choice((0.5, 2, 5)), lambda: process.rlimit(resource.RLIMIT_FSIZE, (hard, hard)))
        return self._note("disk filled", process=pid, limit=largest)


def _is_guardian(process: psutil.Process) -> bool:
    """Whether it is what ends a killed gateway's servers; who kills both asks for orphans."""
    try:
        return NAME in process.cmdline()
    except psutil.Error:
        return False
