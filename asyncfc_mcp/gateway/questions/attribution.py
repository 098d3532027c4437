"""Which call a server means when it asks or tells something outside of an answer.

A request of a legacy server does not say which call it belongs to. One running call, or one request that is passed on
without a call: that one. Several of one scope: its user is asked. Several scopes: nobody may be asked, since the answer
could be a stranger's.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST

from asyncfc_mcp.core.future import AT_WORK
from asyncfc_mcp.downstream.outcome import InputRefused
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.questions.asking import Questions
from asyncfc_mcp.gateway.requester import ClientGone, Requester

Notified = Callable[[str, Sequence[Future], str, Mapping[str, Any] | None], None]
"""Takes a server's key, the calls that its notification may belong to, the method and the parameters."""

MOST_ON_THEIR_WAY = 4096
"""Log messages that clients have not taken yet; what comes then is dropped."""

AnswerOutside = Callable[[str, str, Mapping[str, Any] | None], Awaitable[dict[str, Any]]]
"""Answers what a server asks while it runs no call: its key, the method and the parameters."""

log = structlog.get_logger()


class Attribution:
    """Hands on what servers ask and tell; see `downstream.hooks.Hooks`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._listeners: list[Notified] = []
        self._tasks: TaskGroup | None = None
        self._on_their_way = 0
        self.answer_outside: AnswerOutside | None = None

    def own_tasks(self, tasks: TaskGroup) -> None:
        """Where messages are passed on to requests that wait."""
        self._tasks = tasks

    def listen(self, listener: Notified) -> None:
        """Have notifications handed on that no waiting request takes; a listener must neither await nor raise."""
        self._listeners.append(listener)

    async def answer(
        self, server: str, owners: Sequence[object], method: str, params: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Have a user answer a legacy server.

        Raises:
            MCPError: nobody can be asked, or nobody answered.
        """
        asking = _running(owners)
        passed_on = [one for one in owners if isinstance(one, Requester)]
        # a call that was cancelled or timed out may be the one that asks, as long as its server has not ended it
        calls = [one for one in owners if isinstance(one, Future)]
        if asking and len(_clients(calls, passed_on)) > 1:
            raise _refused(f"{method} cannot be passed on: calls of several clients are running and it names none")
        try:
            if asking:
                key = f"{method.partition('/')[0]}_{secrets.token_hex(4)}"
                responses = await self._questions.ask(asking, {key: {"method": method, "params": params or {}}})
                return responses[key]
            if len(owners) == 1 and isinstance(owners[0], Requester):
                return await owners[0].ask(method, params, self._questions.timeout_s)
            if self.answer_outside is not None and len(passed_on) == len(owners):
                return await self.answer_outside(server, method, params)
        except (InputRefused, ClientGone) as refusal:
            log.info("server_request_refused", server=server, method=method, why=str(refusal))
            raise _refused(str(refusal)) from None
        raise _refused(f"{method} cannot be passed on: it belongs to no running call")

    def notified(self, server: str, owners: Sequence[object], method: str, params: dict[str, Any] | None) -> None:
        """Pass a notification on to a request that waits for its call, or to the listeners."""
        futures = _running(owners)
        # requests that are passed on without a call, such as the reading of a resource, own themselves
        passed_on = [one for one in owners if isinstance(one, Requester)]
        waiting = [one for future in futures for one in future.listeners] + passed_on
        clients = _clients(futures, passed_on)
        if method == "notifications/message":
            if waiting and len(clients) == 1 and self._tasks is not None:
                if self._on_their_way < MOST_ON_THEIR_WAY:
                    self._on_their_way += 1
                    self._tasks.start_soon(self._pass_on, waiting[0], params or {})
                return
            are_strangers = len(clients) > 1 and any(future.caller.is_anonymous for future in futures)
            if passed_on or are_strangers:
                return  # nobody can say whose it is
        for hand_on in self._listeners:
            hand_on(server, futures, method, params)

    async def _pass_on(self, requester: Requester, params: Mapping[str, Any]) -> None:
        try:
            await requester.log(params)
        except Exception:  # one message that cannot be passed on must not end the gateway
            log.exception("log_message_lost")
        finally:
            self._on_their_way -= 1


def _clients(futures: Sequence[Future], passed_on: Sequence[Requester]) -> set[object]:
    """Those who may be meant; each call of a stranger counts as one of its own."""
    return {one if one.caller.is_among_strangers else one.caller.scope for one in (*futures, *passed_on)}


def _running(owners: Sequence[object]) -> list[Future]:
    return [one for one in owners if isinstance(one, Future) and one.record.state in AT_WORK]


def _refused(fact: str) -> MCPError:
    return MCPError(INVALID_REQUEST, fact)
