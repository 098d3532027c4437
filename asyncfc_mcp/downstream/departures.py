"""Connections that the configuration has no use for any more, until what goes over them has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.abc
import structlog

from asyncfc_mcp.downstream.connection import Connection

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Departure:
    """All connections to one server, the primary one last."""

    server: str
    connections: Sequence[Connection]
    until_settled: Callable[[str], Awaitable[None]] | None
    """Waits for the calls that nothing but these can carry; None where there is a new way to the server."""
    waiting: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def is_usable(self) -> bool:
        """Whether calls that were taken in still go over it."""
        return self.until_settled is not None and not self.waiting.cancel_called


class Departures:
    """Sees connections off: each is stopped when nothing needs it any more."""

    def __init__(self) -> None:
        self.tasks: anyio.abc.TaskGroup | None = None
        """Where they are waited for."""
        self._departures: list[_Departure] = []

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Those that have not been stopped yet."""
        return tuple(connection for departure in self._departures for connection in departure.connections)

    def usable(self, server: str) -> Connection | None:
        """The connection for calls of a server that is gone, if there is one."""
        found = (one for one in self._departures if one.server == server and one.is_usable)
        departure = next(found, None)
        return departure.connections[-1] if departure is not None else None

    def still_needed(self, server: str) -> Connection | None:
        """A connection over which calls may still be in flight."""
        found = (one.connections[-1] for one in self._departures if one.server == server)
        return next((connection for connection in found if connection.is_needed), None)

    def see_off(
        self, server: str, connections: Sequence[Connection], until_settled: Callable[[str], Awaitable[None]] | None
    ) -> None:
        """Stop these as soon as nothing goes over them, and no call waits any more that has to."""
        departure = _Departure(server, connections, until_settled)
        if self.tasks is None:  # nothing runs yet, or any more
            return
        self._departures.append(departure)
        self.tasks.start_soon(self._see_off, departure)

    def hurry(self, server: str) -> None:
        """There is a new way to a server, so no further call has to go over the old one."""
        for departure in self._departures:
            if departure.server == server:
                departure.waiting.cancel()

    async def _see_off(self, departure: _Departure) -> None:
        with departure.waiting:
            if departure.until_settled is not None:
                await departure.until_settled(departure.server)
        departure.waiting.cancel()  # whatever comes now comes too late
        for connection in departure.connections:
            if connection.is_needed or departure.until_settled is not None:
                await connection.until_idle()
            connection.stop()
        self._departures.remove(departure)
        log.info("server_left", server=departure.server, is_replaced=departure.until_settled is None)
