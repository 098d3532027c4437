"""All connections together: started side by side, ended side by side and in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.abc

from asyncfc_mcp.config.models import GatewayConfig, ServerEntry
from asyncfc_mcp.downstream.catalog import Catalog
from asyncfc_mcp.downstream.connection import START_TIMEOUT_S, Connection
from asyncfc_mcp.downstream.listing import KeptListing
from asyncfc_mcp.downstream.status import Callbacks, ServerStatus
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
        callbacks: Callbacks | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        def connection(entry: ServerEntry) -> Connection:
            return Connection(
                entry,
                kept=KeptListing(state_folder, entry) if state_folder else None,
                on_listing=self._take_listing,
                callbacks=callbacks,
                start_timeout_s=start_timeout_s,
            )

        self._connections = {entry.key: connection(entry) for entry in config.servers}
        self.catalog = Catalog(list(self._connections.values()), on_change)

    def connection(self, key: str) -> Connection:
        """The connection to one server."""
        if key not in self._connections:
            raise UnknownServer(key, list(self._connections))
        return self._connections[key]

    def statuses(self) -> dict[str, ServerStatus]:
        """How every server stands right now, in the order of the configuration."""
        return {key: connection.status for key, connection in self._connections.items()}

    def _take_listing(self) -> None:
        self.catalog.refresh()

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
                for connection in self._connections.values():
                    connection.stop()

    async def _run_connections(self, shelter: anyio.CancelScope) -> None:
        # Not cancelled from outside, so that each one can leave its server in good order.
        with shelter:
            async with anyio.create_task_group() as tasks:
                for connection in self._connections.values():
                    tasks.start_soon(connection.run)
