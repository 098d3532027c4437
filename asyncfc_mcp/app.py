"""The composition root: the only file that knows every part and puts them together."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import structlog

from asyncfc_mcp.config.differences import Differences
from asyncfc_mcp.config.file import ConfigFile
from asyncfc_mcp.config.load import LoadedConfig
from asyncfc_mcp.config.policy import LabelSource, unknown_tools
from asyncfc_mcp.dashboard.metrics_page import metrics_routes
from asyncfc_mcp.dashboard.probes import PROBE_PATHS, probe_routes
from asyncfc_mcp.dashboard.routes import DASHBOARD_PATHS
from asyncfc_mcp.dashboard.service import Dashboard, listener_beside
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.links.overhearing import overheard_by
from asyncfc_mcp.downstream.links.server_logs import ServerLogs
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.flows.auditing import AuditLog
from asyncfc_mcp.gateway.following import FileFollower
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.server.handlers import Handlers
from asyncfc_mcp.store.base import StoreFault
from asyncfc_mcp.store.opening import store_for
from asyncfc_mcp.transports.access import Access
from asyncfc_mcp.transports.doorway import NetworkDoorway
from asyncfc_mcp.transports.http import MCP_PATH, serve_http
from asyncfc_mcp.transports.listener import Listener
from asyncfc_mcp.transports.sse import SSE_PATH, serve_sse
from asyncfc_mcp.transports.stdio import StdioDoorway, serve_stdio

log = structlog.get_logger()

COLLISION_ENDS_START_S = 4.0
"""How long after the very first start a collision of tool names still ends it: a client has come and gone by then."""
_REMEDY = (
    'in the server\'s entry: "asyncfc": {"isolated": true} if it shares no state with other servers; '
    '"asyncfc": {"tools": {"TOOL": {"reads": [], "writes": []}}} for a tool that touches no state'
)


class App:
    """One running gateway.

    Args:
        loaded: what the user asked for.
        state_folder: where the last known tool lists are kept; None for nowhere.
        serves_network: whether clients come over HTTP or SSE, each with an identity of its own, and not over stdio.
        config_file: what was asked for was read from it, and is followed as it changes.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        state_folder: Path | None,
        *,
        serves_network: bool = False,
        config_file: ConfigFile | None = None,
    ) -> None:
        self._changed = anyio.Event()
        self._reported: set[str] = set()
        self._refusal: GatewayError | None = None
        keeps_logs = loaded.config.settings.server_logs
        self._ears = (ServerLogs(state_folder, loaded.config.servers),) if state_folder and keeps_logs else ()
        self.pool = Pool(
            loaded.config,
            state_folder=state_folder,
            on_change=self._note_change,
            waits_for_claims=not serves_network,
        )
        if self.pool.catalog.collisions:
            raise self.pool.catalog.collisions[0]
        self._state_folder = state_folder
        self._config = loaded.config
        settings = loaded.config.settings
        audit = AuditLog(state_folder) if state_folder is not None else None
        store = store_for(settings, state_folder, "network" if serves_network else "stdio")
        self.gateway = Gateway(loaded.config, self.pool, store, audit)
        self.network = NetworkDoorway(settings.await_cap_s)
        self._doorway = self.network if serves_network else StdioDoorway(settings.await_cap_s)
        self.handlers = Handlers(self.gateway, settings, self._doorway)
        self._follower: FileFollower | None = None
        if config_file is not None and config_file.can_be_read_again:
            self._follower = FileFollower(self.gateway, config_file, self._note_taken_up, said=loaded.warnings)
        self._pages = [*probe_routes(self.gateway), *(metrics_routes(self.gateway) if settings.metrics else ())]
        """What monitors read, where there is HTTP."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Everything but a transport; when it is left, nothing of ours is left running.

        Raises:
            StoreFault: the store cannot be used.
        """
        await self.gateway.open()
        # The outer one, so that servers which are started later are heard too.
        with overheard_by(*self._ears):
            async with anyio.create_task_group() as tasks:
                await tasks.start(self.pool.run)
                await tasks.start(self.gateway.run)
                await tasks.start(self.handlers.run)
                tasks.start_soon(self._announce_changes)
                if self._follower is not None:
                    tasks.start_soon(self._follower.run)
                yield
                tasks.cancel_scope.cancel()

    async def serve_stdio(self) -> GatewayError | None:
        """Serve on stdio until the client goes or a signal comes; or not at all, for the reason that is returned."""
        listener = listener_beside(self._config.settings.dashboard)
        dashboard = self._dashboard("stdio", listener)
        if self._config.settings.metrics and listener is None:
            log.warning("metrics_not_served", why="on stdio there is no HTTP", change="serve --dashboard PORT")

        async def serve() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(dashboard.serve, self._pages, PROBE_PATHS)
                await serve_stdio(self.handlers)
                tasks.cancel_scope.cancel()

        with dashboard.announced(self._state_folder):
            return await self._serve(serve, listener.close if listener is not None else lambda: None)

    async def serve_http(self, listener: Listener, access: Access) -> GatewayError | None:
        """Serve streamable HTTP until a signal comes; or not at all, for the reason that is returned."""
        return await self._serve_network("http", MCP_PATH, serve_http, listener, access)

    async def serve_sse(self, listener: Listener, access: Access) -> GatewayError | None:
        """Serve HTTP with server-sent events until a signal comes; or not at all, for the reason that is returned."""
        return await self._serve_network("sse", SSE_PATH, serve_sse, listener, access)

    async def _serve_network(
        self, transport: str, path: str, serve: Callable[..., Awaitable[None]], listener: Listener, access: Access
    ) -> GatewayError | None:
        log.info("listening", url=f"{listener.origin}{path}", token_needed=access.token is not None)
        dashboard = self._dashboard(transport, listener, access)
        serving = partial(
            serve,
            self.handlers,
            self.network,
            listener,
            access,
            self._end_session,
            pages=[*self._pages, *dashboard.routes],
            open_paths=(*PROBE_PATHS, *DASHBOARD_PATHS),
        )
        with dashboard.announced(self._state_folder):
            return await self._serve(serving, listener.close)

    def _dashboard(self, transport: str, listener: Listener | None, access: Access | None = None) -> Dashboard:
        tokens = (access.token,) if access is not None and access.token is not None else ()
        return Dashboard(self.gateway, lambda: self._config, transport=transport, listener=listener, tokens=tokens)

    async def _serve(
        self, transport: Callable[[], Awaitable[None]], close: Callable[[], None] = lambda: None
    ) -> GatewayError | None:
        try:
            look = self._follower.look_now if self._follower is not None else None
            with anyio.CancelScope() as scope, _heeding_signals(scope.cancel, look):
                async with self.running(), anyio.create_task_group() as tasks:
                    tasks.start_soon(self._watch_first_lists, scope)
                    await transport()
                    tasks.cancel_scope.cancel()
        except StoreFault as fault:
            return fault
        finally:
            close()
        return self._refusal

    async def _watch_first_lists(self, serving: anyio.CancelScope) -> None:
        """End the start when the very first lists show that two tools have one name: the user has to choose."""
        await self.pool.catalog.tools(COLLISION_ENDS_START_S)
        if self.pool.catalog.collisions:
            self._refusal = self.pool.catalog.collisions[0]
            serving.cancel()

    def _end_session(self, session: str) -> None:
        """A client's session is over."""
        # the first characters only: whoever knows all of them could speak in its name
        log.info("session_ended", session=session[:6])
        self.handlers.end_session(session)

    def _note_change(self) -> None:
        self._changed.set()

    def _note_taken_up(self, changes: Differences) -> None:
        """Another configuration counts now."""
        self._config = self.gateway.config
        for ears in self._ears:
            ears.know(self._config.servers)
        self._doorway.take_up(self._config.settings.await_cap_s)
        self._reported -= {*changes.added, *changes.gone, *changes.replaced, *changes.changed}
        self._note_change()

    async def _announce_changes(self) -> None:
        self._report_labels()
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            self._report_labels()
            self.handlers.announce_changes()

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
def _heeding_signals(stop: Callable[[], None], look: Callable[[], None] | None) -> Generator[None]:
    """Have Ctrl-C and SIGTERM call `stop` in the event loop, and SIGHUP `look` where there is such a thing.

    After one that stops, the process is to end, and no further one breaks into that.
    """
    had_terminal = _has_terminal()
    is_stopping = False
    loop = asyncio.get_running_loop()

    def stop_for(number: signal.Signals) -> None:
        nonlocal is_stopping
        is_stopping = True
        stop()  # first, since what is said may find nobody to read it
        log.info("stopping", signal=number.name)

    def look_for(number: signal.Signals) -> None:
        if had_terminal and not _has_terminal():  # its window was closed, and we with it
            stop_for(number)
        elif look is not None:
            look()

    heeded = {signal.SIGINT: stop_for, signal.SIGTERM: stop_for}
    if look is not None and sys.platform != "win32":
        heeded[signal.SIGHUP] = look_for
    before = {number: signal.getsignal(number) for number in heeded}
    for number, heed in heeded.items():
        try:
            # The loop's own way wakes it whichever thread the system hands the signal to; a handler of Python's alone
            # would wait for the next event when that is the thread that writes to a client which does not read.
            loop.add_signal_handler(number, heed, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda given, _: loop.call_soon_threadsafe(stop_for, signal.Signals(given)))
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN if is_stopping else handler)


def _has_terminal() -> bool:
    """Whether we were started in a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True
