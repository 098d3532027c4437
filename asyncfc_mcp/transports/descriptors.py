"""What can be read from or written to a client's descriptors without blocking; the rest is for threads.

O_NONBLOCK is never set: it belongs to whoever shares the descriptor as well, and would surprise them.
"""

from __future__ import annotations

import io
import os
import select
import socket
import stat
import sys
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

_MOST_AT_ONCE_BYTES = 64 * 1024
"""Of one line. More is left to a thread: what it writes while it holds no lock need not be cut into pieces here."""

Take = Callable[[bytes], int]
"""Writes as much of a line as can be written now; how many bytes that were. Raises OSError when nobody reads there."""


def fill_standard_descriptors() -> None:
    """Open descriptors 0 to 2 on nothing where a client started us without them: else the next file opened is one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    # Python has left these out, each with its descriptor
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def watchable(source: BinaryIO) -> int | None:
    """The descriptor of a source of which the event loop can say whether there is something to read; None for others.

    Where an event loop watches files and terminals as well, it knows less of their ends than of those of pipes.
    """
    descriptor = _descriptor_of(source)
    return descriptor if descriptor is not None and _is_of(descriptor, stat.S_ISFIFO, stat.S_ISSOCK) else None


def at_once(sink: BinaryIO) -> Take:
    """How to write there without blocking."""
    descriptor = _descriptor_of(sink)
    if descriptor is not None and sys.platform != "win32":
        if _is_of(descriptor, stat.S_ISFIFO):
            writable = select.poll()
            writable.register(descriptor, select.POLLOUT)
            return partial(_into_pipe, descriptor, writable)
        if _is_of(descriptor, stat.S_ISSOCK):
            return partial(_into_socket, descriptor)
    return _nothing


def _descriptor_of(file: BinaryIO) -> int | None:
    try:
        return file.fileno() if sys.platform != "win32" else None
    except io.UnsupportedOperation:
        return None


def _is_of(descriptor: int, *kinds: Callable[[int], bool]) -> bool:
    mode = os.fstat(descriptor).st_mode
    return any(is_kind(mode) for is_kind in kinds)


def _nothing(_: bytes) -> int:
    return 0


if sys.platform != "win32":

    def _into_pipe(descriptor: int, writable: select.poll, line: bytes) -> int:
        if len(line) > _MOST_AT_ONCE_BYTES:
            return 0
        written = 0
        # A pipe of which poll says that it is writable takes PIPE_BUF bytes without blocking (POSIX).
        while written < len(line) and _is_ready(writable):
            written += os.write(descriptor, line[written : written + select.PIPE_BUF])
        return written

    def _is_ready(writable: select.poll) -> bool:
        return bool(writable.poll(0))

    def _into_socket(descriptor: int, line: bytes) -> int:
        if len(line) > _MOST_AT_ONCE_BYTES:
            return 0
        end = socket.socket(fileno=descriptor)
        try:
            return end.send(line, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        finally:
            end.detach()
