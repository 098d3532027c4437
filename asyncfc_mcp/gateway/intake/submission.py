"""From what a client sent to a call that the scheduler knows: references found and resolved, labels, a token."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile
from typing import Any

import anyio

from asyncfc_mcp.core.events import Call, Submitted
from asyncfc_mcp.core.label import Label, conflict
from asyncfc_mcp.core.reference import Reference, find_references, in_words, mentions_tokens
from asyncfc_mcp.core.token import KNOWN_CALLER_BITS, UNGUESSABLE_BITS, is_minted, mint, slug_of
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.arguments.labelling import fixed_labels, labels_of
from asyncfc_mcp.gateway.arguments.preparation import Preparation, check_size
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.flows.policy import Flows, Target
from asyncfc_mcp.gateway.future import Future, Request, Signal
from asyncfc_mcp.gateway.intake.entrance import Entrance
from asyncfc_mcp.gateway.intake.repeating import CallKey
from asyncfc_mcp.gateway.restart.recalling import Recalling
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable, NameTaken

_slug_of = lru_cache(maxsize=4096)(slug_of)

NAME_WAIT_S = 0.1
"""How long a reference waits for the call that is to bear its name: calls sent side by side arrive in any order."""
MOST_WAITING_FOR_NAMES = 1_000
"""Calls of one scope that wait for names; more of them are told at once that a token is not known."""


class ChainTooLong(GatewayError):
    """Too many unsettled calls in a row would each need the value of the one before."""

    def __init__(self, limit: int, token: str) -> None:
        super().__init__(
            f"not started: {limit} unsettled calls in a row each need the value of the one before already, which is "
            f"the limit (max_chain). Await {token} with await_future first, then send this call again."
        )
        self.limit = limit
        self.token = token


class NameNeedsScope(GatewayError):
    """`_as` from a caller whom nothing tells apart from strangers: they could guess the name."""

    def __init__(self) -> None:
        super().__init__(
            "_as: this connection is shared with callers that could guess the name; leave it out and use the token, "
            "or have the client name its conversation with the header Asyncfc-Scope"
        )


@dataclass(frozen=True, slots=True, eq=False)
class EarlyCall:
    """A call that has come and may have to wait for names before it can be taken in."""

    token: str | None
    references: tuple[Reference, ...]
    declared: tuple[Label, ...]
    may_refer: bool
    """Whether its arguments hold anything that could be a token; of nearly every call that is all there is to find."""
    key: CallKey | None = None

    def is_ahead_of(self, later: EarlyCall) -> bool:
        """Whether declared labels keep the later call behind this one, though this one is not taken in yet."""
        if any(reference.token == later.token for reference in self.references):
            return False
        return any(conflict(one, other) for one in self.declared for other in later.declared)


class Submission:
    """Takes calls in, in the order in which they come; it awaits only where a call has to wait to be understood."""

    def __init__(
        self,
        runner: Runner,
        table: FutureTable,
        preparation: Preparation,
        entrance: Entrance,
        *,
        recalling: Recalling,
        flows: Flows,
        max_chain: int,
    ) -> None:
        self._runner = runner
        self._table = table
        self._preparation = preparation
        self._entrance = entrance
        self._recalling = recalling
        self._flows = flows
        self.max_chain = max_chain
        self._arrival = Signal()
        self._early_calls: dict[str, list[EarlyCall]] = {}
        """By scope, those that wait for names; in order of arrival."""

    async def submit(
        self,
        caller: Caller,
        tool: CatalogTool,
        arguments: dict[str, Any] | None,
        token: str | None,
        *,
        meta: dict[str, Any] | None,
        input_responses: dict[str, Any] | None,
        place: EarlyCall | None = None,
    ) -> Future:
        """Hand a call to the scheduler; it may run at once.

        `token` is the one that the client chose, if it did. `place`: of a call with a key; see `keeping_place`.

        Raises:
            ArgumentFault, UnknownToken, NameTaken, NameNeedsScope, FlowDenied, ChainTooLong, TooManyUnsettled,
                TooManyWaiting, MemoryFull: it is not a call that can be taken.
        """
        check_size(arguments, self._preparation.most_bytes)
        self._entrance.check_memory()
        if token is not None and caller.is_among_strangers:
            raise NameNeedsScope
        if token is not None and self._table.has_name(caller, token):
            bearer = self._table.find(caller, token)
            raise NameTaken(token, bearer.record.state if bearer is not None else None)
        early = place or self._early_call(caller, tool, arguments, token)
        unknown = self._recalling.unknown(caller, arguments) if early.may_refer else ()
        if unknown or self._has_to_wait(caller, early):
            await self._wait_for_names(caller, early, unknown)
        asked = Request(arguments, meta=meta, input_responses=input_responses)
        request = self._with_needs(caller, tool, asked, early)
        if self._entrance.is_open(caller.scope):
            return self._enter(caller, tool, request, early)
        async with self._entrance.place(caller):
            # a value that it refers to may have expired meanwhile
            return self._enter(caller, tool, self._with_needs(caller, tool, asked, early), early)

    def _with_needs(self, caller: Caller, tool: CatalogTool, asked: Request, early: EarlyCall) -> Request:
        """The request with the futures that its arguments refer to.

        Raises:
            ArgumentFault, UnknownToken, FlowDenied, ChainTooLong: these cannot be had, or not there.
        """
        if asked.arguments is None or not early.may_refer:
            return asked
        references = self._references(caller, asked.arguments)
        needs = {one.token: self._table.get(caller, one.token, in_words(one.at)) for one in references}
        request = replace(asked, references=references, needs=needs)
        if references:
            self._flows.check(caller, references, needs, Target(tool.server, "tool", tool.own_name))
            self._preparation.check_submitted(tool, request)
            self._check_chain(request)
        return request

    def _check_chain(self, request: Request) -> None:
        needs = {need.call.future for need in request.needs.values()}
        if self._runner.scheduler.number_after(needs, self.max_chain) > self.max_chain:
            last = max(request.needs.values(), key=lambda need: 0 if need.record.is_settled else need.record.number)
            raise ChainTooLong(self.max_chain, last.token)

    async def wait_for_name(self, caller: Caller, token: str) -> None:
        """Wait until a call of the caller bears that name; bounded by whoever asks."""
        while not self._table.has_name(caller, token):
            await self._arrival.wait()

    def _references(self, caller: Caller, arguments: dict[str, Any]) -> tuple[Reference, ...]:
        def exists(token: str) -> bool:
            return self._table.find(caller, token) is not None

        return find_references(arguments, exists=exists, embed=self._preparation.embed)

    def _may_yet_come(self, caller: Caller, reference: Reference) -> bool:
        # not `find`: the same name in another scope must not stand in for one that is on its way
        return not self._table.has_name(caller, reference.token)

    def _early_call(
        self, caller: Caller, tool: CatalogTool, arguments: dict[str, Any] | None, token: str | None
    ) -> EarlyCall:
        may_refer = arguments is not None and mentions_tokens(arguments)
        references = self._references(caller, arguments) if arguments is not None and may_refer else ()
        declared = self._labels(tool, arguments, references) if tool.policy.labels_are_declared else ()
        return EarlyCall(token, references, declared, may_refer)

    def _has_to_wait(self, caller: Caller, early: EarlyCall) -> bool:
        return self._lacks_names(caller, early) or self._is_behind(caller, early)

    def _lacks_names(self, caller: Caller, early: EarlyCall) -> bool:
        return any(self._may_yet_come(caller, reference) for reference in early.references)

    def _is_behind(self, caller: Caller, early: EarlyCall) -> bool:
        return any(one.is_ahead_of(early) for one in takewhile(lambda one: one is not early, self._early(caller)))

    def _early(self, caller: Caller) -> list[EarlyCall]:
        return self._early_calls.get(caller.scope, [])

    async def _wait_for_names(self, caller: Caller, early: EarlyCall, unknown: tuple[str, ...]) -> None:
        is_crowded = len(self._early(caller)) >= MOST_WAITING_FOR_NAMES
        if early not in self._early(caller):
            self._early_calls.setdefault(caller.scope, []).append(early)
        minted = tuple(token for token in unknown if is_minted(token))
        try:
            await self._recalling.recall(caller, minted)
            with anyio.move_on_after(0 if is_crowded else NAME_WAIT_S):
                while self._lacks_names(caller, early):
                    await self._arrival.wait()
            # only now: a call that is to bear the name comes before one of an earlier process that bore it
            await self._recalling.recall(caller, unknown)
            # those ahead may have begun to wait later; each of them has its own end
            while not is_crowded and self._is_behind(caller, early):
                await self._arrival.wait()
        finally:
            self._leave(caller, early)

    @contextmanager
    def keeping_place(
        self, caller: Caller, tool: CatalogTool, arguments: dict[str, Any] | None, token: str | None, key: CallKey
    ) -> Generator[EarlyCall]:
        """Keep later calls behind one of which it is not known yet whether it has come before.

        Raises:
            ArgumentFault: its arguments cannot be used as they are written.
        """
        early = replace(self._early_call(caller, tool, arguments, token), key=key)
        self._early_calls.setdefault(caller.scope, []).append(early)
        try:
            yield early
        finally:
            self._leave(caller, early)

    def _leave(self, caller: Caller, early: EarlyCall) -> None:
        if early not in self._early(caller):
            return
        self._early(caller).remove(early)
        if not self._early(caller):
            del self._early_calls[caller.scope]
        self._note_arrival()

    def _note_arrival(self) -> None:
        self._arrival.set()
        self._arrival = Signal()

    def _enter(self, caller: Caller, tool: CatalogTool, request: Request, early: EarlyCall) -> Future:
        is_known = tool.policy.labels_are_declared and request.references == early.references
        labels = early.declared if is_known else self._labels(tool, request.arguments, request.references)
        identity = self._new_token(caller, tool)
        call = Call(
            future=identity,
            token=early.token or identity,
            scope=caller.scope,
            server=tool.server,
            tool=tool.name,
            labels=labels,
            needs=frozenset(need.call.future for need in request.needs.values()),
        )
        return self._take_in(call, caller, tool, request, early)

    def _labels(
        self, tool: CatalogTool, arguments: dict[str, Any] | None, references: tuple[Reference, ...]
    ) -> tuple[Label, ...]:
        fixed = fixed_labels(tool.policy)
        if fixed is not None:
            return fixed
        opaque = {str(reference.at[0]) for reference in references}
        return labels_of(tool.policy, self._preparation.converted(tool, arguments or {}), opaque.__contains__)

    def _take_in(self, call: Call, caller: Caller, tool: CatalogTool, request: Request, early: EarlyCall) -> Future:
        future = Future(call, caller, tool, request, created_at=time.time(), is_named=early.token is not None)
        if early.key is not None:
            future.key, future.digest = early.key.name, early.key.digest
        self._table.add(future)
        self._runner.send(Submitted(call, time.monotonic()))
        self._note_arrival()
        return future

    def _new_token(self, caller: Caller, tool: CatalogTool) -> str:
        bits = UNGUESSABLE_BITS if caller.is_anonymous else KNOWN_CALLER_BITS
        while True:
            token = mint(_slug_of(tool.policy.tool), secrets.randbits(bits), bits)
            if not self._table.holds(token):
                return token
