"""Taking up another configuration while calls run: what comes from now on goes by it, and what has come is not lost."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from asyncfc_mcp.config.models import GatewayConfig, ServerEntry
from asyncfc_mcp.core.events import Reconfigured
from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.gateway.answering.delivery import Delivery
from asyncfc_mcp.gateway.arguments.preparation import Preparation
from asyncfc_mcp.gateway.flows.auditing import AuditLog
from asyncfc_mcp.gateway.flows.policy import Flows
from asyncfc_mcp.gateway.intake.entrance import Entrance
from asyncfc_mcp.gateway.intake.submission import Submission
from asyncfc_mcp.gateway.keeping.keeper import Keeper
from asyncfc_mcp.gateway.keeping.kept_call import fingerprint
from asyncfc_mcp.gateway.keeping.lifetimes import Lifetimes
from asyncfc_mcp.gateway.keeping.values import Values
from asyncfc_mcp.gateway.restart.recovery import Recovery
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.store.base import StoreFault

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reconfiguring:
    """Knows every part of a gateway that goes by the configuration."""

    runner: Runner
    table: FutureTable
    pool: Pool
    keeper: Keeper
    recovery: Recovery
    values: Values
    flows: Flows
    audit: AuditLog | None
    delivery: Delivery
    entrance: Entrance
    submission: Submission
    preparation: Preparation
    lifetimes: Lifetimes

    async def take_up(self, config: GatewayConfig) -> None:
        """Go by another configuration from now on; its settings that need a restart are as they were."""
        before, self.keeper.fingerprints = self.keeper.fingerprints, fingerprints(config.servers)
        self.recovery.know(config.servers)
        # nothing awaits before all of it counts: no call is taken in by some of the old and some of the new
        self._take_up_settings(config)
        self.pool.take_up(config, self._until_settled)
        self.runner.send(reconfigured(config))
        await self._keep_again([key for key, one in self.keeper.fingerprints.items() if before.get(key, one) != one])

    def _take_up_settings(self, config: GatewayConfig) -> None:
        settings = config.settings
        self.flows.take_up(settings.flows, self.audit if settings.audit else None)
        self.lifetimes.change(settings.ttl_s, time.monotonic())
        self.values.most_bytes = settings.max_kept_mb * 2**20
        self.preparation.most_bytes = int(settings.max_argument_mb * 2**20)
        self.delivery.piggyback = settings.piggyback
        self.submission.max_chain = settings.max_chain
        self.entrance.take_up(max_unsettled=settings.max_unsettled, max_unsettled_total=settings.max_unsettled_total)

    async def _until_settled(self, server: str) -> None:
        while unsettled := [one for one in self.table if one.call.server == server and not one.record.is_settled]:
            for future in unsettled:
                await future.settled.wait()

    async def _keep_again(self, replaced: list[str]) -> None:
        """Store anew what waits for servers that are another now: a gateway after this one is to send it there too."""
        waiting = (one for one in self.table if one.call.server in replaced)
        for future in [one for one in waiting if one.record.state is FutureState.PENDING]:
            try:
                await self.keeper.keep_if_known(future)
            except StoreFault as fault:
                log.warning("call_not_kept_for_new_server", server=future.call.server, why=str(fault))


def fingerprints(servers: Iterable[ServerEntry]) -> dict[str, str]:
    """Of the servers' entries, by key."""
    return {entry.key: fingerprint(entry) for entry in servers}


def reconfigured(config: GatewayConfig) -> Reconfigured:
    """What the scheduler goes by."""
    settings = config.settings
    return Reconfigured(
        time.monotonic(),
        concurrency={entry.key: entry.settings.concurrency or 1 for entry in config.servers},
        max_running=settings.max_running,
        is_strict=settings.order == "strict",
        stops_unseen=settings.on_unseen_failure == "stop",
    )
