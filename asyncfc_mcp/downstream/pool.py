"""All connections together: started side by side, ended side by side and in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.abc

from asyncfc_mcp.config.models import GatewayConfig, ServerEntry
from asyncfc_mcp.downstream.catalog import Catalog
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.departures import Departures
from asyncfc_mcp.downstream.hooks import Hooks
from asyncfc_mcp.downstream.listing import KeptListing
from asyncfc_mcp.downstream.patience import DEFAULT_PATIENCE, Patience
from asyncfc_mcp.downstream.pins import Pins
from asyncfc_mcp.downstream.sign_in.auth import SignIn, sign_in_for
from asyncfc_mcp.downstream.status import ServerStatus
from asyncfc_mcp.downstream.supervision import START_TIMEOUT_S
from asyncfc_mcp.downstream.variants import IDLE_LIMIT_S, Variants
from asyncfc_mcp.errors import GatewayError

_END_LIMIT_S = 1.0


UntilSettled = Callable[[str], Awaitable[None]]
"""Waits until all calls of a server have settled that were taken in."""


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

        def connect(entry: ServerEntry) -> Connection:
            return Connection(
                entry,
                kept=KeptListing(state_folder, entry) if state_folder else None,
                on_listing=self._take_listing,
                hooks=self._hooks,
                waits_for_claims=waits_for_claims,
                sign_in=sign_in_for(entry, state_folder),
                start_timeout_s=start_timeout_s,
                patience=patience,
                max_result_bytes=max_result_bytes,
            )

        self._connect = connect
        self._hooks = hooks
        self._on_change = on_change
        self._connections = {entry.key: connect(entry) for entry in config.servers}
        self._claims: Claims | None = None
        """In whose name all servers are spoken to, once somebody has said so."""
        self._departures = Departures()
        self._tasks: anyio.abc.TaskGroup | None = None
        """Where connections run that are made later."""
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
        for connection in self._all():
            connection.hooks = hooks

    def claim(self, claims: Claims) -> None:
        """Say in whose name all servers are spoken to, where that was waited for; the first one counts."""
        self._claims = self._claims or claims
        for connection in self._connections.values():
            connection.claim(claims)

    def connection(self, key: str, claims: Claims | None = None) -> Connection:
        """The connection to one server: the primary one, or one in the name of clients with these claims.

        Ask again for each request: one that was not used for a while is closed. A server that is gone has one as long
        as calls have to go there that were taken in before.
        """
        primary = self._connections.get(key)
        if primary is None:
            if (leaving := self._departures.usable(key)) is not None:
                return leaving
            raise UnknownServer(key, list(self._connections))
        return primary if claims is None else self._variants.of(primary, claims)

    async def notify_all(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Tell every legacy server that is connected in the name of a client which said that it may send this."""
        for connection in self._all():
            if connection.is_legacy and _may_send(connection.claims, method):
                await connection.notify(method, params)

    def statuses(self) -> dict[str, ServerStatus]:
        """How every server stands right now, in the order of the configuration."""
        return {key: connection.status for key, connection in self._connections.items()}

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The primary connection to every server, in the order of the configuration."""
        return tuple(self._connections.values())

    def _all(self) -> Iterable[Connection]:
        return (*self._connections.values(), *self._variants.open, *self._departures.connections)

    def take_up(self, config: GatewayConfig, until_settled: UntilSettled) -> None:
        """Stand in front of the servers of another configuration from now on.

        A server that is gone is left when its calls have settled, for which `until_settled` waits. Of one that is
        started or reached in another way, the calls in flight end where they are, and all others go the new way.
        """
        before = self._connections
        self._connections = {entry.key: self._kept(before.get(entry.key), entry) for entry in config.servers}
        for key, connection in before.items():
            if self._connections.get(key) is not connection:
                self._leave(connection, until_settled)
        for connection in set(self._connections.values()) - set(before.values()):
            self._departures.hurry(connection.key)
            self._start(connection)
        self.catalog.take_up(self.connections, holds=config.settings.pin_tools)
        self._on_change()

    def _kept(self, connection: Connection | None, entry: ServerEntry) -> Connection:
        """The connection to a server if it is still the way to it, else a new one."""
        if connection is None or connection.entry.transport != entry.transport:
            return self._connect(entry)
        for one in (connection, *self._variants.of_server(entry.key)):
            one.take_up(entry)
        return connection

    def _start(self, connection: Connection) -> None:
        if self._claims is not None:
            connection.claim(self._claims)
        if self._tasks is not None:
            self._tasks.start_soon(self._keep_up, connection)

    def _leave(self, connection: Connection, until_settled: UntilSettled) -> None:
        group = (*self._variants.let_go(connection.key), connection)
        is_gone = connection.key not in self._connections
        self._departures.see_off(connection.key, group, until_settled if is_gone else None)

    def status(self, key: str, *, was_sent: bool) -> ServerStatus | None:
        """How a server stands right now for a call; None of one that is not there any more.

        `was_sent`: whether the call may be in flight, so that the server may be the one that was there before.
        """
        before = self._departures.still_needed(key) if was_sent else None
        connection = before or self._connections.get(key) or self._departures.usable(key)
        return connection.status if connection is not None else None

    def _take_listing(self) -> None:
        before = self.catalog.version
        self.catalog.refresh()
        if self.catalog.version == before:  # it says so itself when tools have changed; other lists may have
            self._on_change()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep all servers connected until cancelled; a second later none of them is left."""
        shelter = anyio.CancelScope(shield=True)
        async with anyio.create_task_group() as tasks:
            self._departures.tasks = tasks
            is_over = anyio.Event()
            tasks.start_soon(self._run_connections, shelter, is_over)
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                shelter.deadline = anyio.current_time() + _END_LIMIT_S
                self._tasks = None
                is_over.set()
                for connection in self._all():
                    connection.stop()

    async def _run_connections(self, shelter: anyio.CancelScope, is_over: anyio.Event) -> None:
        # Not cancelled from outside, so that each one can leave its server in good order.
        with shelter:
            async with anyio.create_task_group() as self._sign_ins:
                async with anyio.create_task_group() as tasks:
                    self._variants.tasks = self._tasks = tasks
                    for connection in self._connections.values():
                        tasks.start_soon(self._keep_up, connection)
                    await is_over.wait()
                self._sign_ins.cancel_scope.cancel()

    async def _keep_up(self, connection: Connection) -> None:
        signing_in = anyio.CancelScope()
        if connection.sign_in is not None:
            await self._sign_ins.start(_run_inside, signing_in, connection.sign_in)
        await connection.run()
        if connection not in self._connections.values():
            signing_in.cancel()


async def _run_inside(
    scope: anyio.CancelScope, sign_in: SignIn, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with scope:
        await sign_in.run(task_status=task_status)


def _may_send(claims: Claims, method: str) -> bool:
    if method != "notifications/roots/list_changed":
        return True
    roots = claims.capabilities.get("roots")
    return isinstance(roots, dict) and cast("dict[str, Any]", roots).get("listChanged") is True
