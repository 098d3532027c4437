"""What the scheduler asks its shell to do. Moves are reported the same way."""

from __future__ import annotations

from dataclasses import dataclass

from asyncfc_mcp.core.future import Move


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Start the call: everything it waited for is there."""

    future: str


@dataclass(frozen=True, slots=True)
class CancelDownstream:
    """Ask the server to stop; then report `Ended` when it answers or the grace has passed."""

    future: str
    reason: str


Command = Dispatch | CancelDownstream | Move
