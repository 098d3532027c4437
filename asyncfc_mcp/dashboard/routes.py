"""The dashboard's addresses: its page, what the page is made of, and what it reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, request_response

from asyncfc_mcp.dashboard.feed import Feed
from asyncfc_mcp.dashboard.guard import HEADERS, PAGE_PATH, Guard
from asyncfc_mcp.dashboard.snapshot import View

SNAPSHOT_PATH = f"{PAGE_PATH}/snapshot"
EVENTS_PATH = f"{PAGE_PATH}/events"
SESSION_PATH = f"{PAGE_PATH}/session"
TICKET_PATH = f"{PAGE_PATH}/ticket"

_STATIC = {
    PAGE_PATH: ("index.html", "text/html"),
    f"{PAGE_PATH}/": ("index.html", "text/html"),
    f"{PAGE_PATH}/style.css": ("style.css", "text/css"),
    f"{PAGE_PATH}/dashboard.js": ("dashboard.js", "text/javascript"),
    f"{PAGE_PATH}/icon.svg": ("icon.svg", "image/svg+xml"),
}
DASHBOARD_PATHS = (*_STATIC, SNAPSHOT_PATH, EVENTS_PATH, SESSION_PATH, TICKET_PATH)
"""They look after themselves: what shows anything needs the dashboard's own token."""


def dashboard_routes(view: View, guard: Guard) -> list[BaseRoute]:
    """The routes of the dashboard of one gateway; the static ones say nothing and need no token."""

    async def snapshot(_: Request) -> Response:
        return JSONResponse(view.whole(), headers=HEADERS)

    async def check_session(_: Request) -> Response:
        return Response(status_code=204, headers=HEADERS)

    return [
        *(Route(path, _static(name, media_type)) for path, (name, media_type) in _STATIC.items()),
        Route(SESSION_PATH, guard.open_session, methods=["POST"]),
        Route(SESSION_PATH, guard.guarding(request_response(check_session)), methods=["GET"]),
        Route(TICKET_PATH, guard.guarding(request_response(guard.give_ticket)), methods=["POST"]),
        Route(SNAPSHOT_PATH, guard.guarding(request_response(snapshot)), methods=["GET"]),
        Route(EVENTS_PATH, guard.guarding(Feed(view)), methods=["GET"]),
    ]


def _static(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def page(_: Request) -> Response:
        return Response(_content(name), headers=HEADERS, media_type=media_type)

    return page


@cache
def _content(name: str) -> bytes:
    return files("asyncfc_mcp.dashboard").joinpath("static", name).read_bytes()
