"""The gateway, usable without MCP: call tools, get tokens, await, read, cancel and list futures."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import structlog
from anyio.abc import TaskStatus

from asyncfc_mcp.config.models import GatewayConfig
from asyncfc_mcp.core.events import Answered, CancelRequested, Forgotten
from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.scheduler import Scheduler
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.downstream.status import ConnectionState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway import wording
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.delivery import Delivery
from asyncfc_mcp.gateway.future import Future, OnProgress, first_settled
from asyncfc_mcp.gateway.keeping import Keeper
from asyncfc_mcp.gateway.preparation import Preparation
from asyncfc_mcp.gateway.reporting import log_settled
from asyncfc_mcp.gateway.runner import Runner
from asyncfc_mcp.gateway.shaping import names_its_token
from asyncfc_mcp.gateway.submission import Submission
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.store.base import FutureStore

SWEEP_S = 30.0
"""How often expired futures are looked for."""
POLL_HOLD_S = 2.0
"""How long a repeated poll waits for a change: polling models come back every second."""

log = structlog.get_logger()


class UnknownTool(GatewayError):
    """No server offers a tool of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown tool: {name}")
        self.name = name


class Withdrawn(GatewayError):
    """A `sync` call whose turn did not come in time."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for beyond the tool's own arguments."""

    wait_s: float | None = None
    token: str | None = None


class Gateway:
    """Stands in front of the servers of a configuration.

    Args:
        config: what the user asked for.
        pool: the servers' connections; whoever makes the gateway runs it.
        store: where futures are kept that a client knows of.
    """

    def __init__(self, config: GatewayConfig, pool: Pool, store: FutureStore) -> None:
        settings = config.settings
        self._pool = pool
        self._ttl_s = settings.ttl_s
        self._most_kept_bytes = settings.max_kept_mb * 2**20
        self._table = FutureTable()
        self._keeper = Keeper(store, settings.ttl_s)
        self._store = store
        preparation = Preparation(embed=settings.embed, converts=settings.schema_ == "union")
        scheduler = Scheduler(
            concurrency={entry.key: entry.settings.concurrency or 1 for entry in config.servers},
            is_strict=settings.order == "strict",
            stops_unseen=settings.on_unseen_failure == "stop",
        )
        self._runner = Runner(scheduler, self._table, pool, preparation, self._keeper)
        self._runner.listen(log_settled)
        self._submission = Submission(self._runner, self._table, preparation, max_unsettled=settings.max_unsettled)
        self._delivery = Delivery(self._runner, piggyback=settings.piggyback)

    @property
    def pool(self) -> Pool:
        """The servers behind the gateway."""
        return self._pool

    @property
    def delivery(self) -> Delivery:
        """What each answer holds."""
        return self._delivery

    @property
    def table(self) -> FutureTable:
        """Every future that has not been forgotten."""
        return self._table

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own every task of the gateway until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(self._runner.run)
                tasks.start_soon(self._sweep)
                task_status.started()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await self._store.close()

    # Calls

    async def call(
        self,
        caller: Caller,
        tool: CatalogTool,
        arguments: dict[str, Any] | None,
        wishes: Wishes = Wishes(),
        *,
        meta: dict[str, Any] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Future:
        """Call a tool and wait as long as its policy and the caller want; then the future, settled or not.

        The call counts as answered when this returns: a settled future's value must go to the client, else its token.

        Raises:
            GatewayError: the call was not taken in, or (`sync`) its turn did not come.
        """
        self._delivery.open_step(caller)
        future = await self._submission.submit(caller, tool, arguments, wishes.token, meta)
        try:
            with self._heard(future, on_progress):
                await self._wait_inline(future, wishes)
            if not future.record.is_settled or names_its_token(future):
                await self._keeper.let_out(future)
        except BaseException:  # cancelled, withdrawn, or its token could not be kept: in every case nobody holds it
            self._withdraw(future, "its request ended before it could be answered")
            raise
        self._answer(future)
        return future

    def _answer(self, future: Future) -> None:
        """The answer goes out now: with the value, which the client is told so, or with the token."""
        is_settled = future.record.is_settled
        self._runner.send(Answered(future.call.future, time.monotonic(), with_token=not is_settled))
        self._delivery.answered(future.caller)
        if is_settled:
            self._delivery.tell(future)
            self._forget_unless_known(future)

    def _withdraw(self, future: Future, message: str) -> None:
        """The call was not answered and nobody waits for it."""
        now = time.monotonic()
        self._runner.send(CancelRequested(future.call.future, now, message))
        self._runner.send(Answered(future.call.future, now, with_token=False))

    async def _wait_inline(self, future: Future, wishes: Wishes) -> None:
        policy = future.policy
        if policy.mode == "sync":
            await self._wait_in_turn(future)
            return
        cap_s = future.caller.cap_s
        if wishes.wait_s is not None:
            wait_s = min(wishes.wait_s, cap_s)
        elif policy.mode == "async":
            wait_s = 0.0
        elif policy.waits_for_failure and not future.record.is_blocked:
            wait_s = cap_s
        else:
            wait_s = min(self._delivery.inline_wait_s(future), cap_s)
        if wait_s > 0:
            with anyio.move_on_after(wait_s):
                await future.settled.wait()
        await self._delivery.hold(future)

    async def _wait_in_turn(self, future: Future) -> None:
        """Wait as without a gateway; only a turn that does not come ends it."""
        cap_s = future.caller.cap_s
        with anyio.move_on_after(cap_s):
            await future.settled.wait()
        if future.record.state is FutureState.PENDING:
            waits = self.why_it_waits(future)
            message = wording.withdrawn(future.tool_name, waits, cap_s)
            self._withdraw(future, message)
            raise Withdrawn(message)
        await future.settled.wait()

    # Futures

    def get(self, caller: Caller, token: str) -> Future:
        """The future under a token.

        Raises:
            UnknownToken: there is none that the caller may see.
        """
        return self._table.get(caller, token)

    def sees(self, caller: Caller, token: str) -> bool:
        """Whether the caller has a future under that token."""
        return self._table.find(caller, token) is not None

    async def wait_for_name(self, caller: Caller, token: str) -> None:
        """Wait until a call of the caller bears that name."""
        await self._submission.wait_for_name(caller, token)

    def futures(self, caller: Caller) -> list[Future]:
        """Every future whose token the caller holds, oldest first."""
        return list(self._table.of_caller(caller))

    def why_it_waits(self, future: Future) -> str:
        """Behind which call, for which label or value; empty when it does not wait."""
        if not self._runner.knows(future):
            return ""
        if future.record.state is FutureState.RUNNING:
            server = future.policy.server
            status = self._pool.connection(server).status
            return "" if status.state is ConnectionState.READY else wording.for_its_server(server, status)
        blockers = self._runner.scheduler.blockers(future.call.future)
        tokens = {one.future: self._table.by_identity(one.future).token for one in blockers if one.future is not None}
        return wording.why_it_waits(blockers, tokens)

    async def wait(
        self,
        futures: Sequence[Future],
        mode: Literal["all", "any"],
        timeout_s: float,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Wait until all or any of the futures have settled, or the time is over; being cancelled cancels no call."""
        with anyio.move_on_after(timeout_s):
            if mode == "any":
                await first_settled(futures)
                return
            for count, future in enumerate(futures, 1):
                with self._heard(future, on_progress if len(futures) == 1 else None):
                    await future.settled.wait()
                if on_progress is not None and len(futures) > 1:
                    await on_progress(count, len(futures), f"{count} of {len(futures)} settled")

    async def hold_poll(self, caller: Caller, future: Future) -> None:
        """Slow down a caller who asks again about what has not changed."""
        if future.seen_by.get(caller.scope) == future.looks and not future.record.is_settled:
            with anyio.move_on_after(POLL_HOLD_S):
                await future.settled.wait()
        future.seen_by[caller.scope] = future.looks

    def cancel(self, futures: Sequence[Future], reason: str) -> None:
        """Stop calls: those that have not started at once, the others when their server agrees or the grace is over."""
        for future in futures:
            if not future.record.is_settled:
                future.is_given_up = True
                self._runner.send(CancelRequested(future.call.future, time.monotonic(), reason))

    # Housekeeping

    @contextmanager
    def _heard(self, future: Future, on_progress: OnProgress | None) -> Generator[None]:
        if on_progress is None:
            yield
            return
        future.listeners.append(on_progress)
        try:
            yield
        finally:
            future.listeners.remove(on_progress)

    def _forget_unless_known(self, future: Future) -> None:
        """Forget a call that no token was ever given out for: nobody can ask for it again."""
        if not future.is_out and not future.is_named and future.record.is_forgettable:
            self._forget(future)

    def _forget(self, future: Future) -> None:
        self._runner.send(Forgotten(future.call.future, time.monotonic()))
        self._delivery.drop(future)
        self._table.remove(future)

    async def _sweep(self) -> None:
        while True:
            await anyio.sleep(min(SWEEP_S, self._ttl_s))
            expired_before = time.monotonic() - self._ttl_s
            self._delivery.drop_idle_scopes()
            for future in self._too_many_bytes() + [one for one in self._table if one.has_expired(expired_before)]:
                if self._table.holds(future.call.future):
                    self._forget(future)
                    await self._keeper.forget(future)

    def _too_many_bytes(self) -> list[Future]:
        """The oldest values that the client has seen, as many as have to go for the rest to fit."""
        values = [one for one in self._table if one.outcome is not None]
        excess = sum(one.outcome.size_bytes for one in values if one.outcome is not None) - self._most_kept_bytes
        going: list[Future] = []
        for future in values:
            if excess <= 0:
                break
            if future.outcome is not None and future.record.is_told and future.record.is_forgettable:
                going.append(future)
                excess -= future.outcome.size_bytes
        return going
