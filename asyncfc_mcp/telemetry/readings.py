"""What metrics are made of: how each call went, and what there is at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettledCall:
    """How a call went."""

    server: str
    tool: str
    """The server's own name of it."""
    state: str
    reason: str
    """Why it failed, in one word; empty when it did not."""
    waited_s: float
    ran_s: float | None
    """None when it never started."""


@dataclass(frozen=True, slots=True)
class ServerReading:
    """How a server stands."""

    is_up: bool
    restarts: int


@dataclass(frozen=True, slots=True)
class Readings:
    """What there is at one moment, and what there was since the start."""

    unsettled: Mapping[str, int]
    """Futures by their state."""
    futures_kept: int
    """In memory, settled ones too."""
    value_bytes: int
    scopes: int
    tokens: int
    inline_answers: int
    attached: int
    saved_s: float
    store_faults: int
    servers: Mapping[str, ServerReading]
