"""What can be told of a server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConnectionState(StrEnum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    READY = "ready"
    UNRESPONSIVE = "unresponsive"
    """Connected, but it does not answer."""
    WAITING = "waiting"
    """Between two attempts."""
    FAILED = "failed"
    """Not tried again soon: somebody has to change something first, or it has failed too often."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What can be told of one server at this moment."""

    state: ConnectionState
    message: str | None = None
    """Why it is not ready."""
    starts: int = 0
    """How often it was connected."""
    attempts: int = 0
    """Attempts that failed since it last was up for a while, where another one may help."""
    retry_in_s: float | None = None
    """How long until the next attempt; of one that was given up, until a call may bring one about."""
    fails_fast: bool = False
    """Whether calls fail at once until the next attempt: it has failed too often for anybody to wait for it."""
    is_given_up: bool = False
    """Whether nothing but a call brings about another attempt."""
    protocol_version: str | None = None
    server_name: str | None = None
    server_version: str | None = None
    instructions: str | None = None
