"""The gateway, usable without MCP: call tools, get tokens, await, read, cancel and list futures."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import anyio
import structlog
from anyio.abc import TaskStatus

from asyncfc_mcp.config.models import GatewayConfig
from asyncfc_mcp.core.events import Answered, CancelRequested, Forgotten
from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.record import Blocker
from asyncfc_mcp.core.reference import clip
from asyncfc_mcp.core.scheduler import Scheduler
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.downstream.status import ConnectionState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway import wording
from asyncfc_mcp.gateway.attribution import Attribution
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.delivery import Delivery
from asyncfc_mcp.gateway.future import Future, first_settled
from asyncfc_mcp.gateway.keeping import Keeper
from asyncfc_mcp.gateway.preparation import Preparation
from asyncfc_mcp.gateway.questions import Question, Questions, Waiter
from asyncfc_mcp.gateway.reporting import log_settled
from asyncfc_mcp.gateway.requester import Requester
from asyncfc_mcp.gateway.runner import Runner
from asyncfc_mcp.gateway.shaping import names_its_token
from asyncfc_mcp.gateway.submission import Submission
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.store.base import FutureStore

SWEEP_S = 30.0
"""How often expired futures are looked for."""
POLL_HOLD_S = 2.0
"""How long a repeated poll waits for a change: polling models come back every second."""
SHOWN_S = 60.0
"""How long a settled call waits for a client that was shown a question and has not come back."""
SESSION_GRACE_S = 600.0
"""How long calls run on whose session has ended: some hosts open a session for each call and ask later."""

log = structlog.get_logger()


class UnknownTool(GatewayError):
    """No server offers a tool of that name."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        like = get_close_matches(name, known, n=3, cutoff=0.75)
        meant = f"; did you mean {' or '.join(like)}?" if like else "; the list of tools names them all"
        super().__init__(f"Unknown tool: {clip(name)}{meant}")
        self.name = name


class Withdrawn(GatewayError):
    """A `sync` call whose turn did not come in time."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for beyond the tool's own arguments."""

    wait_s: float | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """How far the request of a call has come."""

    future: Future
    questions: tuple[Question, ...] = ()
    """What the client has to be asked before the request can go on; empty once it can be answered."""


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
        self._questions = Questions(self._runner, timeout_s=settings.input_timeout_s)
        self._runner.ask_user = self._questions.ask
        self._attribution = pool.hooks = Attribution(self._questions)

    @property
    def pool(self) -> Pool:
        """The servers behind the gateway."""
        return self._pool

    @property
    def delivery(self) -> Delivery:
        """What each answer holds."""
        return self._delivery

    @property
    def questions(self) -> Questions:
        """What running calls ask of their users."""
        return self._questions

    @property
    def attribution(self) -> Attribution:
        """What servers ask and tell outside of answers."""
        return self._attribution

    @property
    def runner(self) -> Runner:
        """Reports every move."""
        return self._runner

    @property
    def table(self) -> FutureTable:
        """Every future that has not been forgotten."""
        return self._table

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own every task of the gateway until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(self._runner.run)
                self._questions.own_tasks(tasks)
                self._attribution.own_tasks(tasks)
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
        input_responses: dict[str, Any] | None = None,
        requester: Requester | None = None,
    ) -> Turn:
        """Call a tool and wait as long as its policy and the caller want; then the future, settled or not.

        The call counts as answered when this returns without questions: a settled future's value must go to the
        client, else its token. With questions the client has to be shown them, and comes back through `resume`.

        Raises:
            GatewayError: the call was not taken in, or (`sync`) its turn did not come.
        """
        self._delivery.open_step(caller)
        future = await self._submission.submit(
            caller, tool, arguments, wishes.token, meta=meta, input_responses=input_responses
        )
        return await self._turn(future, wishes, requester)

    async def resume(self, future: Future, wishes: Wishes, requester: Requester | None) -> Turn:
        """Go on with the request of a call whose questions the client has answered; see `call`."""
        future.is_shown = False
        self._delivery.open_step(future.caller)
        return await self._turn(future, wishes, requester)

    async def _turn(self, future: Future, wishes: Wishes, requester: Requester | None) -> Turn:
        try:
            with self._heard(future, requester):
                questions = await self._wait_inline(future, wishes, requester)
            if questions:
                future.is_shown = True
                return Turn(future, questions)
            if not future.record.is_settled or names_its_token(future):
                await self._keeper.let_out(future)
        except BaseException:  # cancelled, withdrawn, or its token could not be kept: in every case nobody holds it
            self._withdraw(future, "its request ended before it could be answered")
            raise
        self._answer(future)
        return Turn(future)

    def _answer(self, future: Future) -> None:
        """The answer goes out now: with the value, which the client is told so, or with the token."""
        is_settled = future.record.is_settled
        # whoever writes next among strangers has not been told of this token, and must not learn of its failure
        leaves_token = not is_settled and not future.caller.is_among_strangers
        self._runner.send(Answered(future.call.future, time.monotonic(), with_token=leaves_token))
        self._delivery.answered(future.caller)
        if is_settled:
            self._delivery.tell(future)
            self._forget_unless_known(future)

    def _withdraw(self, future: Future, message: str) -> None:
        """The call was not answered and nobody waits for it."""
        now = time.monotonic()
        self._runner.send(CancelRequested(future.call.future, now, message))
        self._runner.send(Answered(future.call.future, now, with_token=False))

    async def _wait_inline(self, future: Future, wishes: Wishes, requester: Requester | None) -> tuple[Question, ...]:
        policy = future.policy
        if policy.mode == "sync":
            return await self._wait_in_turn(future, requester)
        cap_s = future.caller.cap_s
        waiter = Waiter(future.caller, (future,), requester)
        if wishes.wait_s is not None:
            wait_s = min(wishes.wait_s, cap_s)
        elif policy.mode == "async":
            wait_s = 0.0
        elif policy.waits_for_failure and not future.record.is_blocked:
            wait_s = cap_s
        else:
            wait_s = min(self._delivery.inline_wait_s(future), cap_s)
        if wait_s > 0:
            questions = await self._questions.wait(waiter, future.settled.wait, wait_s, cap_s)
            if questions:
                return questions
        await self._delivery.hold(future)
        return ()

    async def _wait_in_turn(self, future: Future, requester: Requester | None) -> tuple[Question, ...]:
        """Wait as without a gateway; only a turn that does not come ends it."""
        cap_s = future.caller.cap_s
        waiter = Waiter(future.caller, (future,), requester)
        questions = await self._questions.wait(waiter, future.settled.wait, cap_s, cap_s)
        if questions:
            return questions
        if future.record.state is FutureState.PENDING:
            waits = self.why_it_waits(future, future.caller)
            message = wording.withdrawn(future.tool_name, waits, cap_s)
            self._withdraw(future, message)
            raise Withdrawn(message)
        return await self._questions.wait(waiter, future.settled.wait, math.inf, math.inf)

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

    def why_it_waits(self, future: Future, caller: Caller, *, is_its_own_request: bool = False) -> str:
        """Behind which call, for which label, value or answer, as far as the caller may know; else empty.

        `is_its_own_request`: whether this is said to whoever has just sent the call, and so wrote its references.
        """
        if not self._runner.knows(future):
            return ""
        match future.record.state:
            case FutureState.RUNNING:
                server = future.policy.server
                status = self._pool.connection(server).status
                return "" if status.state is ConnectionState.READY else wording.for_its_server(server, status)
            case FutureState.INPUT_REQUIRED:
                return wording.for_the_user([question.in_words for question in self._questions.open(future)])
            case _:
                blockers = self._runner.scheduler.blockers(future.call.future)
                return wording.why_it_waits(blockers, self._tokens_of(blockers, caller, wrote_them=is_its_own_request))

    def _tokens_of(self, blockers: Sequence[Blocker], caller: Caller, *, wrote_them: bool) -> dict[str, str]:
        """What the caller may call each blocker: a stranger's token would give its value away."""
        tokens: dict[str, str] = {}
        for one in blockers:
            if one.future is not None:
                blocker = self._table.by_identity(one.future)
                is_known = caller.may_name(blocker.caller) or (wrote_them and one.is_data)
                tokens[one.future] = blocker.token if is_known else wording.SOMEBODY_ELSES
        return tokens

    async def wait(
        self,
        caller: Caller,
        futures: Sequence[Future],
        mode: Literal["all", "any"],
        timeout_s: float,
        requester: Requester | None = None,
    ) -> tuple[Question, ...]:
        """Wait until all or any of the futures have settled, or the time is over; being cancelled cancels no call.

        It also ends with the questions that a client has to be shown first.
        """
        waiting = list(futures)

        async def all_settled() -> None:
            while waiting:
                await waiting[0].settled.wait()
                del waiting[0]
                if requester is not None and len(futures) > 1:
                    count = len(futures) - len(waiting)
                    await requester.progress(count, len(futures), f"{count} of {len(futures)} settled")

        async def any_settled() -> None:
            await first_settled(futures)

        with self._heard(futures[0], requester if len(futures) == 1 else None):
            is_over = any_settled if mode == "any" else all_settled
            return await self._questions.wait(Waiter(caller, futures, requester), is_over, timeout_s, caller.cap_s)

    def provide(self, shown: Mapping[str, str], responses: Mapping[str, Any]) -> None:
        """Take a client's answers to the questions that it was shown; see `Questions.provide`."""
        self._questions.provide(shown, responses)

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
    def _heard(self, future: Future, requester: Requester | None) -> Generator[None]:
        if requester is None:
            yield
            return
        future.listeners.append(requester)
        try:
            yield
        finally:
            future.listeners.remove(requester)

    def end_session(self, session: str) -> None:
        """A session or stream is over: what has not started is cancelled, what runs gets a grace, values stay."""
        ended = [one for one in self._table if one.caller.ends_with == session and not one.record.is_settled]
        unstarted = [one for one in ended if one.record.state is FutureState.PENDING]
        self.cancel(unstarted, "its session has ended before it could start")
        running = [one for one in ended if one not in unstarted]
        if running:
            asyncio.get_running_loop().call_later(SESSION_GRACE_S, self.cancel, running, "its session has ended")

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
        excess = sum(one.outcome.size_bytes for one in values if one.outcome is not None) - self._most_kept_bytes
        going: list[Future] = []
        for future in values:
            if excess <= 0:
                break
            if future.outcome is not None and future.record.is_told and future.record.is_forgettable:
                going.append(future)
                excess -= future.outcome.size_bytes
        return going
