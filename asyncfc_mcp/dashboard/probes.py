"""What monitors ask: whether the process answers, and whether calls can be sent to it. No token is needed for either.

So neither says what servers there are, or anything else that a stranger could use.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.status import ConnectionState
from asyncfc_mcp.gateway.gateway import Gateway

HEALTH_PATH = "/health"
READY_PATH = "/ready"
PROBE_PATHS = (HEALTH_PATH, READY_PATH)

_NOT_READY = 503
_NEVER_KEPT = {"cache-control": "no-store"}
_ATTEMPTS = 3
"""Of a server, after which nobody is kept waiting for it."""

_Standing = Literal["known", "starting", "down"]


def probe_routes(gateway: Gateway) -> list[BaseRoute]:
    """The two end points."""

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers=_NEVER_KEPT)

    async def ready(_: Request) -> JSONResponse:
        store = gateway.store_state
        pool = gateway.pool
        servers = Counter(_standing(pool.connection(key)) for key in pool.statuses())
        is_ready = store == "open" and not servers["starting"] and (servers["known"] > 0 or not servers["down"])
        said = {"ready": is_ready, "store": store, "servers": {name: servers[name] for name in _STANDINGS}}
        return JSONResponse(said, 200 if is_ready else _NOT_READY, headers=_NEVER_KEPT)

    return [Route(HEALTH_PATH, health), Route(READY_PATH, ready)]


_STANDINGS: tuple[_Standing, ...] = ("known", "starting", "down")


def _standing(connection: Connection) -> _Standing:
    """One whose tools are known counts, up or not: calls to it wait, or fail with a reason."""
    if connection.listing is not None:
        return "known"
    status = connection.status
    is_coming = status.state not in (ConnectionState.FAILED, ConnectionState.CLOSED) and status.attempts < _ATTEMPTS
    return "starting" if is_coming else "down"
