"""Searches for a trip: flights, hotels and the weather. It only reads, and its answers are made up."""

from __future__ import annotations

from typing import TypedDict

from mcp.server import MCPServer

from asyncfc_mcp.demo.simulation import Simulation, from_arguments


class Offer(TypedDict):
    """Something that can be booked by its id."""

    id: str
    title: str
    price: int


class Offers(TypedDict):
    """What a search found, best first."""

    items: list[Offer]


class Forecast(TypedDict):
    """The weather of the stay."""

    city: str
    low_c: int
    rain_percent: int


class Travel:
    """The tools, each with its simulated delay."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    async def search_flights(self, origin: str, city: str) -> Offers:
        """Finds flights to a city, best first."""
        await self._simulation.work("search_flights")
        return {
            "items": [
                {"id": "FL-204", "title": f"{origin} to {city}, 09:40, direct", "price": 180},
                {"id": "FL-731", "title": f"{origin} to {city}, 06:15, one stop", "price": 140},
            ]
        }

    async def search_hotels(self, city: str, nights: int) -> Offers:
        """Finds hotels in a city, best first; prices are for the whole stay."""
        await self._simulation.work("search_hotels")
        return {
            "items": [
                {"id": "HO-12", "title": f"Hotel by the river, {city}", "price": 95 * nights},
                {"id": "HO-88", "title": f"Rooms at the station, {city}", "price": 60 * nights},
            ]
        }

    async def forecast(self, city: str) -> Forecast:
        """The weather of the coming days."""
        await self._simulation.work("forecast")
        return {"city": city, "low_c": 11, "rain_percent": 70}


def main() -> None:
    """Serves over stdio until the client goes."""
    simulation, _ = from_arguments()
    travel = Travel(simulation)
    server = MCPServer("travel", log_level="WARNING")
    for tool in (travel.search_flights, travel.search_hotels, travel.forecast):
        server.add_tool(tool)
    server.run()


if __name__ == "__main__":
    main()
