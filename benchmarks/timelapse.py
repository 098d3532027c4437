"""A time-lapse: an event loop whose clock skips idle time and counts work in full.

When nothing is ready and no worker thread is busy, the clock jumps to the next timer where another loop would wait for
it. Work counts by the processor time of the loop's thread, so that other processes on the machine do not slow the
clock; the time that a worker thread is waited for counts as it passes. `time.monotonic` reads this clock while the loop
runs. It is for what happens inside one process: pipes and sockets are looked at, but never waited for.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, TypeVar

import anyio.to_thread

_Result = TypeVar("_Result")
_real_monotonic = time.monotonic

_FOR_EVER_S = 24 * 3600.0
"""The longest that asyncio ever asks to wait; it cuts a timer at infinity to this."""


class NothingToWaitFor(RuntimeError):
    """Every task waits, no timer runs and no thread is busy: the program would hang for ever."""

    def __init__(self) -> None:
        super().__init__("every task waits for another one; nothing can ever happen again")


class Clock:
    """Seconds that have passed in the time-lapse."""

    def __init__(self) -> None:
        self._work = time.pthread_getcpuclockid(get_ident())
        self._starts_at = _real_monotonic() - time.clock_gettime(self._work)
        self._skipped_s = 0.0

    def now(self) -> float:
        """In seconds, on a scale of its own; from any thread."""
        return self._starts_at + self._skipped_s + time.clock_gettime(self._work)

    def skip(self, seconds: float) -> None:
        """Let time pass without work."""
        self._skipped_s += seconds


class _Selector(selectors.DefaultSelector):
    """Looks at what is ready, and has time pass by the clock instead of waiting."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.busy_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.busy_threads:
            began_at = _real_monotonic()
            ready = super().select(timeout)
            self._clock.skip(_real_monotonic() - began_at)
            return ready
        if timeout is None or timeout >= _FOR_EVER_S:
            raise NothingToWaitFor
        self._clock.skip(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """Knows which of its threads are busy."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quick = _Selector(clock)
        super().__init__(self._quick)

    def time(self) -> float:
        return self._clock.now()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        self._quick.busy_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: object) -> None:
        self._quick.busy_threads -= 1

    async def shutdown_default_executor(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        await self.run_thread(super().shutdown_default_executor)

    async def run_thread(self, run_sync: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        self._quick.busy_threads += 1
        try:
            return await run_sync(*args, **options)
        finally:
            self._quick.busy_threads -= 1


def run(main: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run a program in a time-lapse of its own.

    Raises:
        NothingToWaitFor: it hangs.
    """
    clock = Clock()
    with asyncio.Runner(loop_factory=lambda: _Loop(clock)) as runner, _clock_in_force(runner, clock):
        return runner.run(main())


@contextmanager
def _clock_in_force(runner: asyncio.Runner, clock: Clock) -> Generator[None]:
    loop, run_sync = runner.get_loop(), anyio.to_thread.run_sync
    assert isinstance(loop, _Loop)

    async def counted(*args: Any, **options: Any) -> Any:
        return await loop.run_thread(run_sync, *args, **options)

    time.monotonic, anyio.to_thread.run_sync = clock.now, counted
    try:
        yield
    finally:
        time.monotonic, anyio.to_thread.run_sync = _real_monotonic, run_sync
