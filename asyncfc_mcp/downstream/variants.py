"""Further connections to servers at an address, for clients whose claims are not those of the primary one.

Clients with the same claims share one; it is opened on first use and closed when it was idle for a while. A server that
is a child process has one connection for all: one process, one state. So has a server that speaks modern with a modern
client, since there each request carries its own claims.
"""

from __future__ import annotations

import anyio
import anyio.abc

from asyncfc_mcp.config.models import RemoteEntry
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.connection import Connection

IDLE_LIMIT_S = 300.0


class Variants:
    """The further connections of all servers."""

    def __init__(self, start_timeout_s: float, idle_limit_s: float) -> None:
        self.tasks: anyio.abc.TaskGroup | None = None
        """Where they run; until it is there, the primary connections serve everybody."""
        self._start_timeout_s = start_timeout_s
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
        if variant is None:
            # Whoever needs another speaks legacy, or speaks to a server that does.
            variant = Connection(
                primary.entry,
                hooks=primary.hooks,
                claims=Claims("legacy", claims.capabilities_json),
                primary=primary,
                start_timeout_s=self._start_timeout_s,
            )
            self._open[key] = variant
            self.tasks.start_soon(self._run, key, variant)
        variant.touch()
        return variant

    def _in_vain(self, primary: Connection) -> bool:
        """Whether another one was tried and found that the server speaks modern only."""
        return any(variant.era == "modern" for (key, _), variant in self._open.items() if key == primary.key)

    async def _run(self, key: tuple[str, str], variant: Connection) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_when_idle, key, variant)
                await variant.run()
                tasks.cancel_scope.cancel()
        finally:
            self._open.pop(key, None)

    async def _stop_when_idle(self, key: tuple[str, str], variant: Connection) -> None:
        while (idle_s := variant.idle_s) < self._idle_limit_s:  # noqa: ASYNC110 - it is time that is waited for
            await anyio.sleep(self._idle_limit_s - idle_s)
        # From here on nobody is given it, so nobody's call can be cut off.
        del self._open[key]
        variant.stop()


def _needs_another(primary: Connection, claims: Claims) -> bool:
    if not isinstance(primary.entry.transport, RemoteEntry):
        return False
    if claims.capabilities_json == primary.claims.capabilities_json and claims.era == primary.claims.era:
        return False
    if claims.era == "legacy":
        return not (primary.is_legacy and claims.capabilities_json == primary.claims.capabilities_json)
    return primary.is_legacy and claims.capabilities_json != primary.claims.capabilities_json
