"""The dashboard of one gateway: its pages, its address, and its entry in the directory of running gateways."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from asyncfc_mcp.config.models import GatewayConfig
from asyncfc_mcp.dashboard.directory import RunningGateway, announced
from asyncfc_mcp.dashboard.guard import PAGE_PATH, Guard
from asyncfc_mcp.dashboard.routes import DASHBOARD_PATHS, dashboard_routes
from asyncfc_mcp.dashboard.snapshot import Identity, View
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.transports.access import Access
from asyncfc_mcp.transports.exchanges import Exchanges
from asyncfc_mcp.transports.listener import AddressUnusable, Listener

LOOPBACK = "127.0.0.1"

log = structlog.get_logger()


class Dashboard:
    """What people see of one gateway.

    Args:
        gateway: what is looked at.
        config: gives the configuration in force.
        transport: where its MCP clients come from.
        listener: where the pages are served; None for nowhere, and the gateway is in the directory all the same.
        tokens: tokens of the gateway that let in as well.
    """

    def __init__(
        self,
        gateway: Gateway,
        config: Callable[[], GatewayConfig],
        *,
        transport: str,
        listener: Listener | None,
        tokens: Sequence[str] = (),
    ) -> None:
        self._listener = listener
        identity = Identity(os.getpid(), time.time(), transport)
        guard = Guard(listener.port if listener is not None else 0, tokens)
        self._access = Access.to(LOOPBACK, token=guard.token)
        self.routes: list[BaseRoute] = dashboard_routes(View(gateway, identity, config), guard)
        self.entry = RunningGateway(
            identity.pid,
            identity.started_at,
            transport,
            tuple(entry.key for entry in config().servers),
            url=f"{listener.origin}{PAGE_PATH}" if listener is not None else None,
            token=guard.token if listener is not None else None,
        )
        """What the directory says of it."""

    @contextmanager
    def announced(self, state_folder: Path | None) -> Generator[None]:
        """Be in the directory, and say where the dashboard is."""
        with announced(state_folder, self.entry):
            if self.entry.url is not None:
                log.info("dashboard", url=self.entry.url, open_with="asyncfc-mcp dashboard")
                if sys.stderr.isatty():  # logs are kept and shared, and the token opens the dashboard
                    sys.stderr.write(f"dashboard: {self.entry.address}\n")
            yield

    async def serve(self, pages: Sequence[BaseRoute] = (), open_paths: Collection[str] = ()) -> None:
        """Serve the dashboard and other pages, beside a transport that has no HTTP, until cancelled.

        Those others need the dashboard's token as a bearer token, but for those at `open_paths`.
        """
        if self._listener is None:
            return
        app = Starlette(routes=[*self.routes, *pages], exception_handlers={404: _say_where})
        exchanges = Exchanges(self._access.guarding(app, (*DASHBOARD_PATHS, *open_paths)))
        await self._listener.serve(exchanges, exchanges.end)


async def _say_where(_: Request, __: Exception) -> Response:
    return PlainTextResponse(f"There is nothing at this path; the dashboard is at {PAGE_PATH}.\n", 404)


def listener_beside(port: int | None) -> Listener | None:
    """Where a dashboard beside stdio listens: there, or where it can, since several hosts may start the gateway.

    None where there is to be none, or nothing can be listened on.
    """
    if port is None:
        return None
    for one in (port, 0):
        try:
            return Listener(LOOPBACK, one)
        except AddressUnusable as fault:
            log.warning("dashboard_not_there", why=str(fault))
    return None
