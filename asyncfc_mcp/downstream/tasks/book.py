"""Which tasks of one server are being followed, so that what the server says of a task reaches its follower."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from mcp_types import RequestId

if TYPE_CHECKING:
    from asyncfc_mcp.downstream.tasks.following import FollowedTask

RELATED_TASK = "io.modelcontextprotocol/related-task"
_NEWS = frozenset({"notifications/tasks", "notifications/tasks/status"})


class TaskBook:
    """One for each connection; it outlives the sessions of it, as tasks do."""

    def __init__(self) -> None:
        self.sends_news = True
        """Whether the server is thought to tell of its tasks by itself on a `subscriptions/listen` stream."""
        self._followed: dict[str, FollowedTask] = {}
        self._by_progress: dict[RequestId, FollowedTask] = {}

    @property
    def is_empty(self) -> bool:
        """Whether the server is at no task of ours."""
        return not self._followed

    def start_session(self) -> None:
        """Request ids begin anew, and with them the tokens of progress."""
        self._by_progress.clear()

    @contextmanager
    def following(self, task: FollowedTask) -> Generator[None]:
        """While this lasts, the task gets what the server says of it."""
        token = task.call.progress_token
        self._followed[task.task_id] = task
        if token is not None:
            self._by_progress[token] = task
        try:
            yield
        finally:
            del self._followed[task.task_id]
            if token is not None and self._by_progress.get(token) is task:
                del self._by_progress[token]

    def take(self, method: str, params: Mapping[str, Any] | None) -> bool:
        """Hand on a notification, in the order of its arrival; whether it is nobody else's business."""
        given = params or {}
        if method in _NEWS:
            if task := self._by_id(given.get("taskId")):
                task.take_news(given)
            return True
        if method == "notifications/progress":
            return self._take_progress(given)
        if method == "notifications/subscriptions/acknowledged":
            self._take_acknowledgement(given.get("notifications"))
        return False

    def owner_of(self, params: Mapping[str, Any] | None) -> object | None:
        """The owner of the call whose task a request of the server names as related, if it names one."""
        meta = (params or {}).get("_meta")
        related = cast("dict[str, Any]", meta).get(RELATED_TASK) if isinstance(meta, dict) else None
        task_id = cast("dict[str, Any]", related).get("taskId") if isinstance(related, dict) else None
        task = self._by_id(task_id)
        return task.call.owner if task else None

    def _by_id(self, task_id: object) -> FollowedTask | None:
        return self._followed.get(task_id) if isinstance(task_id, str) else None

    def _take_progress(self, params: Mapping[str, Any]) -> bool:
        token = params.get("progressToken")
        task = self._by_progress.get(token) if isinstance(token, str | int) else None
        if task is None:
            return False
        task.take_progress(params)
        return True

    def _take_acknowledgement(self, agreed: object) -> None:
        task_ids = cast("dict[str, Any]", agreed).get("taskIds") if isinstance(agreed, dict) else None
        for task_id in cast("list[object]", task_ids) if isinstance(task_ids, list) else ():
            if task := self._by_id(task_id):
                task.acknowledged.set()
