"""What becomes of the calls of a gateway that has ended, however it ended.

They are sent through the scheduler once more, in their order. Those that had been sent to their server are not sent
again, unless their tool may be repeated; those that had not run in their turn, where their conversation can go on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import anyio
import structlog

from asyncfc_mcp.config.models import ServerEntry
from asyncfc_mcp.config.policy import ToolHints, resolve_policy
from asyncfc_mcp.core.events import Answered, Call, Submitted
from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.gateway.future import NOTHING_ASKED, Future, Request
from asyncfc_mcp.gateway.keeping.kept_call import KeptCall, Work, fingerprint, read_call
from asyncfc_mcp.gateway.keeping.lifetimes import Lifetimes
from asyncfc_mcp.gateway.restart.recalling import Recalling
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.store.base import FutureStore, StoredFuture, StoreFault
from asyncfc_mcp.store.codec import identity_digest

MOST_RESUMPTIONS = 3
"""A call that so many processes have not survived is not taken up by one more."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Orphan:
    """An unsettled call of a gateway that has ended."""

    row: StoredFuture
    kept: KeptCall
    work: Work
    identity: str
    token: str

    @property
    def had_started(self) -> bool:
        """Whether it had been sent to its server, or may have been."""
        return self.row.state is not FutureState.PENDING


class Recovery:
    """Takes up what other gateways have left.

    Args:
        runner: has the scheduler.
        table: where the calls are entered.
        pool: the servers.
        store: has the rows of the others.
        recalling: finds the values that the calls refer to.
        servers: the entries of the configuration.
        lifetimes: how long settled futures can be asked for.
    """

    def __init__(
        self,
        runner: Runner,
        table: FutureTable,
        pool: Pool,
        store: FutureStore,
        recalling: Recalling,
        *,
        servers: Sequence[ServerEntry],
        lifetimes: Lifetimes,
    ) -> None:
        self._runner = runner
        self._table = table
        self._pool = pool
        self._store = store
        self._recalling = recalling
        self._lifetimes = lifetimes
        self.know(servers)
        self._adopting = anyio.Lock()
        self._handed_over: list[StoredFuture] = []
        """Ours by now, and not entered yet: the store may fail between the two."""

    def know(self, servers: Sequence[ServerEntry]) -> None:
        """Go by these entries of the configuration from now on."""
        self._entries = {entry.key: entry for entry in servers}

    async def adopt(self) -> None:
        """Take up all calls whose gateway has ended.

        Raises:
            StoreFault: the store cannot hand them over.
        """
        # shielded: what is handed over to a request that ends in this moment would belong to nobody
        async with self._adopting:
            with anyio.CancelScope(shield=True):
                await self._take_up()

    async def _take_up(self) -> None:
        rows = self._handed_over = [*self._handed_over, *await self._store.adopt()]
        if not rows:
            return
        orphans, lost = _read_all(rows)
        taken_up: dict[str, Future] = {}
        for orphan in _needs_first(orphans):
            try:
                taken_up[orphan.identity] = await self._future(orphan, taken_up)
            except StoreFault:
                raise
            except Exception as error:  # noqa: BLE001 - one odd row must not end this start, and each later one
                _log_odd(orphan.row, error)
                lost.append(orphan.row)
        self._handed_over = lost
        started = {one.identity for one in orphans if one.had_started}
        by_identity = {one.identity: one.row for one in orphans}
        for future in taken_up.values():
            try:
                self._replay(future, had_started=future.call.future in started)
            except Exception as error:  # noqa: BLE001 - likewise
                _log_odd(by_identity[future.call.future], error)
                lost.append(by_identity[future.call.future])
        runs = sum(one.ends_as is None for one in taken_up.values())
        log.info("calls_taken_up", calls=len(rows), to_run=runs)
        while lost:
            await self._store.put(self._ended(lost[0]))
            del lost[0]

    async def tool_of(self, future: Future) -> CatalogTool | Failure:
        """The tool that a resumed call is sent to now, or why it is not."""
        server, own_name = future.policy.server, future.policy.tool
        await self._pool.connection(server).listing_or_failure()
        tools = (one for one in self._pool.catalog.known if (one.server, one.own_name) == (server, own_name))
        tool = next(tools, None)
        if future.record.had_started and (tool is None or not tool.policy.may_repeat):
            return _unknown(server)
        if tool is None:
            return _not_started(f"{future.tool_name} is not offered any more")
        return tool

    def _replay(self, future: Future, *, had_started: bool) -> None:
        """Send it through the scheduler; without an await between two of them, none comes before its turn."""
        identity, now = future.call.future, time.monotonic()
        self._table.add(future)
        try:
            self._runner.send(Submitted(future.call, now, had_started=had_started))
        except Exception:
            self._table.remove(future)
            raise
        leaves_token = future.is_known and not future.caller.is_among_strangers
        self._runner.send(Answered(identity, now, with_token=leaves_token))

    async def _future(self, orphan: Orphan, taken_up: Mapping[str, Future]) -> Future:
        row, work = orphan.row, orphan.work
        ends_as = self._end_of(orphan)
        needs = await self._needs(orphan, taken_up) if ends_as is None else {}
        if needs is None:
            needs, ends_as = {}, _without_values(orphan)
        call = Call(
            future=orphan.identity,
            token=orphan.token,
            scope=row.scope,
            server=row.server,
            tool=row.tool_name,
            # a conversation that is over keeps no order, least of all with the next one of that name
            labels=work.labels if work.caller.can_come_back else (),
            needs=frozenset(need.call.future for need in needs.values()),
        )
        request = Request(work.arguments, work.references, needs, work.meta, work.input_responses)
        return Future(
            call,
            work.caller,
            self._tool(orphan, ends_as),
            request if ends_as is None else NOTHING_ASKED,
            row.created_at,
            is_named=orphan.kept.is_named,
            is_out=work.is_out,
            key=row.key,
            digest=orphan.kept.digest,
            origins=frozenset(orphan.kept.origins),
            resumptions=work.resumptions + 1,
            ends_as=ends_as,
        )

    def _end_of(self, orphan: Orphan) -> Failure | None:
        """What becomes of a call that is not sent; None where it is, in its turn."""
        work, server = orphan.work, orphan.row.server
        entry = self._entries.get(server)
        is_same_server = entry is not None and fingerprint(entry) == work.fingerprint
        if orphan.had_started:
            repeats = work.may_repeat and is_same_server and work.resumptions < MOST_RESUMPTIONS
            return None if repeats else _unknown(server)
        if not work.caller.can_come_back:
            return _not_started("and its conversation with it")
        if not is_same_server:
            return _not_started(f"server {server} is not configured any more as it was")
        return None

    def _tool(self, orphan: Orphan, ends_as: Failure | None) -> CatalogTool:
        tool = orphan.kept.tool(orphan.row)
        if ends_as is not None:
            return tool
        # until its server has listed the tool: what the configuration alone says of it
        entry = self._entries[orphan.row.server]
        return replace(tool, policy=resolve_policy(entry, orphan.row.tool, ToolHints(), has_ui=False, pack=None))

    async def _needs(self, orphan: Orphan, taken_up: Mapping[str, Future]) -> dict[str, Future] | None:
        """The futures that a call refers to, by token; None where one is nowhere any more."""
        needs: dict[str, Future] = {}
        for token, identity in orphan.work.needs.items():
            need = taken_up.get(identity) or await self._recalling.by_identity(orphan.work.caller, identity, token)
            if need is None:
                return None
            needs[token] = need
        return needs

    def _ended(self, row: StoredFuture) -> StoredFuture:
        """How a call ends of which nothing was kept that it could go on with."""
        had_started = row.state is not FutureState.PENDING
        failure = _unknown(row.server) if had_started else _not_started("and what was asked for was not stored")
        now = time.time()
        ended = {"settled_at": now, "expires_at": now + self._lifetimes.now_s, "owner": "", "call": None}
        return replace(row, state=FutureState.FAILED, failure=failure, **ended)


def _read_all(rows: Iterable[StoredFuture]) -> tuple[list[Orphan], list[StoredFuture]]:
    """What can be gone on with, and the rest."""
    orphans: list[Orphan] = []
    lost: list[StoredFuture] = []
    for row in rows:
        try:
            orphan = _read(row)
        except Exception as error:  # noqa: BLE001 - another process wrote it, maybe one of another version
            _log_odd(row, error)
            orphan = None
        if orphan is not None:
            orphans.append(orphan)
        else:
            lost.append(row)
    return orphans, lost


def _log_odd(row: StoredFuture, error: Exception) -> None:
    log.warning("call_not_taken_up", server=row.server, tool=row.tool, kind=type(error).__name__)


def _read(row: StoredFuture) -> Orphan | None:
    kept = read_call(row)
    if kept is None or kept.work is None or kept.future is None or kept.token is None:
        return None
    if identity_digest(kept.future) != identity_digest(row.future):  # what settles would be another row
        return None
    return Orphan(row, kept, kept.work, kept.future, kept.token)


def _needs_first(orphans: Sequence[Orphan]) -> list[Orphan]:
    """In their order, but for clocks that went back: each call after all that it refers to."""
    by_identity = {orphan.identity: orphan for orphan in orphans}
    placed: dict[str, Orphan] = {}
    for orphan in orphans:
        waiting = [orphan]
        while waiting:
            needs = waiting[-1].work.needs.values()
            ahead = [by_identity[need] for need in needs if need in by_identity and need not in placed]
            if ahead and len(waiting) <= len(orphans):
                waiting += ahead
            else:
                last = waiting.pop()
                placed[last.identity] = last
    return list(placed.values())


def _unknown(server: str) -> Failure:
    return Failure(
        FailureReason.OUTCOME_UNKNOWN,
        f"the gateway ended while this call was at work on {server}: it may have taken effect, and it was not sent "
        "again. See what it has done before you send it once more.",
    )


def _not_started(why: str) -> Failure:
    return Failure(
        FailureReason.NOT_STARTED,
        f"the gateway ended before its turn came, {why}; nothing was sent. If it is still wanted, send it again.",
    )


def _without_values(orphan: Orphan) -> Failure:
    if orphan.had_started:
        return _unknown(orphan.row.server)
    return _not_started("and a value that it refers to is not kept any more")
