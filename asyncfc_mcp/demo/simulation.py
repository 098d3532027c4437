"""What the demonstration simulates, the delays of tools and agent, and the journal of when each tool really ran."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

TOOL_DELAYS_S: Mapping[str, float] = {
    "search_flights": 1.2,
    "search_hotels": 1.0,
    "forecast": 0.7,
    "book_flight": 0.6,
    "book_hotel": 0.6,
    "packing_list": 0.4,
    "itinerary": 0.3,
    "write_note": 0.2,
}
THINKING_S_PER_STEP = 0.2
THINKING_S_PER_CALL = 0.1


@dataclass(frozen=True, slots=True)
class ToolRun:
    """When a server worked on one call, on the clock that all processes of a machine share."""

    started_at: float
    finished_at: float | None
    """None while it runs."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """How fast the simulated delays pass, and where the servers write down what they do."""

    journal: Path
    speed: float = 1.0
    """2 halves every simulated delay."""

    def thinking_s(self, calls: int) -> float:
        """How long the agent thinks over one step that writes so many calls."""
        return (THINKING_S_PER_STEP + calls * THINKING_S_PER_CALL) / self.speed

    async def work(self, tool: str) -> None:
        """Takes as long as the tool is said to take, and writes both ends into the journal."""
        self._note(tool, "started")
        await anyio.sleep(TOOL_DELAYS_S[tool] / self.speed)
        self._note(tool, "finished")

    def _note(self, tool: str, event: str) -> None:
        line = json.dumps({"tool": tool, "event": event, "at": time.monotonic()})
        with self.journal.open("a", encoding="utf-8") as journal:
            journal.write(f"{line}\n")

    def arguments(self) -> tuple[str, ...]:
        """The command line that `from_arguments` reads back in a server's process."""
        return ("--journal", str(self.journal), "--speed", str(self.speed))


def from_arguments(arguments: Sequence[str] | None = None) -> tuple[Simulation, Path]:
    """The simulation and the folder for files that a server was started with."""
    parser = ArgumentParser(description="A small MCP server of the asyncfc-mcp demonstration.")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args(arguments)
    return Simulation(journal=options.journal, speed=options.speed), options.folder


def read_journal(journal: Path) -> dict[str, ToolRun]:
    """The latest run of each tool; empty before the first."""
    if not journal.exists():
        return {}
    runs: dict[str, ToolRun] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        tool: str = entry["tool"]
        if entry["event"] == "started":
            runs[tool] = ToolRun(entry["at"], None)
        else:
            runs[tool] = ToolRun(runs[tool].started_at, entry["at"])
    return runs
