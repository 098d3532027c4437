"""The runs against the real small servers, in processes of their own, at high speed."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult
from rich.console import Console

from asyncfc_mcp.demo.agents import CallTool, ToolFailed
from asyncfc_mcp.demo.place import Place, server_arguments
from asyncfc_mcp.demo.program import TRIP
from asyncfc_mcp.demo.record import Run, Way
from asyncfc_mcp.demo.report import check_same
from asyncfc_mcp.demo.run import make_run, run_demo
from asyncfc_mcp.demo.simulation import Simulation

SPEED = 10.0


@asynccontextmanager
async def connected_servers(place: Place, simulation: Simulation) -> AsyncGenerator[CallTool]:
    """The three servers without a gateway; what only the gateway understands is left out."""
    place.start_over()
    async with AsyncExitStack() as stack:
        clients: dict[str, Client] = {}
        for server in dict.fromkeys(call.server for call in TRIP):
            arguments = [*server_arguments(server, simulation, place.files)]
            parameters = StdioServerParameters(command=sys.executable, args=arguments)
            clients[server] = await stack.enter_async_context(Client(parameters))

        async def call_tool(name: str, arguments: dict[str, Any]) -> CallToolResult:
            server, _, tool = name.partition("_")
            own = {key: value for key, value in arguments.items() if not key.startswith("_")}
            return await clients[server].call_tool(tool, own)

        yield call_tool


@pytest.mark.anyio
async def test_parallel_calls_overlap_and_come_to_the_same_end(tmp_path: Path) -> None:
    place, runs = Place(tmp_path), dict[Way, Run]()
    simulation = Simulation(place.journal, SPEED / 5)  # 0.6 s for the second search to begin before the first ends
    with anyio.fail_after(30):
        async with connected_servers(place, simulation) as call_tool:
            for way in (Way.SYNCHRONOUS, Way.PARALLEL):
                runs[way] = await make_run(way, call_tool, place, simulation)
    check_same(Way.PARALLEL, runs[Way.SYNCHRONOUS], runs[Way.PARALLEL])
    assert not searches_overlap(runs[Way.SYNCHRONOUS])
    assert searches_overlap(runs[Way.PARALLEL])
    assert runs[Way.SYNCHRONOUS].files["lisbon.md"] == (
        "TRIP-1: FL-204\nTRIP-2: HO-12\nLeft of the budget: 440\n\nTo pack: a warm jacket, an umbrella"
    )


def searches_overlap(run: Run) -> bool:
    flights, hotels, *_ = (call.ran for call in run.timeline.calls)
    assert flights is not None
    assert hotels is not None
    return hotels.start_s < flights.end_s


@pytest.mark.anyio
async def test_a_failed_call_stops_the_run_and_says_which(tmp_path: Path) -> None:
    place = Place(tmp_path)
    simulation = Simulation(place.journal, SPEED)
    with anyio.fail_after(30):
        async with connected_servers(place, simulation) as call_tool:
            place.start_over()
            with pytest.raises(ExceptionGroup) as raised:
                await make_run(Way.SYNCHRONOUS, failing_at(call_tool, "bookings_book_hotel"), place, simulation)
    assert raised.group_contains(ToolFailed, match="book_hotel gave no value")


def failing_at(call_tool: CallTool, tool: str) -> CallTool:
    """Sends one call without its arguments, which its server refuses."""

    async def send(name: str, arguments: dict[str, Any]) -> CallToolResult:
        return await call_tool(name, {} if name == tool else arguments)

    return send


@pytest.mark.anyio
async def test_the_whole_demonstration_agrees_and_futures_win() -> None:
    output = StringIO()
    demonstrate = partial(run_demo, speed=2.0, console=Console(file=output, width=80))
    with anyio.fail_after(60):
        outcome = await demonstrate()
        if not (outcome.gain(Way.PARALLEL) > 1 and outcome.bound.ratio >= outcome.gain(Way.SYNCHRONOUS)):
            outcome = await demonstrate()  # its runs come one after another, and a busy machine may hold up one of them
    assert outcome.gain(Way.SYNCHRONOUS) > 1
    assert outcome.gain(Way.PARALLEL) > 1
    assert outcome.runs[Way.FUTURES].timeline.end_s >= outcome.best_s
    assert outcome.bound.ratio >= outcome.gain(Way.SYNCHRONOUS)
    assert "Best schedule" in output.getvalue()
    assert max(map(len, output.getvalue().splitlines())) <= 80
