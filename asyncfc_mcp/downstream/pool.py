"""All connections together: started side by side, ended side by side and in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.abc

from asyncfc_mcp.config.models import GatewayConfig, ServerEntry
from asyncfc_mcp.downstream.catalog import Catalog
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.hooks import Hooks
from asyncfc_mcp.downstream.listing import KeptListing
from asyncfc_mcp.downstream.patience import DEFAULT_PATIENCE, Patience
from asyncfc_mcp.downstream.pins import Pins
from asyncfc_mcp.downstream.sign_in.auth import sign_in_for
from asyncfc_mcp.downstream.status import ServerStatus
from asyncfc_mcp.downstream.supervision import START_TIMEOUT_S
from asyncfc_mcp.downstream.variants import IDLE_LIMIT_S, Variants
from asyncfc_mcp.errors import GatewayError

_END_LIMIT_S = 1.0


class UnknownServer(GatewayError):
    """No server of that key is configured."""

    def __init__(self, key: str, known: list[str]) -> None:
        super().__init__(f"there is no server {key!r}; configured: {', '.join(known) or 'none'}")
        self.key = key


class Pool:
    """The servers of one configuration."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        state_folder: Path | None,
        on_change: Callable[[], None],
        hooks: Hooks | None = None,
        waits_for_claims: bool = False,
        start_timeout_s: float = START_TIMEOUT_S,
        idle_limit_s: float = IDLE_LIMIT_S,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        max_result_bytes = int(config.settings.max_result_mb * 2**20)

        def connection(entry: ServerEntry) -> Connection:
            return Connection(
                entry,
                kept=KeptListing(state_folder, entry) if state_folder else None,
                on_listing=self._take_listing,
                hooks=hooks,
                waits_for_claims=waits_for_claims,
                sign_in=sign_in_for(entry, state_folder),
                start_timeout_s=start_timeout_s,
                patience=patience,
                max_result_bytes=max_result_bytes,
            )

        self._hooks = hooks
        self._on_change = on_change
        self._connections = {entry.key: connection(entry) for entry in config.servers}
        self._variants = Variants(start_timeout_s, idle_limit_s, patience=patience, max_result_bytes=max_result_bytes)
        pins = Pins(state_folder, holds=config.settings.pin_tools)
        self.catalog = Catalog(list(self._connections.values()), on_change, pins)

    @property
    def hooks(self) -> Hooks | None:
        """Who answers the servers and hears them."""
        return self._hooks

    @hooks.setter
    def hooks(self, hooks: Hooks) -> None:
        self._hooks = hooks
        for connection in (*self._connections.values(), *self._variants.open):
            connection.hooks = hooks

    def claim(self, claims: Claims) -> None:
        """Say in whose name all servers are spoken to, where that was waited for; the first one counts."""
        for connection in self._connections.values():
            connection.claim(claims)

    def connection(self, key: str, claims: Claims | None = None) -> Connection:
        """The connection to one server: the primary one, or one in the name of clients with these claims.

        Ask again for each request: one that was not used for a while is closed.
        """
        if key not in self._connections:
            raise UnknownServer(key, list(self._connections))
        primary = self._connections[key]
        return primary if claims is None else self._variants.of(primary, claims)

    async def notify_all(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Tell every legacy server that is connected in the name of a client which said that it may send this."""
        for connection in (*self._connections.values(), *self._variants.open):
            if connection.is_legacy and _may_send(connection.claims, method):
                await connection.notify(method, params)

    def statuses(self) -> dict[str, ServerStatus]:
        """How every server stands right now, in the order of the configuration."""
        return {key: connection.status for key, connection in self._connections.items()}

    def _take_listing(self) -> None:
        before = self.catalog.version
        self.catalog.refresh()
        if self.catalog.version == before:  # it says so itself when tools have changed; other lists may have
            self._on_change()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep all servers connected until cancelled; a second later none of them is left."""
        shelter = anyio.CancelScope(shield=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run_connections, shelter)
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                shelter.deadline = anyio.current_time() + _END_LIMIT_S
                for connection in (*self._connections.values(), *self._variants.open):
                    connection.stop()

    async def _run_connections(self, shelter: anyio.CancelScope) -> None:
        # Not cancelled from outside, so that each one can leave its server in good order.
        with shelter:
            async with anyio.create_task_group() as sign_ins:
                for connection in self._connections.values():
                    if connection.sign_in is not None:
                        await sign_ins.start(connection.sign_in.run)
                async with anyio.create_task_group() as tasks:
                    self._variants.tasks = tasks
                    for connection in self._connections.values():
                        tasks.start_soon(connection.run)
                sign_ins.cancel_scope.cancel()


def _may_send(claims: Claims, method: str) -> bool:
    if method != "notifications/roots/list_changed":
        return True
    roots = claims.capabilities.get("roots")
    return isinstance(roots, dict) and cast("dict[str, Any]", roots).get("listChanged") is True
