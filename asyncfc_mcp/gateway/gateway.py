"""The gateway, usable without MCP: call tools, get tokens, await, read, cancel and list futures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import anyio
import structlog
from anyio.abc import TaskStatus

from asyncfc_mcp.config.differences import Differences, FileStanding, differences, in_force
from asyncfc_mcp.config.models import GatewayConfig
from asyncfc_mcp.core.events import CancelRequested
from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.reference import clip
from asyncfc_mcp.core.scheduler import Scheduler
from asyncfc_mcp.core.token import is_minted
from asyncfc_mcp.downstream.catalog import CatalogTool, check_names
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.answering.delivery import Delivery
from asyncfc_mcp.gateway.answering.explaining import Explanations
from asyncfc_mcp.gateway.answering.forgetting import Forgetter
from asyncfc_mcp.gateway.answering.turns import NOTHING_WISHED, Turn, Turns, Wishes
from asyncfc_mcp.gateway.arguments.preparation import Preparation
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.flows.auditing import AuditLog
from asyncfc_mcp.gateway.flows.policy import Flows
from asyncfc_mcp.gateway.future import Future, first_settled
from asyncfc_mcp.gateway.intake.entrance import Entrance
from asyncfc_mcp.gateway.intake.repeating import CallKey, Repeats
from asyncfc_mcp.gateway.intake.submission import Submission
from asyncfc_mcp.gateway.keeping.keeper import Keeper
from asyncfc_mcp.gateway.keeping.lifetimes import Lifetimes
from asyncfc_mcp.gateway.keeping.values import Values
from asyncfc_mcp.gateway.questions.asking import Question, Questions, Waiter
from asyncfc_mcp.gateway.questions.attribution import Attribution
from asyncfc_mcp.gateway.reconfiguring import Reconfiguring, fingerprints, reconfigured
from asyncfc_mcp.gateway.reporting import SettledLog
from asyncfc_mcp.gateway.requester import Requester
from asyncfc_mcp.gateway.restart.recalling import Recalling
from asyncfc_mcp.gateway.restart.recovery import Recovery
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.gateway.timekeeping import Timekeeping
from asyncfc_mcp.store.base import FutureStore, StoreFault

POLL_HOLD_S = 2.0
"""How long a repeated poll waits for a change: polling models come back every second."""
MOST_SEERS = 64
"""Scopes of which it is known what they saw of a future when they last polled it."""
SESSION_GRACE_S = 600.0
"""How long calls run on whose session has ended: some hosts open a session for each call and ask later."""

log = structlog.get_logger()


class UnknownTool(GatewayError):
    """No server offers a tool of that name.

    Args:
        name: what was called.
        likely: what may have been meant.
        absence: why it is not there, where that is known.
    """

    def __init__(self, name: str, likely: Sequence[str] = (), absence: str | None = None) -> None:
        meant = f"; did you mean {' or '.join(likely)}?" if likely else "; the list of tools names them all"
        meant = f"; {absence}" if absence is not None else meant
        super().__init__(f"Unknown tool: {clip(name)}{meant}")
        self.name = name


class Gateway:
    """Stands in front of the servers of a configuration.

    Args:
        config: what the user asked for.
        pool: the servers' connections; whoever makes the gateway runs it.
        store: where futures are kept that a client knows of.
        audit: where values are recorded that go from one server to another.
    """

    def __init__(self, config: GatewayConfig, pool: Pool, store: FutureStore, audit: AuditLog | None = None) -> None:
        settings = config.settings
        self._pool = pool
        self._table = FutureTable()
        self.lifetimes = Lifetimes(settings.ttl_s)
        """How long settled futures can be asked for."""
        keeper = Keeper(store, self.lifetimes, fingerprints(config.servers))
        self._store = store
        self._keeper = keeper
        self._is_open = False
        self.values = Values(
            self._table,
            store,
            most_bytes=settings.max_kept_mb * 2**20,
            can_spill=store.outlives and settings.store_values,
        )
        """Has to be asked for the values of futures before they are read."""
        keeper.on_settled_kept = self.values.note_kept
        self._preparation = preparation = Preparation(
            embed=settings.embed,
            converts=settings.schema_ == "union",
            most_bytes=int(settings.max_argument_mb * 2**20),
        )
        scheduler = Scheduler()
        scheduler.handle(reconfigured(config))
        self.flows = Flows(settings.flows, audit if settings.audit else None)
        """Which values may go from which server to which other."""
        self._runner = Runner(scheduler, self._table, pool, preparation, keeper, values=self.values, flows=self.flows)
        self._runner.listen(SettledLog().on_move)
        self._runner.listen(self.values.on_move)
        self.timeline = Timekeeping(self._runner, self._table, pool).timeline
        """The last calls, for people to look at."""
        self._recalling = Recalling(self._runner, self._table, self.values, store)
        self._recovery = Recovery(
            self._runner,
            self._table,
            pool,
            store,
            self._recalling,
            servers=config.servers,
            lifetimes=self.lifetimes,
        )
        self._recalling.adopt = self._recovery.adopt
        self._runner.tool_of = self._recovery.tool_of
        self._delivery = Delivery(self._runner, piggyback=settings.piggyback)
        self._questions = Questions(self._runner, timeout_s=settings.input_timeout_s)
        self._runner.ask_user = self._questions.ask
        self._attribution = pool.hooks = Attribution(self._questions)
        self._explanations = Explanations(self._runner, self._table, pool, self._questions)
        self._forgetter = Forgetter(
            self._runner,
            self._table,
            self._delivery,
            keeper=keeper,
            values=self.values,
            store=store,
            lifetimes=self.lifetimes,
            adopt=self._recovery.adopt,
        )
        entrance = Entrance(
            self._runner,
            self._forgetter,
            max_unsettled=settings.max_unsettled,
            max_unsettled_total=settings.max_unsettled_total,
        )
        self._submission = Submission(
            self._runner,
            self._table,
            preparation,
            entrance,
            recalling=self._recalling,
            flows=self.flows,
            max_chain=settings.max_chain,
        )
        self._repeats = Repeats(self._table, self._recalling.recall_keyed)
        self._turns = Turns(
            self._runner,
            self._questions,
            self._delivery,
            keeper=keeper,
            explanations=self._explanations,
            forgetter=self._forgetter,
            values=self.values,
        )
        self._reconfiguring = Reconfiguring(
            self._runner,
            self._table,
            pool,
            keeper,
            self._recovery,
            self.values,
            self.flows,
            audit,
            self._delivery,
            entrance,
            self._submission,
            preparation,
            self.lifetimes,
        )
        self.config = config
        """What is in force."""
        self.file_standing = FileStanding()
        """Where the user's file says something else."""

    async def take_up(self, config: GatewayConfig) -> Differences:
        """Go by another configuration from now on, losing no future; what that changes.

        Raises:
            NameCollision, ReservedName: it gives names to tools that they cannot have. Nothing has changed then.
        """
        check_names(config.servers)
        changes = differences(self.config, config)
        self.config = in_force(self.config, config)
        if changes.takes_effect:
            await self._reconfiguring.take_up(self.config)
        return changes

    @property
    def most_argument_bytes(self) -> int:
        """What the arguments of one request may take."""
        return self._preparation.most_bytes

    @property
    def pool(self) -> Pool:
        """The servers behind the gateway."""
        return self._pool

    @property
    def delivery(self) -> Delivery:
        """What each answer holds."""
        return self._delivery

    @property
    def turns(self) -> Turns:
        """How calls are answered."""
        return self._turns

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

    async def open(self) -> None:
        """Get the store ready; once, before `run`.

        Raises:
            StoreFault: it cannot be used.
        """
        await self._store.open()
        self._is_open = True

    @property
    def store_state(self) -> Literal["open", "failing", "closed"]:
        """Whether futures can be kept; `failing` while it has not taken what it was given."""
        if not self._is_open:
            return "closed"
        return "failing" if self._keeper.has_unwritten.is_set() else "open"

    @property
    def store_faults(self) -> int:
        """How often the store could not do what was asked of it."""
        return self._store.faults

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own every task of the gateway until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(self._runner.run)
                self._questions.own_tasks(tasks)
                self._attribution.own_tasks(tasks)
                tasks.start_soon(self._forgetter.run)
                await self._take_up_what_was_left()
                task_status.started()
        finally:
            self._is_open = False
            await self._store.close()

    async def sweep(self) -> None:
        """Forget what may be forgotten, and do what the store could not do before; it is done every half minute.

        Raises:
            StoreFault: the store fails.
        """
        await self._forgetter.sweep()

    async def _take_up_what_was_left(self) -> None:
        """Go on with the calls of gateways that have ended; a store that fails in this can still be of use."""
        try:
            await self._recovery.adopt()
        except StoreFault as fault:
            log.warning("calls_not_taken_up", why=str(fault))
        except Exception:  # a store that breaks this must not keep the gateway from starting
            log.exception("taking_up_broke")

    # Calls

    async def call(
        self,
        caller: Caller,
        tool: CatalogTool,
        arguments: dict[str, Any] | None,
        wishes: Wishes = NOTHING_WISHED,
        *,
        meta: dict[str, Any] | None = None,
        input_responses: dict[str, Any] | None = None,
        requester: Requester | None = None,
        key: CallKey | None = None,
        is_lost: Callable[[], bool] = lambda: False,
        arrived_at: float | None = None,
    ) -> Turn:
        """Call a tool and wait as long as its policy and the caller want; then the future, settled or not.

        With a key that an earlier call had it is that call once more, and the future that one's. When the request ends
        before it is answered, `is_lost` says whether its connection broke; a call with a key then goes on, since its
        client can come back. `arrived_at`: when the call was read, on the monotonic clock; now where it is None.

        The call counts as answered when this returns without questions: a settled future's value must go to the
        client, else its token. With questions the client has to be shown them, and comes back through `resume`.

        Raises:
            GatewayError: the call was not taken in, or (`sync`) its turn did not come.
        """
        self._pool.catalog.admit(tool)
        self._delivery.open_step(caller, arrived_at if arrived_at is not None else time.monotonic())
        submit = partial(
            self._submission.submit,
            caller,
            tool,
            arguments,
            wishes.token,
            meta=meta,
            input_responses=input_responses,
        )
        if key is None:
            return await self._turns.take(await submit(), wishes, requester)
        with self._submission.keeping_place(caller, tool, arguments, wishes.token, key) as place:
            async with self._repeats.alone(caller, key):
                earlier = await self._repeats.find(caller, key)
                future = earlier or await submit(place=place)
        if earlier is not None:
            return await self._turns.repeat(caller, earlier, wishes, requester)
        return await self._turns.take(future, wishes, requester, is_lost)

    async def resume(self, future: Future, wishes: Wishes, requester: Requester | None) -> Turn:
        """Go on with the request of a call whose questions the client has answered; see `call`."""
        future.is_shown = False
        self._delivery.open_step(future.caller, time.monotonic())
        return await self._turns.take(future, wishes, requester)

    # Futures

    @property
    def remembers(self) -> bool:
        """Whether futures of earlier processes can be asked for."""
        return self._store.outlives

    async def recall(self, caller: Caller, *sources: object, names: bool = True) -> None:
        """Have the futures of earlier processes known that these texts, or any JSON, may refer to.

        It awaits only where there is a token-shaped word that is not known yet. Without `names` it is for tokens that
        were minted: a name may still come with a call of this process.

        Raises:
            RunsElsewhere: one of them is unsettled, and another gateway's.
            StoreFault: the store cannot be asked.
        """
        unknown = self._recalling.unknown(caller, {"sources": list(sources)})
        await self._recalling.recall(caller, tuple(one for one in unknown if names or is_minted(one)))

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

        with futures[0].heard_by(requester if len(futures) == 1 else None):
            is_over = any_settled if mode == "any" else all_settled
            return await self._questions.wait(Waiter(caller, futures, requester), is_over, timeout_s, caller.cap_s)

    def why_it_waits(self, future: Future, caller: Caller, *, is_its_own_request: bool = False) -> str:
        """What keeps a future from its value; see `Explanations`."""
        return self._explanations.why_it_waits(future, caller, is_its_own_request=is_its_own_request)

    def provide(self, shown: Mapping[str, str], responses: Mapping[str, Any]) -> None:
        """Take a client's answers to the questions that it was shown; see `Questions.provide`."""
        self._questions.provide(shown, responses)

    async def hold_poll(self, caller: Caller, future: Future) -> None:
        """Slow down a caller who asks again about what has not changed."""
        if future.seen_by.get(caller.scope) == future.looks and not future.record.is_settled:
            with anyio.move_on_after(POLL_HOLD_S):
                await future.settled.wait()
        future.seen_by[caller.scope] = future.looks
        if len(future.seen_by) > MOST_SEERS:
            del future.seen_by[next(iter(future.seen_by))]

    def cancel(self, futures: Sequence[Future], reason: str) -> None:
        """Stop calls: those that have not started at once, the others when their server agrees or the grace is over."""
        for future in futures:
            if not future.record.is_settled:
                future.is_given_up = True
                self._runner.send(CancelRequested(future.call.future, time.monotonic(), reason))

    def end_session(self, session: str) -> None:
        """A session or stream is over: what has not started is cancelled, what runs gets a grace, values stay."""
        ended = [one for one in self._table if one.caller.ends_with == session and not one.record.is_settled]
        unstarted = [one for one in ended if one.record.state is FutureState.PENDING]
        for future in unstarted:  # not given up by the client, who may send it again under its key
            message = "its session has ended before it could start"
            self._runner.send(CancelRequested(future.call.future, time.monotonic(), message))
            self._delivery.tell(future)
        running = [one for one in ended if one not in unstarted]
        if running:
            asyncio.get_running_loop().call_later(SESSION_GRACE_S, self.cancel, running, "its session has ended")
