"""What is measured of an open route in one round: each measure gives figures by name, of this round alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
from mcp_types import CallToolResult

from benchmarks.common import first_text, token_of
from benchmarks.overhead.processes import usage
from benchmarks.overhead.routes import Opened
from benchmarks.overhead.server import BLOB, ECHO, FINISH

TEXT = "hello"
WAIT_S = 25.0
CALL_LIMIT_S = 30.0
FINISH_S = 0.02
LONGEST_FINISH_S = 1.0
"""What a call takes at the most that is to get a token: held up for longer than it takes, the machine has its value."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each is measured in a round; a slow route stops at the limit with what it has by then."""

    echoes: int
    load: int
    blobs: int
    finishes: int
    lists: int
    limit_s: float
    finish_s: float = FINISH_S


FULL = Size(echoes=200, load=320, blobs=20, finishes=20, lists=10, limit_s=4)
QUICK = Size(echoes=10, load=64, blobs=1, finishes=2, lists=1, limit_s=1)

COUNTS = (16, 64)
BLOBS = {"1 KB": 1024, "100 KB": 100 * 1024, "1 MB": 2**20}

Figures = dict[str, float]
Measure = Callable[[Opened, Size], Awaitable[Figures]]


class WrongAnswer(RuntimeError):
    """A route gave back something else than the server said."""

    def __init__(self, route: str, text: str) -> None:
        super().__init__(f"{route} answered {text[:200]!r} to a call whose result it should have passed on")


async def _call(opened: Opened, tool: str, **arguments: object) -> CallToolResult:
    with anyio.fail_after(CALL_LIMIT_S):
        return await opened.client.call_tool(opened.tool_prefix + tool, arguments)


async def _timed_ms(opened: Opened, tool: str, expected: str, **arguments: object) -> float:
    started = time.perf_counter()
    result = await _call(opened, tool, **arguments)
    took_ms = (time.perf_counter() - started) * 1000
    if first_text(result) != expected:
        raise WrongAnswer(opened.route.name, str(result))
    return took_ms


async def _repeated(count: int, limit_s: float, once: Callable[[], Awaitable[float]]) -> list[float]:
    """As many as were asked for, or as fit into the limit; at least one."""
    times: list[float] = []
    end = time.perf_counter() + limit_s
    while len(times) < count and (not times or time.perf_counter() < end):
        times.append(await once())
    return times


@dataclass
class Echoes:
    """Calls one after another on one route: how long each takes, and what they cost the processor."""

    times_ms: list[float] = field(default_factory=list[float])
    took_s: float = 0.0
    cpu_s: float = 0.0

    async def echo(self, opened: Opened, size: Size) -> Figures:
        """Some more of them; the figures of all so far."""
        if opened.route.is_async:
            self.times_ms += await _repeated(size.finishes, size.limit_s, lambda: _token_ms(opened, size.finish_s))
            return {"token p50": statistics.median(self.times_ms)}
        before = usage(opened.process)
        started = time.perf_counter()
        self.times_ms += await _repeated(size.echoes, size.limit_s, lambda: _timed_ms(opened, ECHO, TEXT, text=TEXT))
        self.took_s += time.perf_counter() - started
        self.cpu_s += usage(opened.process).cpu_s - before.cpu_s
        count = len(self.times_ms)
        figures = {
            "echo p50": statistics.median(self.times_ms),
            "echo p99": _p99(self.times_ms),
            "calls/s at 1": count / self.took_s,
        }
        return figures | ({"cpu per call": self.cpu_s / count * 1000} if opened.process else {})


async def echo(opened: Opened, size: Size) -> Figures:
    """All echoes of a round at once."""
    return await Echoes().echo(opened, size)


def _p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, len(times) * 99 // 100)]


async def _token_ms(opened: Opened, seconds: float) -> float:
    """Until the token of a call that takes its time is in hand: an echo would be back before its token may leave.

    Its future is awaited off the clock, so that nothing is attached to the next answer.
    """
    token, took_ms = await _token(opened, seconds)
    await _awaited(opened, token)
    return took_ms


async def _token(opened: Opened, seconds: float) -> tuple[str, float]:
    """The token of a call that takes its time, and how many ms it took; a longer call where the value came first."""
    while True:
        started = time.perf_counter()
        result = await _call(opened, FINISH, seconds=seconds)
        took_ms = (time.perf_counter() - started) * 1000
        if "asyncfc/future" in (result.meta or {}) or seconds >= LONGEST_FINISH_S:
            return token_of(result), took_ms
        seconds = max(2 * seconds, FINISH_S)


async def _awaited(opened: Opened, token: str) -> CallToolResult:
    with anyio.fail_after(CALL_LIMIT_S):
        return await opened.client.call_tool("await_future", {"futures": [token], "timeout_s": WAIT_S})


async def load(opened: Opened, size: Size) -> Figures:
    """Calls a second while so many are always on their way."""
    if opened.route.is_async:
        return {}
    return {f"calls/s at {count}": await _rate(opened, size, count) for count in COUNTS}


async def _rate(opened: Opened, size: Size, concurrent: int) -> float:
    left, done = size.load, 0
    started = time.perf_counter()

    async def worker() -> None:
        nonlocal left, done
        while left > 0 and time.perf_counter() - started < size.limit_s:
            left -= 1
            await _timed_ms(opened, ECHO, TEXT, text=TEXT)
            done += 1

    async with anyio.create_task_group() as workers:
        for _ in range(concurrent):
            workers.start_soon(worker)
    return done / (time.perf_counter() - started)


async def sizes(opened: Opened, size: Size) -> Figures:
    """Results that are larger than an echo."""
    if opened.route.is_async:
        return {}
    figures: Figures = {}
    for name, length in BLOBS.items():
        text = "x" * length

        async def once(length: int = length, text: str = text) -> float:
            return await _timed_ms(opened, BLOB, text, size=length)

        figures[f"result of {name} p50"] = statistics.median(await _repeated(size.blobs, size.limit_s, once))
    return figures


async def wake(opened: Opened, size: Size) -> Figures:
    """From the end of the work in the server until the client has the value."""
    late_ms = await _repeated(size.finishes, size.limit_s, lambda: _late_ms(opened, size.finish_s))
    return {"wake-up p50": statistics.median(late_ms)}


async def _late_ms(opened: Opened, seconds: float) -> float:
    if opened.route.is_async:
        token, _ = await _token(opened, seconds)
        result = await _awaited(opened, token)
    else:
        result = await _call(opened, FINISH, seconds=seconds)
    # The server's clock is this machine's own.
    return (time.time_ns() - int(first_text(result))) / 1e6


async def listing(opened: Opened, size: Size) -> Figures:
    """`tools/list` of whatever the route's server has, never from the client's cache."""

    async def once() -> float:
        started = time.perf_counter()
        await opened.client.list_tools(cache_mode="bypass")
        return (time.perf_counter() - started) * 1000

    return {"tools/list p50": statistics.median(await _repeated(size.lists, size.limit_s, once))}


MEASURES: dict[str, Measure] = {"echo": echo, "load": load, "sizes": sizes, "wake": wake}
