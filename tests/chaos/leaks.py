"""Thousands of calls through one gateway, and what it holds after them: tasks, processes, handles, memory.

A fifth of the calls each are answered inline, leave tokens that are awaited, fail, are cancelled and time out. After
each stage everything settles and is forgotten, and then the gateway should hold what it held before.
"""

from __future__ import annotations

import itertools
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import anyio
import click

from asyncfc_mcp.telemetry.timeline import MOST_SPANS
from tests.bounds import bound_s
from tests.chaos.gateways import TOKEN, Gateway
from tests.chaos.history import History
from tests.chaos.plan import Plan
from tests.chaos.wire import Json, Web
from tests.chaos.world import World

STAGES = (2_000, 10_000)
"""Calls made in all when it is looked at; what was used to warm up is not counted."""
WARM_UP = MOST_SPANS + 100
"""The time-line is full by then."""
AT_ONCE = 8
TTL_S = 4.0
MORE_TASKS, MORE_HANDLES, MORE_THREADS = 4, 6, 4
MORE_MEMORY = 0.05
FEW_FUTURES = 3
"""The last ones are still named by variables of whatever ran last."""
REST_LIMIT_S = 45.0
SETTINGS: dict[str, Any] = {"ttl_s": TTL_S, "timeout_s": 0.3, "cancel_grace_s": 0.3, "inline_wait_s": 2}

Request = Callable[[str, Json], Awaitable[Json]]


async def measure(kind: Literal["stdio", "http"], stages: tuple[int, ...], folder: Path) -> list[dict[str, Any]]:
    """What the gateway holds before, and after each stage."""
    history = History(folder / "events.jsonl")
    world = World(Plan(folder, "leaks", has_real_servers=False, settings=SETTINGS), history)
    gateway = world.window if kind == "stdio" else world.network
    web = Web("leaks", f"http://127.0.0.1:{gateway.port}/mcp", TOKEN, is_modern=True) if kind == "http" else None
    found: list[dict[str, Any]] = []
    async with world.running([gateway]):
        with anyio.fail_after(bound_s(90)):
            await gateway.up.wait()

        async def request(method: str, params: Json) -> Json:
            wire = web if web is not None else gateway.pipes
            assert wire is not None
            return (await wire.request(method, params)).answer

        numbers = itertools.count(1)
        done = 0
        for stage in (0, *stages):
            await _make_calls(request, numbers, (stage - done) if stage else WARM_UP)
            done = stage
            found.append({"calls": stage, **await _at_rest(gateway, found[0] if found else None)})
        if web is not None:
            await web.close()
    history.close()
    assert not history.violations, history.violations
    return found


async def _make_calls(request: Request, numbers: itertools.count[int], count: int) -> None:
    left = iter(range(count))

    async def make() -> None:
        for _ in left:
            await _one_call(request, next(numbers))

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(make)


async def _one_call(request: Request, number: int) -> None:
    arguments: Json = {"call": f"leak-{number}", "key": f"key {number % 50}", "value": "v", "size": 200}
    match number % 5:
        case 0:
            await _call(request, "box_write", arguments)
        case 1:
            token = await _call(request, "box_read", {**arguments, "_wait_s": 0})
            await _call(request, "box_write", {**arguments, "value": token or "inline"})
        case 2:
            await _call(request, "far_write", {**arguments, "fails": True})
        case 3:
            token = await _call(request, "box_write", {**arguments, "delay_s": 0.02, "_wait_s": 0})
            await _call(request, "cancel_future", {"futures": [token]})
        case _:
            is_slow = number % 50 == 4
            token = await _call(request, "box_write", {**arguments, "delay_s": 0.5 * is_slow, "_as": f"leak{number}"})
            await _call(request, "await_future", {"futures": [f"fut_leak{number}"]})


async def _call(request: Request, tool: str, arguments: Json) -> str | None:
    """The token, where the answer is one."""
    answer = await request("tools/call", {"name": tool, "arguments": arguments})
    meta: Json = answer.get("result", {}).get("_meta") or {}
    return meta.get("asyncfc/future", {}).get("token")


async def _at_rest(gateway: Gateway, before: dict[str, Any] | None) -> dict[str, Any]:
    """What it holds once it has forgotten what it could; the last look, where it goes on holding more."""
    now: dict[str, Any] = {}
    with anyio.move_on_after(REST_LIMIT_S):
        while True:
            await anyio.sleep(TTL_S)
            now = await gateway.probe()
            futures = now["objects"].get("asyncfc_mcp.gateway.future.Future", 0)
            if futures <= FEW_FUTURES and not (before and grown(before, now)):
                break
    return now


def grown(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What there is more of than chance explains."""
    most = {"tasks": MORE_TASKS, "handles": MORE_HANDLES, "threads": MORE_THREADS, "children": 0}
    return [f"{name}: {before[name]} -> {now[name]}" for name, more in most.items() if now[name] > before[name] + more]


def report(found: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """A table of what was measured, and what grew."""
    names = ("calls", "memory_mb", "tasks", "handles", "threads", "children")
    lines = ["  ".join(f"{name:>9}" for name in names)]
    lines += ["  ".join(f"{row[name]:>9}" for name in names) for row in found]
    wrong = grown(found[0], found[-1])
    first, last = found[1]["memory_mb"], found[-1]["memory_mb"]
    if last > first * (1 + MORE_MEMORY):
        wrong.append(f"memory: {first} -> {last} MB")
    left = {
        name: (found[0]["objects"].get(name, 0), count)
        for name, count in found[-1]["objects"].items()
        if count > 2 * found[0]["objects"].get(name, 0) + 50
    }
    return lines, wrong + [f"objects of {name}: {before} -> {now}" for name, (before, now) in left.items()]


@click.command()
@click.option("--calls", type=int, default=STAGES[-1], show_default=True)
@click.option("--transport", type=click.Choice(["stdio", "http"]), multiple=True, default=["stdio", "http"])
def main(*, calls: int, transport: tuple[Literal["stdio", "http"], ...]) -> None:
    """Make calls and see that nothing is left of them. Ends with 1 if something is."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything it has started ends with it
    is_wrong = False
    for kind in transport:
        with tempfile.TemporaryDirectory(prefix="leaks-", ignore_cleanup_errors=True) as folder:
            found = anyio.run(measure, kind, (calls // 5, calls), Path(folder))
        lines, wrong = report(found)
        click.echo("\n".join([f"{kind}:", *lines, *(f"GROWN {one}" for one in wrong)]))
        is_wrong = is_wrong or bool(wrong)
    sys.exit(is_wrong)


if __name__ == "__main__":
    main()
