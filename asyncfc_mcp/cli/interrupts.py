"""Ctrl-C while a command has servers running: heard once, so that all of them are ended in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import anyio

_Result = TypeVar("_Result")


class Interrupts:
    """What the first Ctrl-C ends: all that runs, or as much of it as was said last. A second one changes nothing."""

    def __init__(self) -> None:
        self._scopes: list[anyio.CancelScope] = []

    @contextmanager
    def cancelling(self, scope: anyio.CancelScope) -> Generator[None]:
        """Meanwhile Ctrl-C ends no more than that."""
        self._scopes.append(scope)
        try:
            yield
        finally:
            self._scopes.remove(scope)

    def cancel(self) -> None:
        """Cancel what is to be ended, if that has not come to its end by now."""
        if self._scopes:
            self._scopes[-1].cancel()


def run_interruptible(function: Callable[[], Awaitable[_Result]], interrupts: Interrupts | None = None) -> _Result:
    """Run it to its end, or to that of its cancellation by Ctrl-C.

    Raises:
        KeyboardInterrupt: all of it was interrupted, and has ended.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # whoever started us wants it otherwise
        return anyio.run(function)
    heard = interrupts or Interrupts()
    results: list[_Result] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            # A further one would break the loop while it ends the servers, which takes about a second; and then
            # nothing is left to do but to say so.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            loop.call_soon_threadsafe(heard.cancel)

        with anyio.CancelScope() as everything, heard.cancelling(everything):
            signal.signal(signal.SIGINT, interrupt)
            results.append(await function())

    try:
        anyio.run(run)
    finally:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if not results:
        raise KeyboardInterrupt
    return results[0]
