"""The composition root: the only file that knows every part and puts them together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import structlog

from asyncfc_mcp.config.load import LoadedConfig
from asyncfc_mcp.config.policy import LabelSource, unknown_tools
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.flows.auditing import AuditLog
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
    """

    def __init__(self, loaded: LoadedConfig, state_folder: Path | None, *, serves_network: bool = False) -> None:
        self._changed = anyio.Event()
        self._reported: set[str] = set()
        self._refusal: GatewayError | None = None
        self.pool = Pool(
            loaded.config,
            state_folder=state_folder,
            on_change=self._note_change,
            waits_for_claims=not serves_network,
        )
        if self.pool.catalog.collisions:
            raise self.pool.catalog.collisions[0]
        settings = loaded.config.settings
        audit = AuditLog(state_folder) if state_folder is not None else None
        store = store_for(settings, state_folder, "network" if serves_network else "stdio")
        self.gateway = Gateway(loaded.config, self.pool, store, audit)
        self.network = NetworkDoorway(settings.await_cap_s)
        doorway = self.network if serves_network else StdioDoorway(settings.await_cap_s)
        self.handlers = Handlers(self.gateway, settings, doorway)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Everything but a transport; when it is left, nothing of ours is left running.

        Raises:
            StoreFault: the store cannot be used.
        """
        await self.gateway.open()
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.pool.run)
            await tasks.start(self.gateway.run)
            await tasks.start(self.handlers.run)
            tasks.start_soon(self._announce_changes)
            yield
            tasks.cancel_scope.cancel()

    async def serve_stdio(self) -> GatewayError | None:
        """Serve on stdio until the client goes or a signal comes; or not at all, for the reason that is returned."""
        return await self._serve(lambda: serve_stdio(self.handlers))

    async def serve_http(self, listener: Listener, access: Access) -> GatewayError | None:
        """Serve streamable HTTP until a signal comes; or not at all, for the reason that is returned."""
        log.info("listening", url=f"{listener.origin}{MCP_PATH}", token_needed=access.token is not None)
        return await self._serve(
            lambda: serve_http(self.handlers, self.network, listener, access, self._end_session), listener.close
        )

    async def serve_sse(self, listener: Listener, access: Access) -> GatewayError | None:
        """Serve HTTP with server-sent events until a signal comes; or not at all, for the reason that is returned."""
        log.info("listening", url=f"{listener.origin}{SSE_PATH}", token_needed=access.token is not None)
        return await self._serve(
            lambda: serve_sse(self.handlers, self.network, listener, access, self._end_session), listener.close
        )

    async def _serve(
        self, transport: Callable[[], Awaitable[None]], close: Callable[[], None] = lambda: None
    ) -> GatewayError | None:
        try:
            with anyio.CancelScope() as scope, _stopped_by_signals(scope.cancel):
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
