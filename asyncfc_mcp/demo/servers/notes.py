"""A note file for the traveller, and what to pack."""

from __future__ import annotations

from pathlib import Path

from mcp.server import MCPServer

from asyncfc_mcp.demo.simulation import Simulation, from_arguments


class Notes:
    """The tools, each with its simulated delay."""

    def __init__(self, simulation: Simulation, folder: Path) -> None:
        self._simulation = simulation
        self._folder = folder

    async def packing_list(self, low_c: int, rain_percent: int) -> str:
        """What to pack for the weather."""
        await self._simulation.work("packing_list")
        jacket = "a warm jacket" if low_c < 15 else "a shirt"
        umbrella = ", an umbrella" if rain_percent > 50 else ""
        return f"To pack: {jacket}{umbrella}"

    async def write_note(self, name: str, parts: list[str]) -> str:
        """Writes the parts, one below the other, to a note of that name."""
        await self._simulation.work("write_note")
        # Only the last part of the name counts, so that no name leads out of the folder.
        file = self._folder / f"{Path(name).name}.md"
        file.write_text("\n\n".join(parts), encoding="utf-8")
        return f"wrote {file.name}"


def main() -> None:
    """Serves over stdio until the client goes."""
    simulation, folder = from_arguments()
    notes = Notes(simulation, folder)
    server = MCPServer("notes", log_level="WARNING")
    for tool in (notes.packing_list, notes.write_note):
        server.add_tool(tool)
    server.run()


if __name__ == "__main__":
    main()
