"""Lines to and from a client, with a bound on what waits in either direction.

A client that does not read is not read from either, once so much waits for it; nothing that it was to get is lost.
What can be read or written at once is so in the event loop; what could block is left to threads.
"""

from __future__ import annotations

import asyncio
import os
import queue
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader
from typing import BinaryIO, Protocol, cast

import anyio
import structlog

from asyncfc_mcp.downstream.links.framing import Line, LineSplitter
from asyncfc_mcp.transports.descriptors import at_once, watchable

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

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits; for whoever adds, since nobody else can make that untrue."""
        return not self._waiting_bytes

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
    """What goes to the client, line by line; a thread of its own writes what would block.

    Args:
        sink: where it is written to.
        on_gone: is told, in the event loop, when nobody reads there any more.
    """

    def __init__(self, sink: BinaryIO, on_gone: Callable[[], None]) -> None:
        self._sink = sink
        self._take = at_once(sink)
        self._on_gone = on_gone
        self._is_gone = False
        self.on_room: Callable[[], None] = lambda: None
        """Is told, in the event loop, that the outbox is not full any more."""
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
        rest = self._without_what_is_taken(line)
        if rest:
            self.backlog.add(len(rest))
            self._lines.put(rest)

    async def room(self) -> None:
        """Wait until the outbox is not full, first come, first served."""
        if not (self.is_full or self._turn.locked()):
            return
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

    def _without_what_is_taken(self, line: bytes) -> bytes:
        if self._is_gone:
            return b""
        if not self.backlog.is_empty:  # the order is that of the lines
            return line
        try:
            return line[self._take(line) :]
        except OSError:
            self._lose_client()
            return b""

    def _write(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                _write_whole(self._sink, line)
                self.backlog.take(len(line))
        except (OSError, ValueError):  # ValueError: it was closed, by who does not wait for this thread any more
            self._lose_client()

    def _lose_client(self) -> None:
        self._is_gone = True
        log.info("client_gone")
        self.backlog.end()
        self._in_loop(self._on_gone)

    def _drained(self) -> None:
        self._in_loop(self._make_room)

    def _make_room(self) -> None:
        # looked up only now: by the time that the loop comes here, somebody else may wait
        self._room.set()
        self.on_room()

    def _in_loop(self, act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # our loop has ended, and with it whoever waits in it
            self._loop.call_soon_threadsafe(act)


class Inbox(Protocol):
    """What comes from the client, line by line."""

    def close(self) -> None:
        """Hand nothing over any more."""
        ...


def open_inbox(source: BufferedReader, outbox: Outbox, take: Callable[[Line | None], None]) -> Inbox:
    """Begin to read from a client.

    Args:
        source: where it is read from; nothing of it may be in the buffer.
        outbox: whether the client reads, too.
        take: gets each line in the event loop; None at the end.
    """
    descriptor = watchable(source)
    if descriptor is None:
        return _ThreadedInbox(source, outbox, take)
    return _WatchedInbox(descriptor, outbox, take)


class _WatchedInbox:
    """Reads in the event loop, once each time that there is something: other work has its turn in between."""

    def __init__(self, descriptor: int, outbox: Outbox, take: Callable[[Line | None], None]) -> None:
        self._descriptor = descriptor
        self._outbox = outbox
        self._take = take
        self._splitter = LineSplitter(MOST_LINE_BYTES)
        self._loop = asyncio.get_running_loop()
        self._is_over = False
        outbox.on_room = self._watch
        self._watch()

    def close(self) -> None:
        """Stop reading."""
        self._is_over = True
        self._loop.remove_reader(self._descriptor)

    def _watch(self) -> None:
        if not self._is_over:
            self._loop.add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        if self._outbox.is_full:
            self._loop.remove_reader(self._descriptor)
            return
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:  # who started us shares the descriptor, and does not want it to block
            return
        except OSError:
            chunk = b""
        for line in self._splitter.feed(chunk) if chunk else self._splitter.rest():
            self._take(line)
        if not chunk:
            self.close()
            self._take(None)


class _ThreadedInbox:
    """Reads in a thread of its own, which may block."""

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
        written = cast("int | None", sink.write(left))  # a raw file says None where it would block
        if written is None:  # who started us shares the descriptor, and does not want it to block
            select.select((), (sink,), ())
        left = left[written or 0 :]
