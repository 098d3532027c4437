"""One log line for each future that settles: what ran where, how long it waited and ran, and why it ended so."""

from __future__ import annotations

from typing import Any

import structlog

from asyncfc_mcp.core.future import SETTLED, FutureState, Move
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future

log = structlog.get_logger()


def nameable(future: Future) -> str:
    """The token, as far as it may be written down: where callers are anonymous, whoever knows it may see the value."""
    return future.token if not future.caller.is_anonymous else future.token.rpartition("_")[0]


def scope_in_logs(caller: Caller) -> str:
    """The scope without the session in it: whoever knows the whole of its id could speak in its name."""
    if caller.is_anonymous:
        return caller.principal
    return caller.scope if caller.session is None else caller.scope.replace(caller.session, caller.session[:6])


class SettledLog:
    """Writes the line, which holds no argument and no value, since both may be secret."""

    def __init__(self) -> None:
        self._log: Any = log.bind()  # once: most lines are written for nobody

    def on_move(self, move: Move, future: Future) -> None:
        """A call that answers with its value as it always did is no news."""
        if move.to_state not in SETTLED:
            return
        is_news = future.is_known or move.to_state is not FutureState.RESOLVED
        write = self._log.info if is_news else self._log.debug
        record = future.record
        started_at = record.started_at if record.started_at is not None else move.at
        write(
            "future_settled",
            token=nameable(future),
            tool=future.policy.tool,
            server=future.policy.server,
            scope=scope_in_logs(future.caller),
            state=str(move.to_state),
            waited_s=round(started_at - record.arrived_at, 4),
            ran_s=round(move.at - started_at, 4),
            why=str(move.failure.reason) if move.failure is not None else None,
        )
