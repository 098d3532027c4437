"""The processes of a chaos run: gateways, servers, and relays between them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import psutil

from tests.bounds import bound_s
from tests.chaos.gateways import ROOT, Gateway
from tests.chaos.history import History
from tests.chaos.plan import Plan
from tests.chaos.proxy import Proxy
from tests.chaos.servers import counter_arguments, make_repository, servers_of
from tests.downstream.support import free_port
from tests.process.support import alive

ORPHANS_END_WITHIN_S = 6.0
"""After a kill -9 of their gateway, whether they are stubborn or frozen."""
SETTINGS: dict[str, Any] = {
    "inline_wait_s": 0.3,
    "await_cap_s": 4,
    "timeout_s": 6,
    "cancel_grace_s": 1.5,
    "concurrency": 16,
}
LOW_LIMIT_MB = 1


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
        self.repository = plan.folder / "repository"
        if plan.has_real_servers:
            make_repository(self.repository)
        self.settings = {**SETTINGS, **plan.settings} | ({"store": "memory"} if plan.plant == "memory" else {})
        if plan.disk == "limit":
            self.settings["store_max_mb"] = LOW_LIMIT_MB
            history.lets_go_early = True
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
        return servers_of(gateway, self.plan, self.journal, self.files, self.far_line.port)

    def start_far(self) -> None:
        command = [sys.executable, *counter_arguments("far", self.plan, self.journal), "--port", str(self._far_port)]
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
            while alive(family):  # noqa: ASYNC110  they are nobody's children any more
                await anyio.sleep(0.1)
            return
        left = [" ".join(one.cmdline()[:4]) for one in alive(family)]
        if left:
            self.history.violate("no process outlives its gateway", f"{label}: {left}")
            for one in alive(family):
                one.kill()
