"""Tasks of the extension `io.modelcontextprotocol/tasks` (SEP-2663): the server chooses, and polls carry everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import anyio
from mcp_types import INTERNAL_ERROR

from asyncfc_mcp.downstream.outcome import DownstreamError, MalformedResult, RpcError
from asyncfc_mcp.downstream.retrying import delay_s
from asyncfc_mcp.downstream.tasks.call import TaskCall
from asyncfc_mcp.downstream.tasks.following import FollowedTask

_LISTEN_FROM_S = 1.0
"""A stream of its own is worth while for a task that is asked about less often than this."""
_ACKNOWLEDGEMENT_LIMIT_S = 10.0


class Task2026(FollowedTask):
    """One that the server made out of a call by itself."""

    INTERVAL_KEY: ClassVar[str] = "pollIntervalMs"

    def __init__(self, call: TaskCall, task: Mapping[str, Any]) -> None:
        super().__init__(call, task)
        self._asked: set[str] = set()

    async def _result(self) -> dict[str, Any]:
        task = self._task
        key = "result" if task["status"] == "completed" else "error"
        if not isinstance(task.get(key), dict):
            # What created the task, or told of its end, need not say it all.
            task = await self._poll()
        given = task.get(key)
        if not isinstance(given, dict):
            raise MalformedResult(self.call.server, self.call.tool, f"a {task['status']} task without {key!r}")
        if key == "error":
            raise _rpc_error(cast("dict[str, Any]", given))
        return cast("dict[str, Any]", given)

    def _serve_input(self) -> None:
        requests = self._task.get("inputRequests")
        if not isinstance(requests, dict):
            return
        new = {key: value for key, value in cast("dict[str, Any]", requests).items() if key not in self._asked}
        if new:
            self._asked.update(new)
            self._helpers.start_soon(self._answer, new)

    async def _answer(self, requests: Mapping[str, Any]) -> None:
        with anyio.CancelScope() as question:
            self._questions.add(question)
            try:
                responses = await self.call.on_input(requests)
                await self._ask("tasks/update", inputResponses=responses)
            except DownstreamError as error:
                if not self.is_cancel_requested:
                    self._fail(error)
        self._questions.discard(question)

    def _start_listening(self) -> None:
        if self._interval_s >= _LISTEN_FROM_S:
            self._helpers.start_soon(self._listen)

    async def _listen(self) -> None:
        attempt = 0
        while self.call.book.sends_news:
            self.acknowledged = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._expect_acknowledgement, tasks.cancel_scope)
                try:
                    await self.call.request("subscriptions/listen", {"notifications": {"taskIds": [self.task_id]}})
                except RpcError:
                    self.call.book.sends_news = False
                except DownstreamError:
                    pass  # the polls bring the connection back
                tasks.cancel_scope.cancel()
            attempt += 1
            await anyio.sleep(delay_s(attempt))

    async def _expect_acknowledgement(self, listening: anyio.CancelScope) -> None:
        with anyio.move_on_after(_ACKNOWLEDGEMENT_LIMIT_S):
            await self.acknowledged.wait()
            # What changed before the stream was open was told to nobody.
            self._look_now()
            return
        self.call.book.sends_news = False
        listening.cancel()


def _rpc_error(error: Mapping[str, Any]) -> RpcError:
    code = error.get("code")
    return RpcError(
        code if isinstance(code, int) else INTERNAL_ERROR,
        str(error.get("message") or "the task failed and does not say why"),
        error.get("data"),
    )
