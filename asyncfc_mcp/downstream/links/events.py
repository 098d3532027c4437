"""Server-sent events out of a byte stream, in bounded memory: one that is too long is skipped, and those after it come.

The libraries' readers end the stream then, and with it every call that waits on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass, field

from asyncfc_mcp.downstream.links.framing import Line, LineSplitter

_DATA = b"data:"


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    name: str
    data: Line
    """Of one that was too long, only its two ends."""


@dataclass(slots=True)
class _Draft:
    name: str = "message"
    data: list[Line] = field(default_factory=list[Line])
    size_bytes: int = 0

    def event(self, limit_bytes: int) -> Event:
        if self.size_bytes <= limit_bytes and not any(line.is_cut for line in self.data):
            return Event(self.name, Line(b"\n".join(line.head for line in self.data), size_bytes=self.size_bytes))
        tail = self.data[-1].tail or self.data[-1].head
        return Event(self.name, Line(self.data[0].head, tail, is_cut=True, size_bytes=self.size_bytes))


class EventReader:
    """Turns bytes into events."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._splitter = LineSplitter(limit_bytes)
        self._draft = _Draft()
        self._ends_in_return = False

    async def read(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[Event]:
        """The events, as they are complete."""
        async for chunk in chunks:
            for line in self._splitter.feed(self._with_one_kind_of_end(chunk)):
                for event in self._take(line):
                    yield event

    def _with_one_kind_of_end(self, chunk: bytes) -> bytes:
        # A line may end with either character, or with both.
        if self._ends_in_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._ends_in_return = False
        if chunk:
            self._ends_in_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take(self, line: Line) -> Iterator[Event]:
        if line.head.startswith(_DATA):
            self._take_data(line)
        elif line.head.startswith(b"event:"):
            self._draft.name = line.head[6:].strip().decode("utf-8", "replace")
        elif not line.head:
            draft, self._draft = self._draft, _Draft()
            if draft.data:
                yield draft.event(self._limit_bytes)

    def _take_data(self, line: Line) -> None:
        skipped = len(_DATA) + line.head.startswith(_DATA + b" ")
        said = Line(line.head[skipped:], line.tail, line.is_cut, line.size_bytes - skipped)
        self._draft.size_bytes += said.size_bytes
        if self._draft.size_bytes > self._limit_bytes and len(self._draft.data) > 1:
            # Many lines that are too long together: the last one is enough of an end.
            self._draft.data[1:] = [said]
        else:
            self._draft.data.append(said)
