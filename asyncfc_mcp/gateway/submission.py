"""From what a client sent to a call that the scheduler knows: references found and resolved, labels, a token."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import anyio

from asyncfc_mcp.core.events import Call, Submitted
from asyncfc_mcp.core.future import SETTLED, Move
from asyncfc_mcp.core.label import Label, conflict
from asyncfc_mcp.core.reference import Reference, find_references, in_words, mentions_tokens
from asyncfc_mcp.core.token import mint, slug_of
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future, Request
from asyncfc_mcp.gateway.labelling import labels_of
from asyncfc_mcp.gateway.preparation import Preparation
from asyncfc_mcp.gateway.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable, NameTaken

NAME_WAIT_S = 0.1
"""How long a reference waits for the call that is to bear its name: calls sent side by side arrive in any order."""


class TooManyUnsettled(GatewayError):
    """The scope has as many unsettled futures as it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"not started: {limit} futures are unsettled already, which is the limit (max_unsettled). Await some with "
            "await_future, or stop some with cancel_future, then send this call again."
        )
        self.limit = limit


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

    def is_ahead_of(self, later: EarlyCall) -> bool:
        """Whether declared labels keep the later call behind this one, though this one is not taken in yet."""
        if any(reference.token == later.token for reference in self.references):
            return False
        return any(conflict(one, other) for one in self.declared for other in later.declared)


class Submission:
    """Takes calls in, in the order in which they come; it awaits only where a call has to wait to be understood."""

    def __init__(self, runner: Runner, table: FutureTable, preparation: Preparation, *, max_unsettled: int) -> None:
        self._runner = runner
        self._table = table
        self._preparation = preparation
        self._max_unsettled = max_unsettled
        self._arrival = anyio.Event()
        self._early_calls: dict[str, list[EarlyCall]] = {}
        """By scope, those that wait for names; in order of arrival."""
        self._room_made = anyio.Event()
        self._doors: dict[str, anyio.Lock] = {}
        """Of the scopes in which calls wait for room."""
        runner.listen(self._note_move)

    async def submit(
        self,
        caller: Caller,
        tool: CatalogTool,
        arguments: dict[str, Any] | None,
        token: str | None,
        *,
        meta: dict[str, Any] | None,
        input_responses: dict[str, Any] | None,
    ) -> Future:
        """Hand a call to the scheduler; it may run at once.

        `token` is the one that the client chose, if it did.

        Raises:
            ArgumentFault, UnknownToken, NameTaken, NameNeedsScope, TooManyUnsettled: it is not a call that can be
                taken.
        """
        if token is not None and caller.is_among_strangers:
            raise NameNeedsScope
        if token is not None and self._table.has_name(caller, token):
            bearer = self._table.find(caller, token)
            raise NameTaken(token, bearer.record.state if bearer is not None else None)
        early = self._early_call(caller, tool, arguments, token)
        if self._has_to_wait(caller, early):
            await self._wait_for_names(caller, early)
        request = self._request(caller, tool, arguments)
        if self._is_full(caller) or caller.scope in self._doors:
            await self._wait_for_room(caller)
            # a value that it refers to may have expired meanwhile
            request = self._request(caller, tool, arguments)
        request = replace(request, meta=meta, input_responses=input_responses)
        is_known = tool.policy.labels_are_declared and request.references == early.references
        labels = early.declared if is_known else self._labels(tool, arguments, request.references)
        return self._enter(caller, tool, request, labels, token)

    def _request(self, caller: Caller, tool: CatalogTool, arguments: dict[str, Any] | None) -> Request:
        references = self._references(caller, arguments)
        needs = {one.token: self._table.get(caller, one.token, in_words(one.at)) for one in references}
        request = Request(arguments, references, needs)
        if references:
            self._preparation.check_submitted(tool, request)
        return request

    async def wait_for_name(self, caller: Caller, token: str) -> None:
        """Wait until a call of the caller bears that name; bounded by whoever asks."""
        while not self._table.has_name(caller, token):
            await self._arrival.wait()

    def _references(self, caller: Caller, arguments: dict[str, Any] | None) -> tuple[Reference, ...]:
        if arguments is None or not mentions_tokens(arguments):
            return ()

        def exists(token: str) -> bool:
            return self._table.find(caller, token) is not None

        return find_references(arguments, exists=exists, embed=self._preparation.embed)

    def _may_yet_come(self, caller: Caller, reference: Reference) -> bool:
        # not `find`: the same name in another scope must not stand in for one that is on its way
        return not self._table.has_name(caller, reference.token)

    def _early_call(
        self, caller: Caller, tool: CatalogTool, arguments: dict[str, Any] | None, token: str | None
    ) -> EarlyCall:
        references = self._references(caller, arguments)
        declared = self._labels(tool, arguments, references) if tool.policy.labels_are_declared else ()
        return EarlyCall(token, references, declared)

    def _has_to_wait(self, caller: Caller, early: EarlyCall) -> bool:
        if any(self._may_yet_come(caller, reference) for reference in early.references):
            return True
        return any(one.is_ahead_of(early) for one in takewhile(lambda one: one is not early, self._early(caller)))

    def _early(self, caller: Caller) -> list[EarlyCall]:
        return self._early_calls.get(caller.scope, [])

    async def _wait_for_names(self, caller: Caller, early: EarlyCall) -> None:
        self._early_calls.setdefault(caller.scope, []).append(early)
        try:
            with anyio.move_on_after(NAME_WAIT_S):
                while self._has_to_wait(caller, early):
                    await self._arrival.wait()
        finally:
            self._early(caller).remove(early)
            if not self._early(caller):
                del self._early_calls[caller.scope]
            self._note_arrival()

    def _note_arrival(self) -> None:
        self._arrival.set()
        self._arrival = anyio.Event()

    async def _wait_for_room(self, caller: Caller) -> None:
        door = self._doors.setdefault(caller.scope, anyio.Lock())
        try:
            with anyio.move_on_after(caller.cap_s):
                # first come, first served, and only the first of a scope looks again when something settles
                async with door:
                    while self._is_full(caller):
                        await self._room_made.wait()
                return
        finally:
            if not door.locked():
                self._doors.pop(caller.scope, None)
        raise TooManyUnsettled(self._max_unsettled)

    def _is_full(self, caller: Caller) -> bool:
        return self._runner.scheduler.unsettled(caller.scope) >= self._max_unsettled

    def _note_move(self, move: Move, _: Future) -> None:
        if move.to_state in SETTLED and self._doors:
            self._room_made.set()
            self._room_made = anyio.Event()

    def _enter(
        self, caller: Caller, tool: CatalogTool, request: Request, labels: tuple[Label, ...], token: str | None
    ) -> Future:
        identity = self._new_token(caller, tool)
        call = Call(
            future=identity,
            token=token or identity,
            scope=caller.scope,
            server=tool.server,
            tool=tool.name,
            labels=labels,
            needs=frozenset(need.call.future for need in request.needs.values()),
        )
        return self._take_in(call, caller, tool, request, is_named=token is not None)

    def _labels(
        self, tool: CatalogTool, arguments: dict[str, Any] | None, references: tuple[Reference, ...]
    ) -> tuple[Label, ...]:
        opaque = {str(reference.at[0]) for reference in references}
        return labels_of(tool.policy, self._preparation.converted(tool, arguments or {}), opaque.__contains__)

    def _take_in(self, call: Call, caller: Caller, tool: CatalogTool, request: Request, *, is_named: bool) -> Future:
        future = Future(call, caller, tool, request, created_at=time.time(), is_named=is_named)
        self._table.add(future)
        self._runner.send(Submitted(call, time.monotonic()))
        self._note_arrival()
        return future

    def _new_token(self, caller: Caller, tool: CatalogTool) -> str:
        bits = 128 if caller.is_anonymous else 40
        while True:
            token = mint(slug_of(tool.policy.tool), secrets.randbits(bits), bits)
            if not self._table.holds(token):
                return token
