"""One supervised connection: kept up for ever, so that calls need only wait for it.

What goes over the wire during a call is `calls`'; what the servers offer together is `catalog`'s.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import structlog
from mcp.client.session import ClientSession
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import (
    Implementation,
    LoggingMessageNotificationParams,
    ServerNotification,
    ToolListChangedNotification,
)

from asyncfc_mcp import __version__
from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, StdioEntry
from asyncfc_mcp.downstream.calls import Call, Live
from asyncfc_mcp.downstream.exchange import RecordingDispatcher
from asyncfc_mcp.downstream.framing import printable
from asyncfc_mcp.downstream.handshake import explanation, is_lasting, negotiate
from asyncfc_mcp.downstream.link import Link
from asyncfc_mcp.downstream.listing import KeptListing, Listing, fetch_listing, hold_list_subscription
from asyncfc_mcp.downstream.outcome import DownstreamUnavailable, Outcome
from asyncfc_mcp.downstream.remote import remote_link
from asyncfc_mcp.downstream.retrying import LONGEST_DELAY_S, delay_s
from asyncfc_mcp.downstream.status import Callbacks, ConnectionState, ServerStatus
from asyncfc_mcp.downstream.stdio import stdio_link

log = structlog.get_logger(__name__)

START_TIMEOUT_S = 30.0
_HANDSHAKE_LIMIT_S = 180.0
"""A first `npx` or `uvx` downloads the server before it answers."""
_LIST_LIMIT_S = 60.0
_STEADY_S = 10.0
"""A server that was up for so long starts again without the delay of earlier failures."""
_LITTLE_HOPE_ATTEMPTS = 3

_CLIENT_INFO = Implementation(name="asyncfc-mcp", version=__version__)


class Connection:
    """The way to one server, from the start of the gateway to its end."""

    def __init__(
        self,
        entry: ServerEntry,
        *,
        kept: KeptListing | None = None,
        on_listing: Callable[[], None] | None = None,
        callbacks: Callbacks | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self.entry = entry
        self.key = entry.key
        self.listing: Listing | None = kept.load() if kept else None
        """The last known listing: of this connection, or kept from an earlier start."""
        self._kept = kept
        self._on_listing = on_listing
        self._callbacks = callbacks or Callbacks()
        self._start_timeout_s = start_timeout_s
        self._state = ConnectionState.CONNECTING
        self._message: str | None = None
        self._attempts = 0
        self._ended_tries = 0
        self._ready_at: float | None = None
        self._next_try_at: float | None = None
        self._live: Live | None = None
        self._talk: anyio.CancelScope | None = None
        self._opening: anyio.CancelScope | None = None
        self._is_stopping = False
        self._try_now = anyio.Event()
        self._list_changed = anyio.Event()
        self._changed = anyio.Event()

    @property
    def status(self) -> ServerStatus:
        """How it stands right now."""
        listing = self.listing or Listing()
        return ServerStatus(
            state=self._state,
            message=self._message,
            attempts=self._attempts,
            retry_in_s=self._retry_in_s(),
            protocol_version=listing.protocol_version,
            server_name=listing.server_name,
            server_version=listing.server_version,
            instructions=listing.instructions,
        )

    async def call_tool(
        self,
        tool: str,
        arguments: dict[str, Any] | None,
        *,
        meta: dict[str, Any] | None = None,
        on_progress: ProgressFnT | None = None,
        cancel_requested: anyio.Event | None = None,
    ) -> Outcome:
        """Call a tool, waiting for the server while it starts.

        Setting `cancel_requested` asks the server to cancel while its answer is still waited for; whoever does not
        want to wait any longer cancels this task. On modern HTTP asking ends the exchange, so no answer comes.

        Raises:
            DownstreamUnavailable: It was not connected in time; the call was not sent.
            DownstreamLost: The connection ended during the call.
            DownstreamError: Any other way to end without a result.
        """
        call = Call(self.key, tool, arguments, meta=meta, on_progress=on_progress)
        return await call.run(self._connected, cancel_requested)

    async def listing_or_failure(self) -> None:
        """Wait until there is a listing, or little hope of one soon."""
        await self._until(lambda: self.listing is not None or self._has_little_hope())

    async def run(self) -> None:
        """Keep the connection up until `stop`."""
        try:
            while not self._is_stopping:
                await self._attempt()
                await self._wait_for_next_try()
        finally:
            self._next_try_at = None
            self._set(ConnectionState.CLOSED, "the gateway is ending")

    def stop(self) -> None:
        """Begin to end: calls in flight fail, then the transport closes in good order and `run` returns."""
        self._is_stopping = True
        self._try_now.set()
        if self._talk is not None:
            self._talk.cancel()
        elif self._opening is not None and isinstance(self.entry.transport, RemoteEntry):
            # A start of a process is short, and cut off half-way it would leave a child that nobody ends.
            self._opening.cancel()

    async def _attempt(self) -> None:
        self._next_try_at = self._ready_at = None
        self._set(ConnectionState.CONNECTING, self._message)
        link: Link | None = None
        failure: Exception | None = None
        with anyio.CancelScope(deadline=anyio.current_time() + _HANDSHAKE_LIMIT_S) as self._opening:
            try:
                async with _open_link(self.entry) as link:
                    self._opening.deadline = math.inf
                    with anyio.CancelScope() as self._talk:
                        if not self._is_stopping:
                            await self._talk_over(link)
            except Exception as error:  # noqa: BLE001 - one server's fault, of whatever kind, must not reach the others
                failure = error
        if self._opening.cancelled_caught:
            failure = TimeoutError()
        self._talk = self._opening = None
        if not self._is_stopping:
            self._plan_next_try(failure, link.trouble() if link else None)

    async def _talk_over(self, link: Link) -> None:
        dispatcher = RecordingDispatcher(link)
        async with self._session(dispatcher) as session:
            with anyio.fail_after(_HANDSHAKE_LIMIT_S):
                await negotiate(session)
                await self._take_listing(await fetch_listing(session, self.key))
            self._live = Live(session, dispatcher, link.lost, link.trouble)
            self._ready_at = time.monotonic()
            self._set(ConnectionState.READY, None)
            log.info("server_ready", server=self.key, tools=len(self.listing.tools) if self.listing else 0)
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._follow_list, session)
                    tasks.start_soon(hold_list_subscription, session, self._note_list_change)
                    await link.lost.wait()
                    tasks.cancel_scope.cancel()
            finally:
                self._live = None

    def _session(self, dispatcher: RecordingDispatcher) -> ClientSession:
        return ClientSession(
            dispatcher=dispatcher,
            sampling_callback=self._callbacks.sampling,
            elicitation_callback=self._callbacks.elicitation,
            list_roots_callback=self._callbacks.list_roots,
            logging_callback=self._log_server_message,
            message_handler=self._take_notification,
            client_info=_CLIENT_INFO,
        )

    def _plan_next_try(self, failure: Exception | None, trouble: str | None) -> None:
        was_ready = self._ready_at is not None
        if self._ready_at is not None and time.monotonic() - self._ready_at > _STEADY_S:
            self._attempts = 0
        self._attempts += 1
        self._ended_tries += 1
        lasting = failure is not None and is_lasting(failure)
        pause_s = LONGEST_DELAY_S if lasting else delay_s(self._attempts)
        message = explanation(failure, trouble) if failure else trouble or "it closed the connection"
        self._next_try_at = time.monotonic() + pause_s
        self._set(ConnectionState.FAILED if lasting else ConnectionState.WAITING, message)
        event = "server_lost" if was_ready else "server_start_failed"
        log.warning(event, server=self.key, why=message, attempts=self._attempts, next_try_s=round(pause_s, 1))

    async def _wait_for_next_try(self) -> None:
        with anyio.move_on_after(self._retry_in_s() or 0):
            await self._try_now.wait()
        self._try_now = anyio.Event()

    async def _connected(self) -> Live:
        ended_tries = self._ended_tries
        if self._usable() is None and self._state is not ConnectionState.CONNECTING:
            self._try_now.set()
        with anyio.move_on_after(self._start_timeout_s):
            await self._until(lambda: self._usable() is not None or self._gives_up_since(ended_tries))
        live = self._usable()
        if live is None:
            raise DownstreamUnavailable(self.key, self._message or "it is still starting", self._retry_in_s())
        return live

    def _usable(self) -> Live | None:
        return None if self._live is None or self._live.lost.is_set() else self._live

    def _gives_up_since(self, ended_tries: int) -> bool:
        if self._state is ConnectionState.CLOSED:
            return True
        return self._state is ConnectionState.FAILED and self._ended_tries > ended_tries

    def _has_little_hope(self) -> bool:
        is_down = self._state in {ConnectionState.FAILED, ConnectionState.CLOSED}
        return is_down or self._attempts >= _LITTLE_HOPE_ATTEMPTS

    def _retry_in_s(self) -> float | None:
        return None if self._next_try_at is None else max(0.0, self._next_try_at - time.monotonic())

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self._changed.wait()

    def _set(self, state: ConnectionState, message: str | None) -> None:
        self._state = state
        self._message = message
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _take_listing(self, listing: Listing) -> None:
        if listing == self.listing:
            return
        self.listing = listing
        self._tell_waiters()
        if self._on_listing is not None:
            self._on_listing()
        if self._kept is not None:
            await anyio.to_thread.run_sync(self._kept.save, listing)

    async def _follow_list(self, session: ClientSession) -> None:
        while True:
            await self._list_changed.wait()
            self._list_changed = anyio.Event()
            try:
                with anyio.fail_after(_LIST_LIMIT_S):
                    await self._take_listing(await fetch_listing(session, self.key))
            except (MCPError, TimeoutError) as error:
                log.warning("server_list_not_refreshed", server=self.key, why=explanation(error, None))

    def _note_list_change(self) -> None:
        self._list_changed.set()

    async def _take_notification(self, message: ServerNotification | Exception) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._note_list_change()
        elif isinstance(message, Exception):
            log.debug("server_stream_fault", server=self.key, kind=type(message).__name__)

    async def _log_server_message(self, params: LoggingMessageNotificationParams) -> None:
        text = printable(str(params.data).encode("utf-8", "replace"))
        log.debug("server_log", server=self.key, level=params.level, logger=params.logger, text=text)


@asynccontextmanager
async def _open_link(entry: ServerEntry) -> AsyncGenerator[Link]:
    transport = entry.transport
    opened = stdio_link(entry.key, transport) if isinstance(transport, StdioEntry) else remote_link(transport)
    async with opened as link:
        yield link
