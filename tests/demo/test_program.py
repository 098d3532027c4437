"""The story holds together: its order, its steps, its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncfc_mcp.config.models import ServerSettings
from asyncfc_mcp.demo.place import configuration
from asyncfc_mcp.demo.program import TRIP, parallel_steps, predecessors
from asyncfc_mcp.demo.servers.bookings import Bookings
from asyncfc_mcp.demo.simulation import TOOL_DELAYS_S, Simulation, from_arguments, read_journal


def test_every_tool_of_the_program_has_a_delay() -> None:
    assert {call.tool for call in TRIP} == set(TOOL_DELAYS_S)


def test_bookings_keep_their_order_and_searches_do_not() -> None:
    before = predecessors(TRIP)
    assert before["flights"] == before["hotels"] == before["weather"] == frozenset()
    assert before["hotel"] == {"hotels", "flight"}
    assert before["itinerary"] == {"flight", "hotel"}
    assert before["note"] == {"itinerary", "packing"}


def test_parallel_steps_send_whatever_is_ready_side_by_side() -> None:
    steps = [[call.name for call in step] for step in parallel_steps(TRIP)]
    assert steps == [["flights", "hotels", "weather"], ["flight", "packing"], ["hotel"], ["itinerary"], ["note"]]


def test_the_configuration_is_one_that_the_gateway_accepts(tmp_path: Path) -> None:
    servers: dict[str, Any] = configuration(Simulation(tmp_path / "journal"), tmp_path)["mcpServers"]
    settings = {key: ServerSettings.model_validate(entry["asyncfc"]) for key, entry in servers.items()}
    assert settings["bookings"].tools["book_flight"].writes == ("trip/bookings",)
    assert settings["notes"].tools["packing_list"].reads == ()


def test_a_server_reads_back_the_simulation_that_started_it(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path / "journal", speed=3.0)
    assert from_arguments([*simulation.arguments(), "--folder", str(tmp_path)]) == (simulation, tmp_path)


@pytest.mark.anyio
async def test_two_bookings_at_once_would_lose_one(tmp_path: Path) -> None:
    bookings = Bookings(Simulation(tmp_path / "journal", speed=50), tmp_path)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as both:
            both.start_soon(bookings.book_flight, "FL-1", 100)
            both.start_soon(bookings.book_hotel, "HO-1", 100)
        assert "TRIP-2" not in await bookings.itinerary()


@pytest.mark.anyio
async def test_the_journal_knows_when_a_tool_ran(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path / "journal", speed=50)
    with anyio.fail_after(5):
        await simulation.work("itinerary")
    run = read_journal(simulation.journal)["itinerary"]
    assert run.finished_at is not None
    assert run.finished_at - run.started_at >= TOOL_DELAYS_S["itinerary"] / 50
