"""Which gateways live: each holds an OS lock on a file of its name, and the system takes it away with the process.

Process ids would not do: they are used again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from asyncfc_mcp.store.faults import BUSY_S, UnusableStore
from asyncfc_mcp.store.place import make_private_folder

_PRIVATE = 0o600
_STARTING_S = 60.0
"""A lock file younger than this may be one that its gateway has just made and not locked yet."""


class Owners:
    """The folder of lock files beside a store.

    Args:
        store: the file whose rows name the owners.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store.with_name(f"{store.name}.owners")

    def claim(self, name: str) -> FileLock:
        """Hold the lock of that name, until it is given to `give_back` or the process ends.

        Raises:
            StoreFault: the folder cannot be written.
        """
        make_private_folder(self._folder)
        lock = self._lock(name)
        lock.acquire(blocking=False)
        return lock

    def give_back(self, lock: FileLock) -> None:
        """Let go of the lock and leave nothing behind."""
        if os.name == "posix":
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        # an open file cannot be deleted there
        if os.name != "posix":
            with suppress(OSError):
                Path(lock.lock_file).unlink(missing_ok=True)

    @contextmanager
    def opening(self) -> Generator[None]:
        """Only one gateway at a time makes or changes the tables.

        Raises:
            StoreFault: another one has been at it for too long, or the folder cannot be written.
        """
        make_private_folder(self._folder)
        try:
            with FileLock(self._folder / "opening", timeout=BUSY_S, mode=_PRIVATE, thread_local=False):
                yield
        except Timeout:
            raise UnusableStore(
                self._store, f"another gateway has been opening it for {BUSY_S:g} s", "try again"
            ) from None

    @contextmanager
    def held_if_gone(self, name: str) -> Generator[bool]:
        """Whether that gateway is gone; if so, nobody else finds it gone meanwhile, and its file goes afterwards."""
        lock = self._lock(name)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):
            yield False
            return
        try:
            yield True
        finally:
            self.give_back(lock)

    def tidy(self) -> None:
        """Delete the lock files of gateways that are gone."""
        for file in self._folder.glob("*.lock"):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime < _STARTING_S:
                    continue
                with self.held_if_gone(file.stem):
                    pass

    def _lock(self, name: str) -> FileLock:
        return FileLock(self._folder / f"{name}.lock", mode=_PRIVATE, thread_local=False)
