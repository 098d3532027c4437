"""When a future is forgotten: its time is over, nobody can ask for it, or values take up too much memory."""

from __future__ import annotations

import time

import anyio

from asyncfc_mcp.core.events import Forgotten
from asyncfc_mcp.gateway.delivery import Delivery
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.keeping import Keeper
from asyncfc_mcp.gateway.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable

SWEEP_S = 30.0
"""How often expired futures are looked for."""
SHOWN_S = 60.0
"""How long a settled call waits for a client that was shown a question and has not come back."""


class Forgetter:
    """Keeps the table from growing.

    Args:
        ttl_s: how long a settled future can be asked for.
        most_bytes: of values that the client has seen.
    """

    def __init__(
        self,
        runner: Runner,
        table: FutureTable,
        delivery: Delivery,
        *,
        keeper: Keeper,
        ttl_s: float,
        most_bytes: int,
    ) -> None:
        self._runner = runner
        self._table = table
        self._delivery = delivery
        self._keeper = keeper
        self._ttl_s = ttl_s
        self._most_bytes = most_bytes

    def forget_unless_known(self, future: Future) -> None:
        """Forget a call that no token was ever given out for: nobody can ask for it again."""
        if not future.is_out and not future.is_named and future.record.is_forgettable:
            self._forget(future)

    def _forget(self, future: Future) -> None:
        self._runner.send(Forgotten(future.call.future, time.monotonic()))
        self._delivery.drop(future)
        self._table.remove(future)

    async def run(self) -> None:
        """Look for what can be forgotten, until cancelled."""
        while True:
            await anyio.sleep(min(SWEEP_S, self._ttl_s))
            now = time.monotonic()
            self._delivery.drop_idle_scopes()
            expired = [one for one in self._table if one.has_expired(now - self._ttl_s, now - SHOWN_S)]
            for future in self._too_many_bytes() + expired:
                if self._table.holds(future.call.future):
                    self._forget(future)
                    await self._keeper.forget(future)

    def _too_many_bytes(self) -> list[Future]:
        """The oldest values that the client has seen, as many as have to go for the rest to fit."""
        values = [one for one in self._table if one.outcome is not None]
        excess = sum(one.outcome.size_bytes for one in values if one.outcome is not None) - self._most_bytes
        going: list[Future] = []
        for future in values:
            if excess <= 0:
                break
            if future.outcome is not None and future.record.is_told and future.record.is_forgettable:
                going.append(future)
                excess -= future.outcome.size_bytes
        return going
