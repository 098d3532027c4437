"""The composition root: the only file that knows every part and puts them together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import structlog

from asyncfc_mcp.config.load import COMMAND_LINE, ConfigurationError, LoadedConfig
from asyncfc_mcp.config.policy import LabelSource, unknown_tools
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.server.handlers import Handlers
from asyncfc_mcp.store.memory import MemoryStore
from asyncfc_mcp.transports.stdio import StdioDoorway, serve_stdio

log = structlog.get_logger()

FIRST_LISTING_S = 2.0
"""How long a client is kept waiting at its first start for servers that were never listed before."""
_REMEDY = (
    'in the server\'s entry: "asyncfc": {"isolated": true} if it shares no state with other servers; '
    '"asyncfc": {"tools": {"TOOL": {"reads": [], "writes": []}}} for a tool that touches no state'
)


class App:
    """One running gateway.

    Args:
        loaded: what the user asked for.
        state_folder: where the last known tool lists are kept; None for nowhere.
    """

    def __init__(self, loaded: LoadedConfig, state_folder: Path | None) -> None:
        self._config = loaded.config
        self._changed = anyio.Event()
        self._reported: set[str] = set()
        self.pool = Pool(loaded.config, state_folder=state_folder, on_change=self._note_change)
        if self.pool.catalog.collisions:
            raise self.pool.catalog.collisions[0]
        settings = loaded.config.settings
        if settings.store != "memory":
            # the scheme alone: what follows it may hold a password
            asked = settings.store.partition(":")[0]
            raise ConfigurationError(loaded.config.source or COMMAND_LINE, "asyncfc.store", f'"{asked}…"', '"memory"')
        self.gateway = Gateway(loaded.config, self.pool, MemoryStore())
        self.handlers = Handlers(self.gateway, settings, StdioDoorway(settings.await_cap_s))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Everything but a transport; when it is left, nothing of ours is left running."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.pool.run)
            await tasks.start(self.gateway.run)
            tasks.start_soon(self._announce_changes)
            yield
            tasks.cancel_scope.cancel()

    async def serve_stdio(self) -> GatewayError | None:
        """Serve on stdio until the client goes or a signal comes; or not at all, for the reason that is returned."""
        with anyio.CancelScope() as scope, _stopped_by_signals(scope.cancel):
            async with self.running():
                # A client hears the servers' instructions once, as it connects: worth a moment on the very first start.
                await self.pool.catalog.tools(FIRST_LISTING_S)
                if self.pool.catalog.collisions:
                    return self.pool.catalog.collisions[0]
                await serve_stdio(self.handlers)
        return None

    def _note_change(self) -> None:
        self._changed.set()

    async def _announce_changes(self) -> None:
        self._report_labels()
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            self._report_labels()
            await self.handlers.announce_tools()

    def _report_labels(self) -> None:
        """Say once for each server what keeps its calls from overlapping, and what would change that."""
        tools_of: dict[str, list[CatalogTool]] = {}
        for tool in self.pool.catalog.known:
            tools_of.setdefault(tool.server, []).append(tool)
        for server, tools in tools_of.items():
            if server in self._reported:
                continue
            self._reported.add(server)
            unknown = unknown_tools(self.pool.connection(server).entry, [tool.own_name for tool in tools])
            if unknown:
                log.warning(
                    "unknown_tools_configured", server=server, tools=unknown, effect="their settings are unused"
                )
            serialised = sum(tool.policy.label_source is LabelSource.DEFAULT for tool in tools)
            if not serialised:
                continue
            log.info(
                "server_serialised",
                server=server,
                tools=len(tools),
                serialised_tools=serialised,
                why="nothing says what these tools read and write, so their calls keep their order",
                change=_REMEDY,
            )


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Generator[None]:
    """Have Ctrl-C and SIGTERM call `stop` in the event loop, on every platform."""
    loop = asyncio.get_running_loop()

    def stop_for(number: signal.Signals) -> None:
        log.info("stopping", signal=number.name)
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        try:
            # The loop's own way wakes it whichever thread the system hands the signal to; a handler of Python's alone
            # would wait for the next event when that is the thread that writes to a client which does not read.
            loop.add_signal_handler(number, stop_for, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda given, _: loop.call_soon_threadsafe(stop_for, signal.Signals(given)))
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)
