"""Who may see the dashboard: whoever has its token, which is made anew at each start, or the gateway's own.

The token comes in the fragment of the address, which no browser sends; the page trades it for a cookie. Where our own
command starts the browser, a ticket that is good once stands in its place: other users of the machine see the command
lines of programs, and browsers keep a history. The cookie's
name has the port in it, since browsers keep one set of cookies for all ports of a machine, and its value is not the
token, which other servers of this machine may thus never see.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Sequence

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PAGE_PATH = "/dashboard"
_SCHEME = "bearer "
_TICKET_LIFE_S = 60.0
"""Long enough for a browser to start."""

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Of every response: nothing from elsewhere, nothing for elsewhere, nothing kept."""


class Guard:
    """Knows the token of one run.

    Args:
        port: where the pages are.
        others: tokens that let in as well, such as the one that MCP clients bring.
        ticket_life_s: how soon a ticket has to be used.
    """

    def __init__(self, port: int, others: Sequence[str] = (), ticket_life_s: float = _TICKET_LIFE_S) -> None:
        self.token = secrets.token_urlsafe(32)
        """Opens the dashboard."""
        self._accepted = [one.encode() for one in (self.token, *others)]
        self._cookie = f"asyncfc_dashboard_{port}"
        self._session = secrets.token_urlsafe(32)
        self._ticket_life_s = ticket_life_s
        self._tickets: dict[str, float] = {}
        """Until when each is good."""

    def guarding(self, app: ASGIApp) -> ASGIApp:
        """The application for those who may see it, and 401 for the others."""
        return _Guarded(app, self)

    async def open_session(self, request: Request) -> Response:
        """Trade the token, or a ticket, for the cookie."""
        if not (self._brings_token(request) or self._uses_ticket(request)):
            return _refusal()
        response = Response(status_code=204, headers=HEADERS)
        response.set_cookie(self._cookie, self._session, path=PAGE_PATH, httponly=True, samesite="strict")
        return response

    async def give_ticket(self, _: Request) -> Response:
        """What may stand in an address that others could see: it is good once, and not for long."""
        now_s = time.monotonic()
        self._tickets = {one: until_s for one, until_s in self._tickets.items() if until_s > now_s}
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = now_s + self._ticket_life_s
        return JSONResponse({"ticket": ticket}, headers=HEADERS)

    def lets_in(self, connection: HTTPConnection) -> bool:
        """Whether it brings the cookie, or the token itself."""
        cookie = connection.cookies.get(self._cookie, "")
        return _is_same(cookie, self._session.encode()) or self._brings_token(connection)

    def _brings_token(self, connection: HTTPConnection) -> bool:
        brought = _brought(connection)
        return bool(brought) and any(_is_same(brought, one) for one in self._accepted)

    def _uses_ticket(self, request: Request) -> bool:
        brought = _brought(request)
        ticket = next((one for one in self._tickets if _is_same(brought, one.encode())), "")
        return self._tickets.pop(ticket, 0.0) > time.monotonic()


class _Guarded:
    """An application behind the guard; a class, since routes take plain functions for something else."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app if self._guard.lets_in(HTTPConnection(scope)) else _refusal()
        await app(scope, receive, send)


def _brought(connection: HTTPConnection) -> str:
    header = connection.headers.get("authorization", "")
    return header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else ""


def _is_same(brought: str, known: bytes) -> bool:
    return hmac.compare_digest(brought.encode("utf-8", "replace"), known)


def _refusal() -> Response:
    text = "this needs the token of the dashboard: `asyncfc-mcp dashboard` prints its address"
    return JSONResponse({"error": text}, 401, headers={**HEADERS, "www-authenticate": "Bearer"})
