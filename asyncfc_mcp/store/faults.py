"""What SQLite says, in words for the person who reads it: the file, the fact, the ways out."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from asyncfc_mcp.store.base import StoreFault, StoreFull

BUSY_S = 5.0
"""How long a write waits for another gateway that writes to the same file."""
ELSEWHERE = '"store": "memory" (--store memory) keeps nothing, "sqlite:///PATH" (--store) names another file'

_FULL = frozenset(
    {
        sqlite3.SQLITE_FULL,
        # what a limit on file sizes or a quota looks like
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    }
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FORBIDDEN = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH})


class DamagedStore(StoreFault):
    """The file is not what this package wrote; it is left as it is."""

    def __init__(self, path: Path, fact: str) -> None:
        super().__init__(
            f"the store {path} is damaged: {fact}; it is left as it is; move it away for a new one. {ELSEWHERE}"
        )
        self.path = path


class UnusableStore(StoreFault):
    """The place cannot be used as it is."""

    def __init__(self, path: Path, fact: str, way_out: str) -> None:
        super().__init__(f"the store {path} cannot be used: {fact}; {way_out}. {ELSEWHERE}")
        self.path = path


class LimitReached(StoreFull):
    """The file is as large as it may be, and nothing that may be deleted is left."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        super().__init__(
            f"the store {path} has reached its limit of {max_bytes / 1e6:g} MB, and no settled futures are left in it "
            "that could make room; raise `store_max_mb`, or wait for some to settle"
        )
        self.path = path
        self.max_bytes = max_bytes


class DiskFull(StoreFull):
    """The system has no room for the file; nothing that a client may still ask for is deleted for its sake."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the store {path} cannot be written: the disk is full, or a limit on the size of files is reached; "
            f"make room. {ELSEWHERE}"
        )
        self.path = path


def is_full(error: BaseException) -> bool:
    """Whether room is what was missing."""
    code = _code(error)
    return code in _FULL or (code & 0xFF) == sqlite3.SQLITE_FULL


def concerns_file(error: BaseException) -> bool:
    """Whether any other write would have failed likewise."""
    return (_code(error) & 0xFF) in _DAMAGED | _BUSY | _FORBIDDEN


def fault_of(error: Exception, path: Path) -> StoreFault:
    """The fault to raise for what went wrong with the file."""
    if isinstance(error, StoreFault):
        return error
    if is_full(error):
        return DiskFull(path)
    kind = _code(error) & 0xFF
    if kind in _DAMAGED:
        return DamagedStore(path, str(error))
    fact, way_out = f"{type(error).__name__}: {error}", "try again"
    if kind in _BUSY:
        fact = f"something else has been writing to it for {BUSY_S:g} s"
    elif kind in _FORBIDDEN:
        fact, way_out = str(error), "it and its folder must be writable for you"
    return UnusableStore(path, fact, way_out)


def place_fault(error: OSError, path: Path) -> StoreFault:
    """The fault to raise for a file or folder that the system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UnusableStore(path, "the disk is full", "make room on it")
    fact = os.strerror(error.errno) if error.errno is not None else type(error).__name__
    return UnusableStore(path, fact.lower(), "it and its folder must be there and writable for you")


def _code(error: BaseException) -> int:
    """SQLite's extended result code; 0 where there is none."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code if isinstance(code, int) else 0
