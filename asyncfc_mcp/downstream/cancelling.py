"""The wish to cancel a call, which may come at any time."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio


class CancelRequest:
    """Set once, by whoever wants a call cancelled; heard by whatever the call is doing then."""

    __slots__ = ("_is_set", "_listeners")

    def __init__(self) -> None:
        self._is_set = False
        self._listeners: list[Callable[[], None]] = []

    def set(self) -> None:
        """Ask for it."""
        if self._is_set:
            return
        self._is_set = True
        for listener in list(self._listeners):
            listener()

    def is_set(self) -> bool:
        """Whether it has been asked for."""
        return self._is_set

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Generator[None]:
        """Have `listener` called when it is asked for; not when that has happened before."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def wait(self) -> None:
        """Wait until it is asked for."""
        asked = anyio.Event()
        with self.heard_by(asked.set):
            if not self._is_set:
                await asked.wait()
