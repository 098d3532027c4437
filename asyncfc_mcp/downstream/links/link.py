"""What every transport gives to a connection: two message streams and how things went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from mcp.client._transport import ReadStream, WriteStream  # TransportStreams has no public home
from mcp.shared.message import SessionMessage


@dataclass(frozen=True, slots=True)
class Link:
    """An open way to a server."""

    read: ReadStream[SessionMessage | Exception]
    write: WriteStream[SessionMessage]
    trouble: Callable[[], str | None]
    """What the transport knows about why the connection failed; ask after it has ended."""
    lost: anyio.Event = field(default_factory=anyio.Event)
    """Set when nothing more can come over it."""
