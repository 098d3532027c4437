"""Bytes between two threads that block on pipes and the event loop, with a bound on what waits in either direction.

A client that does not read is not read from either, once so much waits for it; nothing that it was to get is lost.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader
from typing import BinaryIO

import anyio
import structlog

from asyncfc_mcp.downstream.links.framing import Line, LineSplitter

MOST_WAITING_BYTES = 64 * 2**20
"""In either direction, and one message more."""
MOST_LINE_BYTES = 64 * 2**20
"""Of one message that a client sends."""
_CHUNK_BYTES = 64 * 1024

log = structlog.get_logger()


class Backlog:
    """Bytes that wait to be taken: full at a bound, and not full any more once half of that is left.

    Args:
        on_drained: is told of that, in whichever thread took them.
    """

    def __init__(self, most_bytes: int, on_drained: Callable[[], None] = lambda: None) -> None:
        self._most_bytes = most_bytes
        self._on_drained = on_drained
        self._changed = threading.Condition()
        self._waiting_bytes = 0
        self._is_over = False
        self.is_full = False

    def add(self, size_bytes: int) -> None:
        """So much more waits."""
        with self._changed:
            self._waiting_bytes += size_bytes
            self.is_full = self._waiting_bytes >= self._most_bytes and not self._is_over

    def take(self, size_bytes: int) -> None:
        """So much less waits."""
        with self._changed:
            self._waiting_bytes -= size_bytes
            is_drained = self.is_full and self._waiting_bytes <= self._most_bytes // 2
            if is_drained:
                self._open()
        if is_drained:
            self._on_drained()

    def end(self) -> None:
        """Nobody takes anything any more, and nobody need wait for that."""
        with self._changed:
            self._is_over = True
            self._open()
        self._on_drained()

    def wait(self) -> None:
        """Block this thread while it is full."""
        with self._changed:
            self._changed.wait_for(lambda: not self.is_full)

    def _open(self) -> None:
        self.is_full = False
        self._changed.notify_all()


class Outbox:
    """What goes to the client, line by line, written by a thread of its own.

    Args:
        sink: where it is written to.
        on_gone: is told, in the event loop, when nobody reads there any more.
    """

    def __init__(self, sink: BinaryIO, on_gone: Callable[[], None]) -> None:
        self._sink = sink
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._room = anyio.Event()
        self._turn = anyio.Lock(fast_acquire=True)
        self.backlog = Backlog(MOST_WAITING_BYTES, self._drained)
        self._thread = threading.Thread(target=self._write, name="stdout", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether the client has so much to read that no more is put there for now."""
        return self.backlog.is_full

    def put(self, line: bytes) -> None:
        """Have a line written, however much waits."""
        self.backlog.add(len(line))
        self._lines.put(line)

    async def room(self) -> None:
        """Wait until the outbox is not full, first come, first served."""
        async with self._turn:
            if self.is_full:
                log.warning("client_does_not_read", waiting_bytes=MOST_WAITING_BYTES, effect="nothing is read from it")
            while self.is_full:
                self._room = anyio.Event()
                await self._room.wait()

    def close(self, flush_s: float) -> None:
        """Write what waits, for so long at most; blocks."""
        self._lines.put(None)
        self.backlog.end()
        self._thread.join(flush_s)

    def _write(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                _write_whole(self._sink, line)
                self.backlog.take(len(line))
        except OSError:
            log.info("client_gone")
            self.backlog.end()
            self._in_loop(self._on_gone)

    def _drained(self) -> None:
        self._in_loop(self._make_room)

    def _make_room(self) -> None:
        # looked up only now: by the time that the loop comes here, somebody else may wait
        self._room.set()

    def _in_loop(self, act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # our loop has ended, and with it whoever waits in it
            self._loop.call_soon_threadsafe(act)


class Inbox:
    """What comes from the client, line by line, read by a thread of its own.

    Args:
        source: where it is read from.
        outbox: whether the client reads, too.
        take: gets each line in the event loop; None at the end.
    """

    def __init__(self, source: BufferedReader, outbox: Outbox, take: Callable[[Line | None], None]) -> None:
        self._source = source
        self._outbox = outbox
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog(MOST_WAITING_BYTES)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def close(self) -> None:
        """Let the thread go that may wait for us."""
        self._backlog.end()

    def _read(self) -> None:
        splitter = LineSplitter(MOST_LINE_BYTES)
        with suppress(OSError, ValueError, RuntimeError):  # the client or our loop is gone: either way nothing comes
            while chunk := self._source.read1(_CHUNK_BYTES):
                for line in splitter.feed(chunk):
                    self._hand_over(line)
            for line in splitter.rest():
                self._hand_over(line)
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, None)

    def _hand_over(self, line: Line) -> None:
        size_bytes = len(line.head)
        self._outbox.backlog.wait()
        self._backlog.wait()
        self._backlog.add(size_bytes)
        self._loop.call_soon_threadsafe(self._taken, line, size_bytes)

    def _taken(self, line: Line, size_bytes: int) -> None:
        self._backlog.take(size_bytes)
        self._take(line)


def _write_whole(sink: BinaryIO, line: bytes) -> None:
    left = memoryview(line)
    while left:
        written = sink.write(left)
        left = left[written or 0 :]
