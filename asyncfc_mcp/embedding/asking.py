"""What servers ask of their user in the middle of a call, put to the program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import structlog
from mcp.client import ClientRequestContext
from mcp.client.session import ElicitationFnT
from mcp_types import ElicitRequestParams, ElicitResult
from pydantic import ValidationError

from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.outcome import InputRefused
from asyncfc_mcp.gateway.caller import Caller

Elicit = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Answers one question: from the `params` of `elicitation/create` to an `ElicitResult`, both as on the wire."""

_ELICITATION = "elicitation/create"

log = structlog.get_logger()


def claims_of(elicit: Elicit | None) -> Claims:
    """What servers are told of the program: whether it answers questions."""
    return Claims.of("modern", {"elicitation": {"form": {}, "url": {}}} if elicit is not None else {})


class ProgramRequester:
    """A wait of the program, in the course of which it can be asked."""

    def __init__(self, caller: Caller, elicit: Elicit) -> None:
        self.caller = caller
        self.shows_questions = False
        self._elicit = elicit

    async def progress(self, done: float, total: float | None, message: str | None) -> None:
        """It looks at `Future.progress` when it wants to know."""

    async def log(self, params: Mapping[str, Any]) -> None:
        """Nobody has asked for the messages of servers."""

    async def ask(self, method: str, params: Mapping[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        """Have the program answer.

        Raises:
            InputRefused: it takes too long, or the question is of a kind that it does not take.
        """
        if method != _ELICITATION:
            raise InputRefused(f"the program cannot answer {method}")
        with anyio.move_on_after(timeout_s):
            answer = await _answered(self._elicit, dict(params or {}))
            return answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        raise InputRefused(f"the program did not answer within {timeout_s:g} s")


def as_callback(elicit: Elicit | None) -> ElicitationFnT | None:
    """The same for questions that come in the course of a model's call."""
    if elicit is None:
        return None

    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG001
        return await _answered(elicit, params.model_dump(by_alias=True, mode="json", exclude_none=True))

    return answer


async def _answered(elicit: Elicit, question: dict[str, Any]) -> ElicitResult:
    """What the program answers: declined where it fails to, which must end neither the call nor the gateway."""
    try:
        answer = await elicit(question)
        return ElicitResult.model_validate(answer)
    except ValidationError:  # it quotes the answer, which may be secret
        log.error("question_declined", why="what `elicit` gave is no ElicitResult")  # noqa: TRY400
    except Exception:
        log.exception("question_declined", why="`elicit` raised")
    return ElicitResult(action="decline")
