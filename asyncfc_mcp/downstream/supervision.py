"""Keeping one server up: opening the way to it, trying again ever more slowly, and ending in good order.

What is said over the way once it is open is the owner's.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import structlog

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, StdioEntry
from asyncfc_mcp.downstream.handshake import explanation, is_lasting
from asyncfc_mcp.downstream.links.link import Link
from asyncfc_mcp.downstream.links.remote import remote_link
from asyncfc_mcp.downstream.links.stdio import stdio_link
from asyncfc_mcp.downstream.outcome import DownstreamUnavailable
from asyncfc_mcp.downstream.retrying import LONGEST_DELAY_S, delay_s
from asyncfc_mcp.downstream.sending import Live
from asyncfc_mcp.downstream.sign_in.auth import SignIn
from asyncfc_mcp.downstream.status import ConnectionState

log = structlog.get_logger(__name__)

START_TIMEOUT_S = 30.0
HANDSHAKE_LIMIT_S = 180.0
"""A first `npx` or `uvx` downloads the server before it answers."""
_STEADY_S = 10.0
"""A server that was up for so long starts again without the delay of earlier failures."""
_LITTLE_HOPE_ATTEMPTS = 3


class Supervisor:
    """Owns the way to one server. `talk` settles everything over a fresh one, enters `ready` and stays to its end."""

    def __init__(
        self,
        entry: ServerEntry,
        talk: Callable[[Link], Awaitable[None]],
        sign_in: SignIn | None,
        start_timeout_s: float,
        handshake_limit_s: float,
    ) -> None:
        self.state = ConnectionState.CONNECTING
        self.message: str | None = None
        """Why it is not ready."""
        self.attempts = 0
        """Attempts that ended since it last was up for a while."""
        self._entry = entry
        self._open_talk = talk
        self._sign_in = sign_in
        self._start_timeout_s = start_timeout_s
        self._opening_limit_s = handshake_limit_s
        self._ended_tries = 0
        self._ready_at: float | None = None
        self._next_try_at: float | None = None
        self._live: Live | None = None
        self._talk: anyio.CancelScope | None = None
        self._opening: anyio.CancelScope | None = None
        self._is_stopping = False
        self._try_now = anyio.Event()
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Keep the connection up until `stop`."""
        try:
            with self._told_of_sign_ins():
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
        elif self._opening is not None and isinstance(self._entry.transport, RemoteEntry):
            # A start of a process is short, and cut off half-way it would leave a child that nobody ends.
            self._opening.cancel()

    @contextmanager
    def ready(self, live: Live) -> Generator[None]:
        """While this lasts, calls may go over it."""
        self._live = live
        self._ready_at = time.monotonic()
        self._set(ConnectionState.READY, None)
        try:
            yield
        finally:
            self._live = None

    async def connected(self) -> Live:
        """The session to use, waiting for the server while it starts.

        Raises:
            DownstreamUnavailable: It was not connected in time.
        """
        ended_tries = self._ended_tries
        if self.usable is None and self.state is not ConnectionState.CONNECTING:
            self._try_now.set()
        with anyio.move_on_after(self._start_timeout_s):
            await self.until(lambda: self.usable is not None or self._gives_up_since(ended_tries))
        live = self.usable
        if live is None:
            raise DownstreamUnavailable(self._entry.key, self.message or "it is still starting", self.retry_in_s)
        return live

    @property
    def usable(self) -> Live | None:
        """The session to use now, if there is one."""
        return None if self._live is None or self._live.lost.is_set() else self._live

    def _gives_up_since(self, ended_tries: int) -> bool:
        if self.state is ConnectionState.CLOSED:
            return True
        return self.state is ConnectionState.FAILED and self._ended_tries > ended_tries

    @property
    def has_little_hope(self) -> bool:
        """Whether nobody should wait for it any longer."""
        is_down = self.state in {ConnectionState.FAILED, ConnectionState.CLOSED}
        return is_down or self.attempts >= _LITTLE_HOPE_ATTEMPTS

    @property
    def retry_in_s(self) -> float | None:
        """How long until the next attempt; None when one is under way."""
        return None if self._next_try_at is None else max(0.0, self._next_try_at - time.monotonic())

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something holds, looked at again whenever something changed here."""
        while not is_so():
            await self._changed.wait()

    def _set(self, state: ConnectionState, message: str | None) -> None:
        self.state = state
        self.message = message
        self.tell_waiters()

    def tell_waiters(self) -> None:
        """Have those that wait look again."""
        self._changed.set()
        self._changed = anyio.Event()

    @contextmanager
    def _told_of_sign_ins(self) -> Generator[None]:
        if self._sign_in is None:
            yield
            return
        self._sign_in.on_signed_in.append(self._try_early)
        try:
            yield
        finally:
            self._sign_in.on_signed_in.remove(self._try_early)

    def _try_early(self) -> None:
        if self._next_try_at is not None:
            self._try_now.set()

    async def _attempt(self) -> None:
        self._next_try_at = self._ready_at = None
        self._set(ConnectionState.CONNECTING, self.message)
        link: Link | None = None
        failure: Exception | None = None
        with anyio.CancelScope(deadline=anyio.current_time() + self._opening_limit_s) as self._opening:
            try:
                async with _open_link(self._entry, self._sign_in) as link:
                    self._opening.deadline = math.inf
                    with anyio.CancelScope() as self._talk:
                        if not self._is_stopping:
                            await self._open_talk(link)
            except Exception as error:  # noqa: BLE001 - one server's fault, of whatever kind, must not reach the others
                failure = error
        if self._opening.cancelled_caught:
            failure = TimeoutError()
        self._talk = self._opening = None
        if not self._is_stopping:
            self._plan_next_try(failure, link.trouble() if link else None)

    def _plan_next_try(self, failure: Exception | None, trouble: str | None) -> None:
        was_ready = self._ready_at is not None
        if self._ready_at is not None and time.monotonic() - self._ready_at > _STEADY_S:
            self.attempts = 0
        self.attempts += 1
        self._ended_tries += 1
        lasting = failure is not None and is_lasting(failure)
        pause_s = LONGEST_DELAY_S if lasting else delay_s(self.attempts)
        message = explanation(failure, trouble) if failure else trouble or "it closed the connection"
        self._next_try_at = time.monotonic() + pause_s
        self._set(ConnectionState.FAILED if lasting else ConnectionState.WAITING, message)
        if self._sign_in is not None and self._sign_in.is_waiting:
            return  # it says so itself, once
        event = "server_lost" if was_ready else "server_start_failed"
        log.warning(event, server=self._entry.key, why=message, attempts=self.attempts, next_try_s=round(pause_s, 1))

    async def _wait_for_next_try(self) -> None:
        with anyio.move_on_after(self.retry_in_s or 0):
            await self._try_now.wait()
        self._try_now = anyio.Event()


@asynccontextmanager
async def _open_link(entry: ServerEntry, sign_in: SignIn | None) -> AsyncGenerator[Link]:
    transport = entry.transport
    is_near = isinstance(transport, StdioEntry)
    opened = stdio_link(entry.key, transport) if is_near else remote_link(transport, sign_in)
    async with opened as link:
        yield link
