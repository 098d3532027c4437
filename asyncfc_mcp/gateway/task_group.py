"""A task group for what begins with each call: anyio's takes as long to begin a task as the scheduler does for a call.

Most of that are the handle and the event that anyio makes for each task, which nobody here asks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVarTuple, Unpack

import anyio

_Args = TypeVarTuple("_Args")


class TaskGroup:
    """Owns tasks. Leaving it cancels them as anyio does, so what is shielded comes to its end."""

    def __init__(self) -> None:
        self._tasks = asyncio.TaskGroup()
        self._scopes: set[anyio.CancelScope] = set()
        self._is_ending = False

    @property
    def has_ended(self) -> bool:
        """Whether nothing more can begin: it is being left, and none of its tasks is at work any more."""
        return self._is_ending and not self._scopes

    def start(self, work: Callable[[Unpack[_Args]], Coroutine[Any, Any, None]], *args: *_Args) -> anyio.CancelScope:
        """Begin a task; what cancels it.

        Raises:
            RuntimeError: the group has ended, or ends because one of its tasks broke.
        """
        scope = anyio.CancelScope()
        if self._is_ending:
            scope.cancel()
        self._scopes.add(scope)
        run = self._run(scope, work, *args)
        try:
            self._tasks.create_task(run)
        except RuntimeError:
            run.close()  # else Python complains that nobody has awaited it
            self._scopes.discard(scope)
            raise
        return scope

    async def _run(
        self,
        scope: anyio.CancelScope,
        work: Callable[[Unpack[_Args]], Coroutine[Any, Any, None]],
        *args: *_Args,
    ) -> None:
        try:
            with scope:
                await work(*args)
        finally:
            self._scopes.discard(scope)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ending = True
        for scope in self._scopes:
            scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._tasks.__aexit__(None, None, None)
