"""A few programs played in real time beside the time-lapse: over stdio, gateway and servers as processes."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import product
from statistics import median

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from benchmarks.agents import PARALLEL, SYNC, Agent, steps_of
from benchmarks.common import gateway_process
from benchmarks.replay.conversation import Conversation, Wire
from benchmarks.replay.in_process import DirectWire, GatewayWire, tool_names
from benchmarks.replay.playing import Setting, Variant, came_out_right, play
from benchmarks.workloads.labels import settings

COMPARED = (SYNC, PARALLEL, Agent("eager", "one"), Agent("eager", "turn"), Agent("choosing", "levels"))
AT_ONCE = 2
LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Pair:
    """One program in real time and in the time-lapse."""

    program: str
    agent: str
    mean_s: float
    real_s: float
    lapse_s: float
    is_right: bool

    @property
    def ratio(self) -> float:
        """How much longer it took in real time."""
        return self.real_s / self.lapse_s


def compare(chosen: Sequence[Setting]) -> list[Pair]:
    """Play each setting with each agent, first in the time-lapse and then in real time."""
    lapses = [
        (setting, agent, play(setting, _variant(agent))[0].took_s) for setting, agent in product(chosen, COMPARED)
    ]
    return anyio.run(_in_real_time, lapses)


def table(pairs: Sequence[Pair]) -> Iterable[str]:
    """One line for each pair, and their middle."""
    yield f"{'program':24} {'agent':16} {'tools':>6} {'real':>8} {'lapse':>8} {'ratio':>6}"
    for pair in pairs:
        wrong = "" if pair.is_right else "  WRONG"
        yield (
            f"{pair.program:24} {pair.agent:16} {pair.mean_s:>4g} s {pair.real_s:>8.3f} {pair.lapse_s:>8.3f} "
            f"{pair.ratio:>6.3f}{wrong}"
        )
    ratios = [pair.ratio for pair in pairs]
    yield f"real time by time-lapse: median {median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}"


def _variant(agent: Agent) -> Variant:
    return Variant(agent, "read_write", "waits")


async def _in_real_time(lapses: Sequence[tuple[Setting, Agent, float]]) -> list[Pair]:
    found: list[Pair] = []
    places = anyio.CapacityLimiter(AT_ONCE)

    async def measure(setting: Setting, agent: Agent, lapse_s: float) -> None:
        async with places:
            with anyio.fail_after(LIMIT_S):
                real_s, is_right = await _played(setting, agent)
        found.append(Pair(setting.program.name, agent.name, setting.mean_s, real_s, lapse_s, is_right))

    async with anyio.create_task_group() as tasks:
        for lapse in lapses:
            tasks.start_soon(measure, *lapse)
    return found


async def _played(setting: Setting, agent: Agent) -> tuple[float, bool]:
    program, variant = setting.program, _variant(agent)
    steps = steps_of(program, agent, variant.policy, variant.mode, setting.decode)
    async with _gateway(setting, variant) if agent.uses_gateway else _servers(setting) as wire:
        played = await Conversation(program, steps, setting.decode, wire).play()
    return played.took_s, came_out_right(program, played)


@asynccontextmanager
async def _gateway(setting: Setting, variant: Variant) -> AsyncGenerator[Wire]:
    labels = settings(setting.program.tools, variant.policy)
    entries = {
        name: {"command": sys.executable, "args": _arguments(setting, name), "env": _environment()}
        | {"asyncfc": labels[name]}
        for name in setting.program.servers
    }
    async with gateway_process(entries) as client:
        names = await tool_names(client)
        yield GatewayWire(client, names)


@asynccontextmanager
async def _servers(setting: Setting) -> AsyncGenerator[Wire]:
    async with AsyncExitStack() as stack:
        clients: dict[str, Client] = {}
        for name in setting.program.servers:
            process = StdioServerParameters(command=sys.executable, args=_arguments(setting, name), env=_environment())
            clients[name] = await stack.enter_async_context(Client(stdio_client(process)))
        yield DirectWire(clients)


def _arguments(setting: Setting, server: str) -> list[str]:
    chosen = ["--program", setting.program.name, "--server", server]
    drawn = ["--mean", str(setting.latency.mean_s), "--seed", str(setting.latency.seed)]
    return ["-m", "benchmarks.workloads.serve", *chosen, *drawn]


def _environment() -> dict[str, str]:
    # the SDK hands a child six variables alone; the packages that the workloads need may be anywhere
    return {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
