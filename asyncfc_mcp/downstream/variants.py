"""Further connections to servers at an address, for clients whose claims are not those of the primary one.

Clients with the same claims share one; it is opened on first use and closed when it was idle for a while. A server that
is a child process has one connection for all: one process, one state. So has a server that speaks modern with a modern
client, since there each request carries its own claims.
"""

from __future__ import annotations

import anyio
import anyio.abc
import structlog

from asyncfc_mcp.config.models import RemoteEntry
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.patience import Patience

IDLE_LIMIT_S = 300.0
MOST_OPEN = 32
"""In all: clients may claim what they like, and each claim of its own would be a session at the server."""
LEAST_IDLE_S = 5.0
"""What was wanted more recently than that is not closed in favour of another."""

log = structlog.get_logger()


class Variants:
    """The further connections of all servers."""

    def __init__(
        self, start_timeout_s: float, idle_limit_s: float, *, patience: Patience, max_result_bytes: int
    ) -> None:
        self.tasks: anyio.abc.TaskGroup | None = None
        """Where they run; until it is there, the primary connections serve everybody."""
        self._start_timeout_s = start_timeout_s
        self._patience = patience
        self._max_result_bytes = max_result_bytes
        self._idle_limit_s = idle_limit_s
        self._open: dict[tuple[str, str], Connection] = {}

    @property
    def open(self) -> tuple[Connection, ...]:
        """Those that are open now."""
        return tuple(self._open.values())

    def of(self, primary: Connection, claims: Claims) -> Connection:
        """The connection for these claims; the primary one where that will do."""
        if self.tasks is None or not _needs_another(primary, claims) or self._in_vain(primary):
            return primary
        key = (primary.key, claims.capabilities_json)
        variant = self._open.get(key)
        if variant is None and not self._has_room():
            log.warning("client_shares_connection", server=primary.key, most=MOST_OPEN, why="too many others differ")
            return primary
        if variant is None:
            # Whoever needs another speaks legacy, or speaks to a server that does.
            variant = Connection(
                primary.entry,
                hooks=primary.hooks,
                claims=Claims("legacy", claims.capabilities_json),
                primary=primary,
                start_timeout_s=self._start_timeout_s,
                patience=self._patience,
                max_result_bytes=self._max_result_bytes,
            )
            self._open[key] = variant
            self.tasks.start_soon(self._run, key, variant)
        variant.touch()
        return variant

    def of_server(self, server: str) -> tuple[Connection, ...]:
        """Those to one server."""
        return tuple(variant for (key, _), variant in self._open.items() if key == server)

    def let_go(self, server: str) -> tuple[Connection, ...]:
        """Those to one server, which nobody is given any more; to be stopped by whoever asks."""
        gone = self.of_server(server)
        self._open = {key: variant for key, variant in self._open.items() if variant not in gone}
        return gone

    def _in_vain(self, primary: Connection) -> bool:
        """Whether another one was tried and found that the server speaks modern only."""
        return any(variant.era == "modern" for (key, _), variant in self._open.items() if key == primary.key)

    def _has_room(self) -> bool:
        """Whether another one may be opened, in the place of the one that is idle the longest if need be."""
        if len(self._open) < MOST_OPEN:
            return True
        key, idlest = max(self._open.items(), key=lambda one: one[1].idle_s)
        if idlest.idle_s < LEAST_IDLE_S:
            return False
        self._stop(key, idlest)
        return True

    def _stop(self, key: tuple[str, str], variant: Connection) -> None:
        # From here on nobody is given it, so nobody's call can be cut off.
        del self._open[key]
        variant.stop()

    async def _run(self, key: tuple[str, str], variant: Connection) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_when_idle, key, variant)
                await variant.run()
                tasks.cancel_scope.cancel()
        finally:
            if self._open.get(key) is variant:
                del self._open[key]

    async def _stop_when_idle(self, key: tuple[str, str], variant: Connection) -> None:
        while (idle_s := variant.idle_s) < self._idle_limit_s:  # noqa: ASYNC110 - it is time that is waited for
            await anyio.sleep(self._idle_limit_s - idle_s)
        if self._open.get(key) is variant:
            self._stop(key, variant)


def _needs_another(primary: Connection, claims: Claims) -> bool:
    if not isinstance(primary.entry.transport, RemoteEntry):
        return False
    if claims.capabilities_json == primary.claims.capabilities_json and claims.era == primary.claims.era:
        return False
    if claims.era == "legacy":
        return not (primary.is_legacy and claims.capabilities_json == primary.claims.capabilities_json)
    return primary.is_legacy and claims.capabilities_json != primary.claims.capabilities_json
