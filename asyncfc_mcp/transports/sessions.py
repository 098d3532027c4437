"""The MCP sessions of network clients: which are open, which can be reached outside of a request, and when they end.

The SDK keeps the sessions and tells nobody of their end, so it is read off the wire: an answer that opens one, an open
stream, a DELETE, a 404. How long one may be idle is counted here, since not all of its requests come to the SDK.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskStatus
from starlette.responses import PlainTextResponse, Response

IDLE_S = 30 * 60.0
"""After so long without a request or an open stream a session of the handshake era ends."""
MOST_SESSIONS = 10_000
_CHECK_S = 15.0

OnSessionEnd = Callable[[str], None]
EndSession = Callable[[str, object], Awaitable[None]]
"""Ends a session at the SDK's end, for the user who has opened it."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Session:
    user: object
    """Whoever opened it, as the web server knows them."""
    requests: int = 0
    streams: int = 0
    idle_since: float = math.inf


class Sessions:
    """Every session that is open.

    Args:
        idle_s: after how long without a request a session has ended.
    """

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self.idle_s = idle_s
        self._sessions: dict[str, _Session] = {}
        self._on_end: OnSessionEnd | None = None

    def reaches(self, session: str) -> bool:
        """Whether its client holds a stream open on which it can be told something."""
        return session in self._sessions and self._sessions[session].streams > 0

    @property
    def refusal(self) -> Response | None:
        """What a client is told that wants one more session than there may be; None as long as it may have one."""
        if len(self._sessions) < MOST_SESSIONS:
            return None
        text = (
            f"{MOST_SESSIONS} sessions are open, which is the most. Clients that are done should end theirs (DELETE); "
            f"one that is silent for {self.idle_s / 60:g} minutes ends by itself.\n"
        )
        return PlainTextResponse(text, 503)

    def __contains__(self, session: object) -> bool:
        """Whether it is open."""
        return session in self._sessions

    def open(self, session: str, user: object = None) -> None:
        """A session has begun."""
        self._sessions.setdefault(session, _Session(user, idle_since=anyio.current_time()))

    def opened_by(self, session: str) -> object:
        """The user who has opened it; None where that was nobody known, or it is not open."""
        known = self._sessions.get(session)
        return known.user if known is not None else None

    @contextmanager
    def request(self, session: str) -> Generator[None]:
        """While a request of the session is served it is not idle."""
        known = self._sessions.get(session)
        if known is None:
            yield
            return
        known.requests += 1
        known.idle_since = math.inf
        try:
            yield
        finally:
            known.requests -= 1
            if not known.requests:
                known.idle_since = anyio.current_time()

    @contextmanager
    def stream(self, session: str) -> Generator[None]:
        """While a stream of the session is open its client can be reached."""
        known = self._sessions.get(session)
        if known is None:
            yield
            return
        known.streams += 1
        try:
            yield
        finally:
            known.streams -= 1

    def end(self, session: str) -> None:
        """The session is over; ending it twice is once."""
        if self._sessions.pop(session, None) is not None and self._on_end is not None:
            self._on_end(session)

    async def run(
        self,
        on_end: OnSessionEnd,
        end: EndSession | None = None,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Say of each session when it has ended, and end those that are idle; until cancelled."""
        self._on_end = on_end
        task_status.started()
        try:
            while True:
                await anyio.sleep(min(_CHECK_S, self.idle_s / 4))
                await self._end_idle(end)
        finally:
            self._on_end = None

    async def _end_idle(self, end: EndSession | None) -> None:
        long_ago = anyio.current_time() - self.idle_s
        for session, one in [(key, one) for key, one in self._sessions.items() if one.idle_since < long_ago]:
            if one.idle_since < long_ago:  # it may have come back while another one was ended
                self.end(session)
                if end is not None:
                    await _end_at_sdk(end, session, one.user)


async def _end_at_sdk(end: EndSession, session: str, user: object) -> None:
    try:
        await end(session, user)
    except Exception:  # of one session; the task is that of all
        log.exception("session_not_ended", session=session[:6])
