"""One tool call: its rounds of input from the user, its cancellation, and how it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, cast

import anyio
from mcp.shared.dispatcher import ProgressFnT

from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.hooks import OnInput, OnStatus
from asyncfc_mcp.downstream.links.faults import how_large
from asyncfc_mcp.downstream.outcome import (
    DownstreamError,
    DownstreamLost,
    DownstreamUnavailable,
    InputRefused,
    MalformedResult,
    Outcome,
    ResultTooLarge,
)
from asyncfc_mcp.downstream.retrying import delay_s
from asyncfc_mcp.downstream.sending import CancelledWhileAsking, Connected, Live, Sender
from asyncfc_mcp.downstream.tasks.book import TaskBook
from asyncfc_mcp.downstream.tasks.call import TaskCall
from asyncfc_mcp.downstream.tasks.finishing import finish_task, is_task

_T = TypeVar("_T")

MAX_ROUNDS = 100
"""A server that asks for more input than that is in a loop."""


class Call:
    """A call of one tool."""

    def __init__(
        self,
        server: str,
        tool: str,
        connected: Connected,
        *,
        meta: dict[str, Any] | None = None,
        claims: Claims | None = None,
        owner: object = None,
        on_progress: ProgressFnT | None = None,
        on_input: OnInput | None = None,
        on_status: OnStatus | None = None,
        book: TaskBook | None = None,
        must_be_task: Callable[[], bool] = lambda: False,
        check: Callable[[], None] = lambda: None,
        max_result_bytes: int,
    ) -> None:
        self._server = server
        self._tool = tool
        self._meta = meta
        self._on_input = on_input
        self._on_status = on_status
        self._on_progress = on_progress
        self._owner = owner
        self._book = book or TaskBook()
        self._must_be_task = must_be_task
        self._connected = connected
        self._check = check
        self._was_taken = False
        self._max_result_bytes = max_result_bytes
        self._cancel_requested: CancelRequest | None = None
        self._new_sender = partial(Sender, server, tool, claims=claims, owner=owner)
        self._sender = self._new_sender(self._admitted, on_progress=on_progress)

    async def run(
        self,
        arguments: dict[str, Any] | None,
        cancel_requested: CancelRequest | None,
        *,
        input_responses: dict[str, Any] | None = None,
        request_state: str | None = None,
    ) -> Outcome:
        """Send it as soon as its server is connected, and wait for the answer."""
        params: dict[str, Any] = {"name": self._tool}
        if arguments is not None:
            params["arguments"] = arguments
        if self._meta is not None:
            params["_meta"] = self._meta
        self._cancel_requested = cancel_requested
        answers = _answers(input_responses, request_state)
        if cancel_requested is None:
            return await self._carry_out(params, answers)
        self._sender.is_cancelled = cancel_requested.is_set()
        with cancel_requested.heard_by(self._sender.cancel):
            return await self._carry_out(params, answers)

    async def _admitted(self) -> Live:
        live = await self._connected()
        if not self._was_taken:  # a further round is no new call
            self._check()
        return live

    async def _carry_out(self, params: dict[str, Any], answers: dict[str, Any]) -> Outcome:
        # Only a connected server has surely listed the tool, and said what it wants.
        live: Live | None = await self._sender.reach()
        if self._must_be_task():
            params = {**params, "task": {}}
        blank_rounds = 0
        for number in range(MAX_ROUNDS):
            try:
                result = await self._sender.send("tools/call", {**params, **answers}, live=live)
                live = None
            except DownstreamUnavailable:
                if number:  # it is only this round that was not sent
                    raise DownstreamLost(self._server, self._tool) from None
                raise
            self._was_taken = True
            if is_task(result):
                return self._outcome(await finish_task(result, self._task_call()))
            kind = result.get("resultType", "complete")
            if kind == "complete":
                return self._outcome(result)
            if kind != "input_required":
                raise MalformedResult(self._server, self._tool, f"a result of type {kind!r}", result)
            answers = await self._answers_to(result)
            blank_rounds = 0 if "inputResponses" in answers else blank_rounds + 1
            if blank_rounds > 1:
                # It wants to be asked again later, whenever that is.
                await self._between_rounds(partial(anyio.sleep, delay_s(blank_rounds - 1)))
        raise MalformedResult(self._server, self._tool, f"it asked for input {MAX_ROUNDS} times")

    def _outcome(self, result: dict[str, Any]) -> Outcome:
        outcome = Outcome(_without_type(result))
        # What was read is bounded by the transport, but not always by as little.
        if outcome.size_bytes > self._max_result_bytes:
            raise ResultTooLarge(self._server, self._tool, how_large(outcome.size_bytes, self._max_result_bytes))
        return outcome

    def _task_call(self) -> TaskCall:
        async def request(method: str, params: dict[str, Any]) -> dict[str, Any]:
            return await self._new_sender(self._connected).send(method, params, name=params.get("taskId"))

        return TaskCall(
            self._server,
            self._tool,
            request,
            self._book,
            self._on_input or self._refuse,
            on_status=self._on_status,
            on_progress=self._on_progress,
            cancel_requested=self._cancel_requested,
            owner=self._owner,
            progress_token=self._sender.last_id,
        )

    async def _refuse(self, _: object) -> dict[str, Any]:
        raise InputRefused(f"{self._tool!r} of server {self._server!r} asks for input, and there is nobody to ask")

    async def _answers_to(self, result: dict[str, Any]) -> dict[str, Any]:
        requests, state = result.get("inputRequests"), result.get("requestState")
        if not isinstance(requests, dict | None) or not isinstance(state, str | None):
            raise MalformedResult(self._server, self._tool, "it asks for input in no known form", result)
        asked = cast("dict[str, Any]", requests or {})
        if not asked:
            return _answers(None, state)
        on_input = self._on_input or self._refuse

        async def ask() -> dict[str, Any]:
            return await on_input(asked)

        return _answers(await self._between_rounds(ask), state)

    async def _between_rounds(self, action: Callable[[], Awaitable[_T]]) -> _T:
        given = await self._sender.unless_cancelled(action, self._cancelled_while_asking)
        if self._cancel_requested is not None and self._cancel_requested.is_set():
            raise self._cancelled_while_asking()  # both came at once
        return given

    def _cancelled_while_asking(self) -> DownstreamError:
        return CancelledWhileAsking(self._server, self._tool)


def _without_type(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "resultType"}


def _answers(input_responses: dict[str, Any] | None, request_state: str | None) -> dict[str, Any]:
    answers = {"inputResponses": input_responses, "requestState": request_state}
    return {name: value for name, value in answers.items() if value is not None}
