"""Who is behind a request that came over the network."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.requests import Request

from asyncfc_mcp.clients.limits import ClientLimits
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.gateway.caller import UNGUESSABLE_CHARACTERS, Caller
from asyncfc_mcp.server.doorway import (
    LONGEST_SCOPE,
    Context,
    claims_of,
    is_modern,
    limits_for,
    named_scope,
    said_of_itself,
)
from asyncfc_mcp.transports.exchanges import exchange_of, request_of
from asyncfc_mcp.transports.sessions import Sessions

ANONYMOUS = "anonymous"
SCOPE_HEADER = "asyncfc-scope"
SESSION_HEADER = "mcp-session-id"
MESSAGES_PATH = "/messages/"
"""Where clients of SSE post what they say, with their session as `SESSION_PARAMETER`."""
SESSION_PARAMETER = "session_id"


class NetworkDoorway:
    """Authenticated callers are one principal, all others another; sessions and named scopes divide them.

    Args:
        await_cap_s: the longest that one request may wait; by what is known of the client where it is None.
    """

    def __init__(self, await_cap_s: float | None) -> None:
        self._await_cap_s = await_cap_s
        self.only_session: str | None = None
        self.sessions = Sessions()
        self._last: tuple[object, ClientLimits, Claims] | None = None
        """What was read off the last request, and from what: most requests say the same."""

    def take_up(self, await_cap_s: float | None) -> None:
        """Have another longest wait hold from now on."""
        self._await_cap_s = await_cap_s

    def caller(self, context: Context) -> Caller:
        """Whoever sent the request, in the scope of its session or of the name that it gives."""
        asked = request_of(context)
        user = asked.scope.get("user") if asked is not None else None
        is_anonymous = not isinstance(user, AuthenticatedUser)
        principal = ANONYMOUS if is_anonymous else user.username
        conversation = _session_of(asked, is_modern=is_modern(context))
        part = named_scope(context) or _scope_header(asked)
        own = f"{principal}/{conversation}" if conversation is not None else principal
        limits, claims = self._read(context)
        return Caller(
            principal=principal,
            scope=own if part is None else f"{own}/scope/{part}",
            is_anonymous=is_anonymous,
            has_own_scope=conversation is not None or _is_own(part, is_anonymous=is_anonymous),
            session=None if is_modern(context) else conversation,
            ends_with=conversation,
            cap_s=self._await_cap_s if self._await_cap_s is not None else limits.cap_s,
            output_characters=limits.output_characters,
            claims=claims,
        )

    def _read(self, context: Context) -> tuple[ClientLimits, Claims]:
        said = said_of_itself(context)
        if self._last is None or self._last[0] != said:
            self._last = (said, limits_for(context), claims_of(context))
        return self._last[1:]

    def reaches(self, session: str) -> bool:
        """Whether its client holds a stream open."""
        return self.sessions.reaches(session)

    def has_lost(self, context: Context) -> bool:
        """Whether the client of its HTTP request has gone."""
        exchange = exchange_of(context)
        return exchange is not None and exchange.is_lost


def _session_of(request: Request[Any] | None, *, is_modern: bool) -> str | None:
    """The session that a request belongs to, where its transport has checked that there is one."""
    if request is None:
        return None
    if request.scope["path"] == MESSAGES_PATH:
        return UUID(hex=request.query_params[SESSION_PARAMETER]).hex
    # a modern request has no session, and nothing has checked what it may say of one
    return None if is_modern else request.headers.get(SESSION_HEADER)


def _scope_header(request: Request[Any] | None) -> str | None:
    part = request.headers.get(SCOPE_HEADER) if request is not None else None
    return part[:LONGEST_SCOPE] if part else None


def _is_own(part: str | None, *, is_anonymous: bool) -> bool:
    return part is not None and (not is_anonymous or len(part) >= UNGUESSABLE_CHARACTERS)
