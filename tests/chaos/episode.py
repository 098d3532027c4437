"""One run: a world, its agents and faults, then quiet, then everything that was told is read again and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from tests.bounds import bound_s
from tests.chaos.agents import Agent, agents_of
from tests.chaos.checker import check, read_journal
from tests.chaos.faults import Injector
from tests.chaos.gateways import Gateway
from tests.chaos.history import History
from tests.chaos.plan import Plan
from tests.chaos.world import World

SETTLES_WITHIN_S = 60.0
"""After the last fault: the longest time-out, its grace, and restarts with their back-off, several times over."""
MORE_TASKS, MORE_HANDLES, MORE_THREADS = 12, 16, 6
"""What a gateway may hold more of at the end than when it had just started: connections that are kept open a while."""
LATE = "TaskGroup._run"
"""The tasks of calls: at rest of those that were given up, whose servers may still answer."""
_READERS = 8


@dataclass(frozen=True, slots=True)
class Times:
    """How long a run is, in seconds."""

    chaos_s: float
    pause_s: float = 1.5
    """Between two faults, on average."""


async def play(plan: Plan, times: Times) -> tuple[History, World]:
    """Run it to its end; the history says what was wrong."""
    history = History(plan.folder / "events.jsonl")
    world = World(plan, history)
    async with world.running():
        agents = agents_of(world)
        await _all_up(world)
        for gateway in world.gateways:
            await gateway.reached_servers()
        fresh = {gateway.name: await gateway.probe() for gateway in world.gateways}
        with anyio.move_on_after(times.chaos_s):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(Injector(world, pause_s=times.pause_s).run)
                for agent in agents:
                    tasks.start_soon(agent.run)
        history.note("quiet")
        await _all_up(world)
        await _read_all(agents, history)
        world.cut_idle()
        for gateway in world.gateways:
            await _check_leaks(history, gateway, fresh[gateway.name])
        await _restart(world)
        await _read_all(agents, history)
    check(history, read_journal(world.journal), world.files)
    for agent in agents:
        await agent.close()
    return history, world


async def _all_up(world: World) -> None:
    with anyio.fail_after(bound_s(120)):
        for gateway in world.gateways:
            await gateway.up.wait()


async def _restart(world: World) -> None:
    """End every gateway once more, one way or another."""
    for gateway, end in zip(world.gateways, (Gateway.kill, Gateway.end, Gateway.kill), strict=True):
        end(gateway)
    await _all_up(world)


async def _read_all(agents: Sequence[Agent], history: History) -> None:
    """Read every future that somebody was told of, as the principal that was told."""
    readers = {agent.principal: agent for agent in agents}
    by_gateway = {agent.gateway.name: agent for agent in agents}
    left = iter({id(call): call for call in history.by_token.values()}.values())

    async def read() -> None:
        for call in left:
            own = next(agent for agent in agents if agent.name == call.agent)
            # a future that still runs can be read in its own gateway only
            reader = by_gateway[own.gateway.name] if call.settled is None else readers[call.principal]
            await reader.settle(call, SETTLES_WITHIN_S)

    async with anyio.create_task_group() as tasks:
        for _ in range(_READERS):
            tasks.start_soon(read)


async def _check_leaks(history: History, gateway: Gateway, fresh: dict[str, Any]) -> None:
    """See that a gateway that has come to rest holds about as much as a fresh one."""
    now: dict[str, Any] = {}
    with anyio.move_on_after(bound_s(20)):
        while True:
            now = await gateway.probe()
            if not (over := _over(fresh, now)):
                history.memory_mb.append((fresh["memory_mb"], now["memory_mb"]))
                history.note("rests", gateway=gateway.label, fresh=fresh, now=now)
                return
            history.note("does not rest yet", gateway=gateway.label, over=over, connections=now["connections"])
            await anyio.sleep(1)
    history.violate("nothing leaks", f"{gateway.label}: {_over(fresh, now)}: {now}")


def _over(fresh: dict[str, Any], now: dict[str, Any]) -> list[str]:
    most = {
        "tasks": MORE_TASKS + now["task_names"].get(LATE, 0),
        "handles": MORE_HANDLES,
        "threads": MORE_THREADS,
        "children": 0,
    }
    return [f"{name}: {fresh[name]} -> {now[name]}" for name, more in most.items() if now[name] > fresh[name] + more]
