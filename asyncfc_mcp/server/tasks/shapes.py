"""A future as a task of `io.modelcontextprotocol/tasks`: the same thing, seen by clients that know tasks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from asyncfc_mcp.core.future import SETTLED, FutureState, Move
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.gateway.questions.asking import Question
from asyncfc_mcp.gateway.words import wording
from asyncfc_mcp.gateway.words.imitations import disarmed
from asyncfc_mcp.server.results import settled_result

SHORTEST_POLL_S = 0.5
LONGEST_POLL_S = 5.0
POLLS_OF_ITS_AGE = 0.1
"""A task is to be looked at again after so much of its age: short ones are seen soon, and long ones cost little."""


class TaskShapes:
    """Says how futures stand, as tasks.

    Args:
        gateway: has the futures.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._moved_at: dict[str, float] = {}
        """When each unsettled future last moved, on the monotonic clock."""
        self._given: dict[str, str] = {}
        """The unsettled futures whose client holds them as tasks, with the scopes that they belong to."""
        gateway.runner.listen(self._on_move)

    def _on_move(self, move: Move, _: Future) -> None:
        if move.to_state in SETTLED:
            self._moved_at.pop(move.future, None)
            self._given.pop(move.future, None)
        else:
            self._moved_at[move.future] = move.at

    # Which futures are tasks

    def give(self, future: Future) -> dict[str, Any]:
        """The task that the client is handed instead of a result."""
        self._given[future.call.future] = future.caller.scope
        waits = self._gateway.why_it_waits(future, future.caller)
        return self._task(future, future.token, "working", wording.pending(future, waits))

    def is_given(self, future: Future) -> bool:
        """Whether a client holds it as a task that has not ended."""
        return future.call.future in self._given

    def given_in(self, scope: str) -> int:
        """How many tasks of a scope have not ended."""
        return sum(one == scope for one in self._given.values())

    # How they stand

    def detailed(self, caller: Caller, future: Future, task_id: str) -> dict[str, Any]:
        """All that there is to know of a task, under the id that the client gave."""
        state = future.record.state
        if state is FutureState.CANCELLED:
            said = wording.cancelled(future.token, future.tool_name, future.record.failure)
            return self._task(future, task_id, "cancelled", said)
        said = wording.state_in_words(future, self._gateway.why_it_waits(future, caller))
        if not future.record.is_settled:
            requests = self.input_requests(caller, future)
            if requests:
                return self._task(future, task_id, "input_required", said) | {"inputRequests": requests}
            return self._task(future, task_id, "working", said)
        if future.rpc_error is not None:
            error: dict[str, Any] = {"code": future.rpc_error.code, "message": disarmed(future.rpc_error.message)}
            if future.rpc_error.data is not None:
                error["data"] = future.rpc_error.data
            return self._task(future, task_id, "failed", error["message"]) | {"error": error}
        return self._task(future, task_id, "completed", said) | {"result": settled_result(future)}

    def input_requests(self, caller: Caller, future: Future) -> dict[str, Any]:
        """What its user is asked and has not answered, as far as this client says that it can answer."""
        return {
            task_key(question, key): request
            for question in self.questions(caller, future)
            for key, request in question.requests.items()
            if key not in question.responses
            and caller.claims.can_answer(str(request.get("method")), request.get("params"))
        }

    def questions(self, caller: Caller, future: Future) -> list[Question]:
        """The open questions that a task waits for: its own, and those of blockers that are not tasks themselves."""
        asking = self._asking(caller, future)
        return list(
            {question.identity: question for one in asking for question in self._gateway.questions.open(one)}.values()
        )

    def _asking(self, caller: Caller, future: Future) -> Iterator[Future]:
        for identity in self._gateway.runner.waited_for(caller, (future,), self._gateway.questions.asking):
            if identity == future.call.future or identity not in self._given:
                yield self._gateway.table.by_identity(identity)

    def _task(self, future: Future, task_id: str, status: str, message: str) -> dict[str, Any]:
        record = future.record
        now = time.monotonic()
        seen_at = record.settled_at if record.settled_at is not None else now
        age_s = seen_at - record.arrived_at
        moved_at = record.settled_at or self._moved_at.get(future.call.future) or record.started_at or record.arrived_at
        return {
            "taskId": task_id,
            "status": status,
            "statusMessage": message,
            "createdAt": _as_iso_8601(future.created_at),
            "lastUpdatedAt": _as_iso_8601(future.created_at + moved_at - record.arrived_at),
            # it counts from creation, but a value is kept for so long after it came: until then, what is sure by now
            "ttlMs": int((age_s + self._gateway.lifetimes.of(seen_at)) * 1000),
            "pollIntervalMs": int(min(max(SHORTEST_POLL_S, age_s * POLLS_OF_ITS_AGE), LONGEST_POLL_S) * 1000),
        }


def task_key(question: Question, key: str) -> str:
    """The key of an input request of a task: never used again, however often the server asks under the same one."""
    return f"{question.identity}.{key}"


def _as_iso_8601(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
