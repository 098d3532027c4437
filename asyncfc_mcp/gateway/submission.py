"""From what a client sent to a call that the scheduler knows: references found and resolved, labels, a token."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import anyio

from asyncfc_mcp.core.events import Call, Submitted
from asyncfc_mcp.core.reference import Reference, find_references, in_words, mentions_tokens
from asyncfc_mcp.core.token import is_mistyped, mint, slug_of
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future, Request, first_settled
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


class Submission:
    """Takes calls in, in the order in which they come; it awaits only where a call has to wait to be understood."""

    def __init__(self, runner: Runner, table: FutureTable, preparation: Preparation, *, max_unsettled: int) -> None:
        self._runner = runner
        self._table = table
        self._preparation = preparation
        self._max_unsettled = max_unsettled
        self._arrival = anyio.Event()

    async def submit(
        self, caller: Caller, tool: CatalogTool, arguments: dict[str, Any] | None, token: str | None, meta: Any
    ) -> Future:
        """Hand a call to the scheduler; it may run at once.

        `token` is the one that the client chose, if it did.

        Raises:
            ArgumentFault, UnknownToken, NameTaken, TooManyUnsettled: it is not a call that can be taken.
        """
        if token is not None and self._table.has_name(caller, token):
            raise NameTaken(token)
        references = self._references(caller, arguments)
        if any(self._may_yet_come(caller, reference) for reference in references):
            await self._wait_for_names(caller, references)
            references = self._references(caller, arguments)
        needs = {one.token: self._table.get(caller, one.token, in_words(one.at)) for one in references}
        request = Request(arguments, references, needs, meta)
        if references:
            self._preparation.check_submitted(tool, request)
        if self._runner.scheduler.unsettled(caller.scope) >= self._max_unsettled:
            await self._wait_for_room(caller)
        return self._enter(caller, tool, request, token)

    def _references(self, caller: Caller, arguments: dict[str, Any] | None) -> tuple[Reference, ...]:
        if arguments is None or not mentions_tokens(arguments):
            return ()

        def exists(token: str) -> bool:
            return self._table.find(caller, token) is not None

        return find_references(arguments, exists=exists, embed=self._preparation.embed)

    def _may_yet_come(self, caller: Caller, reference: Reference) -> bool:
        return self._table.find(caller, reference.token) is None and not is_mistyped(reference.token)

    async def _wait_for_names(self, caller: Caller, references: tuple[Reference, ...]) -> None:
        with anyio.move_on_after(NAME_WAIT_S):
            while any(self._may_yet_come(caller, reference) for reference in references):
                await self._arrival.wait()

    async def _wait_for_room(self, caller: Caller) -> None:
        with anyio.move_on_after(caller.cap_s):
            while self._runner.scheduler.unsettled(caller.scope) >= self._max_unsettled:
                await first_settled(self._unsettled(caller))
            return
        raise TooManyUnsettled(self._max_unsettled)

    def _unsettled(self, caller: Caller) -> Iterator[Future]:
        return (one for one in self._table if one.caller.scope == caller.scope and not one.record.is_settled)

    def _enter(self, caller: Caller, tool: CatalogTool, request: Request, token: str | None) -> Future:
        opaque = {str(reference.at[0]) for reference in request.references}
        labels = labels_of(tool.policy, request.arguments or {}, opaque.__contains__)
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

    def _take_in(self, call: Call, caller: Caller, tool: CatalogTool, request: Request, *, is_named: bool) -> Future:
        future = Future(call, caller, tool, request, created_at=time.time(), is_named=is_named)
        self._table.add(future)
        self._runner.send(Submitted(call, time.monotonic()))
        self._arrival.set()
        self._arrival = anyio.Event()
        return future

    def _new_token(self, caller: Caller, tool: CatalogTool) -> str:
        bits = 128 if caller.is_anonymous else 40
        while True:
            token = mint(slug_of(tool.policy.tool), secrets.randbits(bits), bits)
            if not self._table.holds(token):
                return token
