"""Bookings paid from one budget, kept in a file.

Each booking reads the file, takes its time, and writes the file: two at once would lose one, so their order matters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from mcp.server import MCPServer

from asyncfc_mcp.demo.simulation import Simulation, from_arguments

BUDGET = 1000


class Booking(TypedDict):
    """One thing that is paid for."""

    reference: str
    offer_id: str
    left_of_budget: int


class Bookings:
    """The tools, each with its simulated delay."""

    def __init__(self, simulation: Simulation, folder: Path) -> None:
        self._simulation = simulation
        self._file = folder / "bookings.json"

    async def book_flight(self, offer_id: str, price: int) -> Booking:
        """Books a flight by the id that a search gave."""
        return await self._book("book_flight", offer_id, price)

    async def book_hotel(self, offer_id: str, price: int) -> Booking:
        """Books a hotel by the id that a search gave, from what the budget still holds."""
        return await self._book("book_hotel", offer_id, price)

    async def itinerary(self) -> str:
        """All bookings so far, in the order in which they were made."""
        bookings = self._load()
        await self._simulation.work("itinerary")
        lines = [f"{booking['reference']}: {booking['offer_id']}" for booking in bookings]
        left = bookings[-1]["left_of_budget"] if bookings else BUDGET
        return "\n".join([*lines, f"Left of the budget: {left}"])

    async def _book(self, tool: str, offer_id: str, price: int) -> Booking:
        bookings = self._load()
        await self._simulation.work(tool)
        left = bookings[-1]["left_of_budget"] if bookings else BUDGET
        booking = Booking(reference=f"TRIP-{len(bookings) + 1}", offer_id=offer_id, left_of_budget=left - price)
        self._file.write_text(json.dumps([*bookings, booking], indent=1), encoding="utf-8")
        return booking

    def _load(self) -> list[Booking]:
        if not self._file.exists():
            return []
        return json.loads(self._file.read_text(encoding="utf-8"))


def main() -> None:
    """Serves over stdio until the client goes."""
    simulation, folder = from_arguments()
    bookings = Bookings(simulation, folder)
    server = MCPServer("bookings", log_level="WARNING")
    for tool in (bookings.book_flight, bookings.book_hotel, bookings.itinerary):
        server.add_tool(tool)
    server.run()


if __name__ == "__main__":
    main()
