"""Resources of servers that clients watch: each subscribed to once at its server, however many clients want it."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND

from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.outcome import RpcError
from asyncfc_mcp.downstream.pool import Pool, UnknownServer
from asyncfc_mcp.downstream.retrying import delay_s
from asyncfc_mcp.errors import GatewayError

ANSWER_LIMIT_S = 10.0
"""How long a client waits for a server to take a subscription; the server may take it later all the same."""
_FAREWELL_S = 2.0
_STEADY_S = 10.0
"""A subscription that held for so long is renewed without the delay of earlier failures."""

log = structlog.get_logger()


class WatchRefused(GatewayError):
    """A server does not announce changes of a resource."""

    def __init__(self, server: str, uri: str) -> None:
        super().__init__(f"server {server!r} does not announce changes of {uri}")


@dataclass(slots=True, eq=False)
class _Watch:
    server: str
    uri: str
    wanted_by: set[object] = field(default_factory=set[object])
    answered: anyio.Event = field(default_factory=anyio.Event)
    """Set with the server's first answer, whatever it is."""
    refusal: GatewayError | None = None
    round: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Around one subscription; cancelled when it is wanted no more."""


class Watches:
    """Keeps servers telling of what clients watch, over connections that come and go.

    What they tell comes with all their other notifications.

    Args:
        pool: the servers.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._tasks: TaskGroup | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the subscriptions until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            await anyio.sleep_forever()

    def __contains__(self, watched: tuple[str, str]) -> bool:
        """Whether a server has been asked to tell of changes of a URI."""
        return watched in self._watches

    async def add(self, subscriber: object, server: str, uri: str) -> None:
        """Have a server tell of changes of a resource, for one subscriber more.

        Raises:
            GatewayError: the server refuses it.
        """
        watch = self._watches.get((server, uri))
        if watch is None:
            watch = self._watches[server, uri] = _Watch(server, uri)
            if self._tasks is not None:
                self._tasks.start_soon(self._keep, watch)
        watch.wanted_by.add(subscriber)
        with anyio.move_on_after(ANSWER_LIMIT_S):
            await watch.answered.wait()
        if watch.refusal is not None:
            raise watch.refusal

    def remove(self, subscriber: object, server: str, uri: str) -> None:
        """One subscriber less."""
        watch = self._watches.get((server, uri))
        if watch is None:
            return
        watch.wanted_by.discard(subscriber)
        if not watch.wanted_by:
            watch.round.cancel()

    async def _keep(self, watch: _Watch) -> None:
        failures = 0
        try:
            while watch.wanted_by:
                began_at = anyio.current_time()
                try:
                    connection = self._pool.connection(watch.server)  # its server may be another by now
                    with anyio.CancelScope() as watch.round:
                        await self._hold(watch, connection)
                except UnknownServer as gone:
                    watch.refusal = gone
                    watch.answered.set()
                    return
                except (GatewayError, MCPError, SubscriptionLost) as error:
                    if self._gives_up(watch, error):
                        return
                    failures = 1 if anyio.current_time() - began_at > _STEADY_S else failures + 1
                    with anyio.CancelScope() as watch.round:
                        await anyio.sleep(delay_s(failures))
        finally:
            del self._watches[watch.server, watch.uri]

    def _gives_up(self, watch: _Watch, error: Exception) -> bool:
        """Whether asking again is of no use; then whoever waits is told so."""
        is_answer = isinstance(error, RpcError | MCPError)
        if not watch.answered.is_set() or (is_answer and _code(error) == METHOD_NOT_FOUND):
            watch.refusal = error if isinstance(error, GatewayError) else WatchRefused(watch.server, watch.uri)
            watch.answered.set()
            return True
        log.debug("watch_interrupted", server=watch.server, kind=type(error).__name__)
        return False

    async def _hold(self, watch: _Watch, connection: Connection) -> None:
        """One subscription, until its connection is lost or its round is over."""
        if await connection.era_when_up() == "modern":
            await connection.listen([watch.uri], watch.answered.set)
            raise SubscriptionLost  # closed in good order, but still wanted
        await connection.request("resources/subscribe", {"uri": watch.uri})
        watch.answered.set()
        try:
            await connection.until_lost()
        finally:
            if not watch.wanted_by:
                with anyio.move_on_after(_FAREWELL_S, shield=True):
                    await self._unsubscribe(watch, connection)

    async def _unsubscribe(self, watch: _Watch, connection: Connection) -> None:
        try:
            await connection.request("resources/unsubscribe", {"uri": watch.uri})
        except GatewayError as error:
            log.debug("unsubscribe_failed", server=watch.server, kind=type(error).__name__)


def _code(error: Exception) -> int | None:
    return error.code if isinstance(error, RpcError | MCPError) else None
