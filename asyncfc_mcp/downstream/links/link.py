"""What every transport gives to a connection: two message streams and how things went."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from mcp.client._transport import ReadStream, WriteStream  # TransportStreams has no public home
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse


class Hearing:
    """When something last came from a server."""

    def __init__(self) -> None:
        self.at = time.monotonic()
        self._noted: anyio.Event | None = None
        """Somebody waits for what comes next."""

    def note(self) -> None:
        """Something came."""
        self.at = time.monotonic()
        if self._noted is not None:
            self._noted.set()
            self._noted = None

    async def next(self) -> None:
        """Wait until something comes."""
        if self._noted is None:
            self._noted = anyio.Event()
        await self._noted.wait()


class ShortWay(Protocol):
    """Sends a request and has its answer, without the streams."""

    def takes(self, message: SessionMessage) -> bool:
        """Whether a message can go this way."""
        ...

    async def send(self, message: SessionMessage) -> JSONRPCResponse | None:
        """Send a request; None where its answer will come from the stream. Cancelling aborts it."""
        ...


@dataclass(frozen=True, slots=True)
class Link:
    """An open way to a server."""

    read: ReadStream[SessionMessage | Exception]
    write: WriteStream[SessionMessage]
    trouble: Callable[[], str | None]
    """What the transport knows about why the connection failed; ask after it has ended."""
    lost: anyio.Event = field(default_factory=anyio.Event)
    """Set when nothing more can come over it."""
    short_way: ShortWay | None = None
    hearing: Hearing | None = None
    """Where silence means that the server has nothing to say or cannot; None where the transport itself would tell."""
