"""Keeping one server up: opening the way to it, trying again ever more slowly, and ending in good order.

One that fails too often in a row is waited for by nobody: its calls fail at once until the next attempt, and after
`restart_limit` failures there is none until a call asks for it. What is said over the way once it is open is the
owner's.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import structlog

from asyncfc_mcp.config.models import DEFAULTS, RemoteEntry, ServerEntry, StdioEntry
from asyncfc_mcp.downstream.breaker import Breaker
from asyncfc_mcp.downstream.handshake import explanation, is_lasting
from asyncfc_mcp.downstream.links.link import Link
from asyncfc_mcp.downstream.links.remote import remote_link
from asyncfc_mcp.downstream.links.secrets import secrets_of
from asyncfc_mcp.downstream.links.stdio import stdio_link
from asyncfc_mcp.downstream.outcome import DownstreamUnavailable
from asyncfc_mcp.downstream.patience import DEFAULT_PATIENCE, Patience
from asyncfc_mcp.downstream.sending import Live
from asyncfc_mcp.downstream.sign_in.auth import SignIn
from asyncfc_mcp.downstream.status import ConnectionState

log = structlog.get_logger(__name__)

START_TIMEOUT_S = 30.0
HANDSHAKE_LIMIT_S = 180.0
"""A first `npx` or `uvx` downloads the server before it answers."""
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
        *,
        max_result_bytes: int,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self.state = ConnectionState.CONNECTING
        self.message: str | None = None
        """Why it is not ready."""
        self.starts = 0
        """How often it was ready."""
        self._entry = entry
        self._secrets = secrets_of(entry)
        self._open_talk = talk
        self._sign_in = sign_in
        self._start_timeout_s = start_timeout_s
        self._opening_limit_s = handshake_limit_s
        self._max_result_bytes = max_result_bytes
        self._patience = patience
        self._breaker = Breaker(patience, _restart_limit(entry))
        self._holds_calls = False
        self._ended_tries = 0
        self._ready_at: float | None = None
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
            self._breaker.next_try_at = None
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

    def take_up(self, entry: ServerEntry) -> None:
        """Have other settings count from now on."""
        self._entry = entry
        self._breaker.restart_limit = _restart_limit(entry)

    @contextmanager
    def ready(self, live: Live) -> Generator[None]:
        """While this lasts, calls may go over it."""
        self._live = live
        self.starts += 1
        self._ready_at = time.monotonic()
        was_lasting = self._breaker.is_lasting
        if self._breaker.note_ready() and not was_lasting:
            log.info("server_breaker_closed", server=self._entry.key, attempts=self.attempts)
        self._set(ConnectionState.READY, None)
        try:
            yield
        finally:
            self._live = None
            self._holds_calls = False
            # what is left of it may take a second to end, and calls that come meanwhile wait already
            self._set(ConnectionState.WAITING, "its connection has ended")

    def note_silence(self, message: str, *, holds_calls: bool) -> None:
        """It does not answer; with `holds_calls` no further call is sent to it until it does."""
        if self._live is None:
            return
        if self.state is not ConnectionState.UNRESPONSIVE:
            log.warning("server_unresponsive", server=self._entry.key, why=message)
        self._holds_calls = holds_calls
        self._set(ConnectionState.UNRESPONSIVE, message)

    def note_life(self) -> None:
        """It answers again."""
        self._holds_calls = False
        if self.state is ConnectionState.UNRESPONSIVE:
            self._set(ConnectionState.READY, None)

    async def connected(self, *, is_call: bool = True) -> Live:
        """The session to use, waiting for the server while it starts.

        `is_call`: whether somebody needs it now, so that the next attempt may be brought forward.

        Raises:
            DownstreamUnavailable: It was not connected in time, or has failed too often to be waited for.
        """
        if self.fails_fast and not (is_call and self._may_try_for_a_call):
            raise self._unavailable()
        if (live := self.usable) is not None:
            return live
        ended_tries = self._ended_tries
        if is_call and self._may_try_for_a_call:
            self._try_now.set()
        with anyio.move_on_after(self._start_timeout_s):
            await self.until(lambda: self.usable is not None or self._is_over_since(ended_tries))
        live = self.usable
        if live is None:
            raise self._unavailable()
        return live

    @property
    def usable(self) -> Live | None:
        """The session to use now, if there is one."""
        return None if self._live is None or self._live.lost.is_set() or self._holds_calls else self._live

    @property
    def is_up(self) -> bool:
        """Whether there is a session, usable or not."""
        return self._live is not None

    @property
    def attempts(self) -> int:
        """Attempts that failed since it last was up for a while, where another one may help."""
        return self._breaker.failures

    @property
    def fails_fast(self) -> bool:
        """Whether calls fail at once, until the next attempt decides for all that have come by then."""
        return self._breaker.is_open and self.state is not ConnectionState.CONNECTING

    @property
    def is_given_up(self) -> bool:
        """Whether nothing but a call brings about another attempt."""
        return self._breaker.gives_up and self.state is ConnectionState.FAILED

    @property
    def _may_try_for_a_call(self) -> bool:
        return self.state is not ConnectionState.CONNECTING and self._breaker.may_try_for_a_call

    def _is_over_since(self, ended_tries: int) -> bool:
        return self.state is ConnectionState.CLOSED or (self._breaker.is_open and self._ended_tries > ended_tries)

    def _unavailable(self) -> DownstreamUnavailable:
        reason = self.message or "it is still starting"
        return DownstreamUnavailable(self._entry.key, reason, self.retry_in_s, is_given_up=self.is_given_up)

    @property
    def has_little_hope(self) -> bool:
        """Whether nobody should wait for it any longer."""
        is_down = self.state in {ConnectionState.FAILED, ConnectionState.CLOSED}
        return is_down or self.attempts >= _LITTLE_HOPE_ATTEMPTS

    @property
    def retry_in_s(self) -> float | None:
        """How long until the next attempt, or until a call may bring one about; None when one is under way."""
        return self._breaker.retry_in_s

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
        if self._breaker.next_try_at is not None:
            self._try_now.set()

    async def _attempt(self) -> None:
        self._breaker.next_try_at = self._ready_at = None
        self._set(ConnectionState.CONNECTING, self.message)
        link: Link | None = None
        failure: Exception | None = None
        with anyio.CancelScope(deadline=anyio.current_time() + self._opening_limit_s) as self._opening:
            try:
                async with self._open_link() as link:
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
        was_up_s = 0.0 if self._ready_at is None else time.monotonic() - self._ready_at
        has_opened = self._breaker.note_failure(
            is_lasting=failure is not None and is_lasting(failure), was_up_s=was_up_s
        )
        self._ended_tries += 1
        message = explanation(failure, trouble) if failure else trouble or "it closed the connection"
        # a server that refuses a credential may quote it
        message = self._secrets.hidden_in(message.encode("utf-8", "replace")).decode()
        self._log_failure(message, has_opened=has_opened)
        if self._breaker.gives_up:
            message += f"; it was given up after {self.attempts} failures in a row"
        will_not_soon = self._breaker.is_lasting or self._breaker.gives_up
        self._set(ConnectionState.FAILED if will_not_soon else ConnectionState.WAITING, message)

    def _log_failure(self, message: str, *, has_opened: bool) -> None:
        if self._sign_in is not None and self._sign_in.is_waiting:
            return  # it says so itself, once
        next_try_s = round(self.retry_in_s or 0, 1)
        facts = {"server": self._entry.key, "why": message, "attempts": self.attempts}
        if self._breaker.gives_up_now:
            log.error("server_given_up", **facts, way_out="a call to it tries again; or mend it and restart")
        else:
            event = "server_start_failed" if self._ready_at is None else "server_lost"
            log.warning(event, **facts, next_try_s=next_try_s)
        if has_opened and not self._breaker.is_lasting:
            effect = "calls fail at once until it is up again"
            log.warning("server_breaker_opened", **facts, next_try_s=next_try_s, effect=effect)

    async def _wait_for_next_try(self) -> None:
        with anyio.move_on_after(math.inf if self.is_given_up else self.retry_in_s or 0):
            await self._try_now.wait()
        self._try_now = anyio.Event()

    @asynccontextmanager
    async def _open_link(self) -> AsyncGenerator[Link]:
        transport = self._entry.transport
        if isinstance(transport, StdioEntry):
            opened = stdio_link(self._entry.key, transport, self._max_result_bytes)
        else:
            opened = remote_link(transport, self._sign_in, self._max_result_bytes, self._patience.keep_alive)
        async with opened as link:
            yield link


def _restart_limit(entry: ServerEntry) -> float:
    return entry.settings.restart_limit or DEFAULTS.restart_limit or math.inf
