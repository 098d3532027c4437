"""A log file for each server that we start: what it says beside the protocol, still there when the gateway has ended.

Several gateways may write to one file: each batch of lines is one write at its end, and says which gateway it is from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

import structlog
from filelock import FileLock, Timeout

from asyncfc_mcp.config.models import ServerEntry
from asyncfc_mcp.config.private_folders import make_private_folders
from asyncfc_mcp.downstream.links.overhearing import Aside
from asyncfc_mcp.downstream.links.secrets import secrets_of

log = structlog.get_logger(__name__)

MAX_BYTES = 1_000_000
"""A file that has become longer makes room: it is kept as the old one, in place of the one before it."""
_LONGEST_NAME = 150
_HASH_LENGTH = 12
_SUFFIX = ".log"


class ServerLogs:
    """Writes what the servers of one gateway say; a file that cannot be written costs a warning and no more."""

    def __init__(
        self,
        state_folder: Path,
        entries: Sequence[ServerEntry],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._state_folder = state_folder
        self._entries = tuple(entries)
        self._secrets = secrets_of(*entries)
        self._now = now
        self._max_bytes = max_bytes
        self._failed: set[str] = set()

    def know(self, entries: Sequence[ServerEntry]) -> None:
        """Hide the secrets of these entries from now on as well; those of earlier ones may still be said."""
        self._entries = (*self._entries, *(entry for entry in entries if entry not in self._entries))
        self._secrets = secrets_of(*self._entries)

    def heard(self, server: str, aside: Aside, lines: list[str]) -> None:
        """Add lines to the file of the server."""
        head = f"{self._now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {os.getpid()} {aside}: "
        content = "".join(f"{head}{line}\n" for line in lines).encode("utf-8", "backslashreplace")
        try:
            self._append(log_file(self._state_folder, server), self._secrets.hidden_in(content))
        except OSError as error:
            if server not in self._failed:
                self._failed.add(server)
                log.warning("server_log_not_written", server=server, fault=type(error).__name__)

    def _append(self, path: Path, content: bytes) -> None:
        make_private_folders(path.parent)
        # Opened anew for each batch: another gateway may have put another file in its place.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, content)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > self._max_bytes:
            self._make_room(path)

    def _make_room(self, path: Path) -> None:
        # Who does not get the lock leaves it to the one that has it; who gets it late finds a short file.
        # A file system that knows no locks has its file grow.
        with suppress(Timeout, NotImplementedError), FileLock(path.with_suffix(".lock"), timeout=0, mode=0o600):
            if path.stat().st_size > self._max_bytes:
                path.replace(old_file(path))


def log_folder(state_folder: Path) -> Path:
    """Where the files are."""
    return state_folder / "logs"


def log_file(state_folder: Path, server: str) -> Path:
    """The file of one server."""
    name = quote(server, safe=" ")
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(server.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
        name = f"{name[:_LONGEST_NAME]}-{digest}"
    return log_folder(state_folder) / f"{name}{_SUFFIX}"


def old_file(path: Path) -> Path:
    """Where the lines are that had to make room."""
    return path.with_name(f"{path.name}.old")


def logged_servers(state_folder: Path) -> dict[str, Path]:
    """The servers that have a file, by their names in order; those of very long ones are cut, as the file's is."""
    names = {path.name.removesuffix(".old") for path in log_folder(state_folder).glob(f"*{_SUFFIX}*")}
    logs = [log_folder(state_folder) / name for name in sorted(names) if name.endswith(_SUFFIX)]
    return {unquote(path.name.removesuffix(_SUFFIX)): path for path in logs}
