"""What can be told of a server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConnectionState(StrEnum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    READY = "ready"
    WAITING = "waiting"
    """Between two attempts."""
    FAILED = "failed"
    """Between two attempts, but somebody has to change something before one can succeed."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What can be told of one server at this moment."""

    state: ConnectionState
    message: str | None = None
    """Why it is not ready."""
    attempts: int = 0
    """Attempts that ended since it last was up for a while."""
    retry_in_s: float | None = None
    protocol_version: str | None = None
    server_name: str | None = None
    server_version: str | None = None
    instructions: str | None = None
