"""Tasks of revision 2025-11-25: the caller asks for one, and `tasks/result` gives its end.

While a task waits for input, the server sends its requests beside a pending `tasks/result`; the connection's hooks
answer them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from asyncfc_mcp.downstream.outcome import DownstreamError, RpcError
from asyncfc_mcp.downstream.tasks.book import RELATED_TASK
from asyncfc_mcp.downstream.tasks.call import TaskCall
from asyncfc_mcp.downstream.tasks.following import FollowedTask


class Task2025(FollowedTask):
    """One that was asked for with `task` among the parameters of the call."""

    INTERVAL_KEY: ClassVar[str] = "pollInterval"

    def __init__(self, call: TaskCall, task: Mapping[str, Any]) -> None:
        super().__init__(call, task)
        self._early_result: dict[str, Any] | None = None
        self._is_result_asked = False

    def _start_listening(self) -> None:
        """Nothing to do: its notifications come unasked, if at all."""

    def _serve_input(self) -> None:
        if not self._is_result_asked:
            self._is_result_asked = True
            self._helpers.start_soon(self._wait_for_result)

    async def _wait_for_result(self) -> None:
        try:
            self._early_result = await self._ask("tasks/result")
        except DownstreamError:
            # Whatever it means: the next poll knows whether this was its end.
            self._is_result_asked = False
        else:
            self.take_news({**self._task, "status": "completed"})

    async def _result(self) -> dict[str, Any]:
        try:
            return _without_relation(self._early_result or await self._ask("tasks/result"))
        except RpcError as error:
            raise self._meaning(error) from None

    def _meaning(self, error: RpcError) -> RpcError:
        """The error of the call; of servers that only say that there is no result, with why the task failed."""
        why = self.status_text
        if why is None or why in error.message or error.code not in (INVALID_PARAMS, INTERNAL_ERROR):
            return error
        return RpcError(error.code, f"{why}: {error.message}", error.data)


def _without_relation(result: dict[str, Any]) -> dict[str, Any]:
    """The result without the name of the task, which is known to us alone."""
    meta = result.get("_meta")
    if not isinstance(meta, dict) or RELATED_TASK not in meta:
        return result
    kept = {key: value for key, value in cast("dict[str, Any]", meta).items() if key != RELATED_TASK}
    rest = {key: value for key, value in result.items() if key != "_meta"}
    return {**rest, "_meta": kept} if kept else rest
