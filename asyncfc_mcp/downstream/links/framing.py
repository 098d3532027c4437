"""Lines out of a byte stream, in linear time and bounded memory, and what an unparsable line still tells."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

KEPT_HEAD_BYTES = 64 * 1024
_KEPT_TAIL_BYTES = 1024
_LOGGED_CHARACTERS = 2000
_METHOD_WITHIN_BYTES = 256
"""Where a question names its method at the latest, before its params."""

_ID = rb'"id"\s*:\s*(?P<id>-?\d+|"(?:[^"\\]|\\.)*")'
_VERSION = rb'"jsonrpc"\s*:\s*"2\.0"'
_ID_FIRST = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb"\s*,\s*)?" + _ID + rb"\s*,")
_ID_LAST = re.compile(rb",\s*" + _ID + rb"\s*(?:,\s*" + _VERSION + rb"\s*)?\}\s*$")

_UNPRINTABLE = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        *range(0x200E, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2066, 0x206A),
    )
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its newline; of one that was too long, only its two ends."""

    head: bytes
    tail: bytes = b""
    is_cut: bool = False
    size_bytes: int = 0


class LineSplitter:
    """Cuts a byte stream into lines.

    Each byte is searched once, so a line of 20 MB costs twenty times one of 1 MB; a line over the limit is dropped
    while it arrives, but for its two ends.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._cut_head: bytes | None = None
        self._dropped_bytes = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that `chunk` completes."""
        self._buffer += chunk
        lines: list[Line] = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            lines.append(self._line(start, end))
            start = end + 1
        del self._buffer[:start]
        self._drop_excess()
        self._searched = len(self._buffer)
        return lines

    def rest(self) -> list[Line]:
        """What stands behind the last newline, once the stream has ended."""
        if not self._buffer:
            return []
        line = self._line(0, len(self._buffer))
        self._buffer.clear()
        self._searched = 0
        return [line]

    def _line(self, start: int, end: int) -> Line:
        size = end - start + self._dropped_bytes
        if self._cut_head is None and size <= self._limit_bytes:
            with memoryview(self._buffer) as buffer:  # a slice of the buffer itself would be one more copy
                return Line(bytes(buffer[start:end]), size_bytes=size)
        head_end = min(end, start + KEPT_HEAD_BYTES)
        head = self._cut_head if self._cut_head is not None else bytes(self._buffer[start:head_end])
        tail = bytes(self._buffer[max(start, end - _KEPT_TAIL_BYTES) : end])
        self._cut_head = None
        self._dropped_bytes = 0
        return Line(head, tail, is_cut=True, size_bytes=size)

    def _drop_excess(self) -> None:
        if self._cut_head is None:
            if len(self._buffer) <= self._limit_bytes:
                return
            self._cut_head = bytes(self._buffer[:KEPT_HEAD_BYTES])
        excess = len(self._buffer) - _KEPT_TAIL_BYTES
        if excess > 0:
            del self._buffer[:excess]
            self._dropped_bytes += excess


def response_id(line: Line) -> int | str | None:
    """The id of the response that an unparsable line looks like; None for anything else.

    An id is believed only where it must be the message's own: right at the start, or as one of the last members.
    """
    found = _ID_FIRST.match(line.head)
    if found is not None and b'"method"' in line.head[found.end() : found.end() + 64]:
        return None
    found = found or (
        _ID_LAST.search((line.tail or line.head)[-_KEPT_TAIL_BYTES:]) if line.head.startswith(b"{") else None
    )
    if found is None:
        return None
    try:
        return json.loads(found["id"])
    except ValueError:
        return None


def looks_like_an_answer(line: Line) -> bool:
    """Whether a line that was too long is an answer rather than a log line, a question or a notification."""
    return line.head.startswith(b"{") and b'"method"' not in line.head[:_METHOD_WITHIN_BYTES]


def printable(text: bytes) -> str:
    """Foreign bytes for a log: cut, and unable to move the cursor or forge a line."""
    cut = text[: 4 * _LOGGED_CHARACTERS].decode("utf-8", "replace").rstrip("\r")
    return cut[:_LOGGED_CHARACTERS].translate(_UNPRINTABLE)
