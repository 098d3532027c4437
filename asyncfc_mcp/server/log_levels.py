"""Log messages of servers: which of them a server is asked for, and which sessions get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.offers import Offers
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.server.sessions import Sessions

log = structlog.get_logger()


class LogLevels:
    """Asks legacy servers for what the most curious session wants; modern ones are asked with each request.

    Args:
        gateway: has the servers and hears what they notify.
        offers: says which servers send messages.
        sessions: their levels, and where messages go that no waiting request takes.
    """

    def __init__(self, gateway: Gateway, offers: Offers, sessions: Sessions) -> None:
        self._gateway = gateway
        self._offers = offers
        self._sessions = sessions
        self._tasks: TaskGroup | None = None
        self._rounds: dict[Connection, anyio.CancelScope] = {}
        self._last: Caller | None = None
        """Who last said what it wants."""
        self._asked: frozenset[Connection] = frozenset()
        """The primary connections to the servers that were told then."""
        gateway.attribution.listen(self._on_notification)
        sessions.on_level(self._ask)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own what servers are asked until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            await anyio.sleep_forever()

    def ask_new(self) -> None:
        """Have servers told the level that were not there as it was said, or are reached in another way since."""
        if self._last is not None and self._sessions.most_verbose_level is not None:
            self._tell(self._last, [one for one in self._servers() if one not in self._asked])

    def _ask(self, caller: Caller) -> None:
        """Have every server told the level anew, on the connection that calls of this caller go over."""
        self._last = caller
        self._tell(caller, self._servers())

    def _servers(self) -> list[Connection]:
        return self._offers.with_capability("logging")

    def _tell(self, caller: Caller, servers: Sequence[Connection]) -> None:
        self._asked = frozenset(self._servers())
        for connection in (self._gateway.pool.connection(server.key, caller.claims) for server in servers):
            if connection in self._rounds:
                self._rounds[connection].cancel()
            elif self._tasks is not None:
                self._rounds[connection] = anyio.CancelScope()
                self._tasks.start_soon(self._keep, connection)

    async def _keep(self, connection: Connection) -> None:
        """Tell one server the level, again after each change of it and over each new connection."""
        try:
            while (level := self._sessions.most_verbose_level) is not None:
                with anyio.CancelScope() as self._rounds[connection]:
                    if await connection.era_when_up() == "legacy":
                        await connection.request("logging/setLevel", {"level": level})
                    await connection.until_lost()
        except GatewayError as error:  # it is asked again when a client next says what it wants
            log.debug("log_level_not_set", server=connection.key, kind=type(error).__name__)
        finally:
            del self._rounds[connection]

    def _on_notification(
        self, _: str, futures: Sequence[Future], method: str, params: Mapping[str, Any] | None
    ) -> None:
        if method == "notifications/message":
            self._sessions.log({future.caller.scope for future in futures}, params or {})
