"""Runs the demonstration: the same program three times through one gateway process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from mcp import MCPError
from rich.console import Console

from asyncfc_mcp.demo.agents import Agent, CallTool
from asyncfc_mcp.demo.place import Place
from asyncfc_mcp.demo.record import Run, Timeline, Way
from asyncfc_mcp.demo.report import DemoReport, report
from asyncfc_mcp.demo.screen import Screen
from asyncfc_mcp.demo.simulation import Simulation
from asyncfc_mcp.errors import GatewayError

LIMIT_S = 60.0
"""When the demonstration gives up, at speed 1."""

Watch = Callable[[Way, Callable[[], Timeline]], AbstractContextManager[None]]
"""Shows a run while it goes on."""


class DemoFailed(GatewayError):
    """The gateway's process could not be talked to."""

    def __init__(self, fact: str, log: str) -> None:
        super().__init__(f"the demonstration stopped: {fact}; the gateway's log ends:\n{log}")
        self.fact = fact
        self.log = log


async def run_demo(*, speed: float = 1.0, console: Console | None = None) -> DemoReport:
    """Makes the three runs, shows them, and raises a GatewayError when they fail or differ."""
    screen = Screen(console or Console(), speed)
    with TemporaryDirectory(prefix="asyncfc-demo-", ignore_cleanup_errors=True) as root:
        place = Place(Path(root))
        try:
            with anyio.fail_after(LIMIT_S / min(speed, 1.0)):
                return await _three_runs(place, Simulation(place.journal, speed), screen)
        except Exception as error:
            cause = _first_cause(error)
            if isinstance(cause, MCPError | TimeoutError | OSError):
                raise DemoFailed(str(cause) or "it took too long", place.log_tail()) from error
            if cause is error:
                raise
            raise cause from error


def main(*, speed: float = 1.0) -> DemoReport:
    """The demonstration for callers that are not asynchronous."""

    async def demonstrate() -> DemoReport:
        return await run_demo(speed=speed)

    return anyio.run(demonstrate)


async def make_run(
    way: Way, call_tool: CallTool, place: Place, simulation: Simulation, watch: Watch | None = None
) -> Run:
    """One run from a clean state."""
    place.start_over()
    agent = Agent(call_tool, simulation, way)
    with watch(way, agent.timeline) if watch else nullcontext():
        await agent.run()
    timeline = agent.timeline()
    if way is Way.FUTURES:
        await agent.read_futures()
    return Run(timeline, agent.results, place.state())


async def _three_runs(place: Place, simulation: Simulation, screen: Screen) -> DemoReport:
    place.start_over()
    async with AsyncExitStack() as stack:
        with screen.starting():
            client = await stack.enter_async_context(place.gateway(simulation))
        runs = {way: await make_run(way, client.call_tool, place, simulation, screen.watching) for way in Way}
        outcome = report(runs)
        screen.conclude(outcome)
    return outcome


def _first_cause(error: Exception) -> Exception:
    """What went wrong first: task groups wrap it, each in a group of its own."""
    causes: tuple[Exception, ...] = getattr(error, "exceptions", ())
    return _first_cause(causes[0]) if causes else error
