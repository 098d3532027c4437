"""The directory of running gateways: one private file each in the state folder, and a lock that says it still runs."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog
from filelock import FileLock, Timeout

from asyncfc_mcp.config.private_folders import make_private_folders
from asyncfc_mcp.downstream.private_file import replace_file

FOLDER = "gateways"
_PRIVATE = 0o600

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """One gateway, as others find it."""

    pid: int
    started_at: float
    """Seconds since the epoch."""
    transport: str
    servers: tuple[str, ...]
    url: str | None = None
    """Of its dashboard, if it has one."""
    token: str | None = field(default=None, repr=False)
    """Opens it."""

    @property
    def address(self) -> str | None:
        """What a browser opens: the token is in the fragment, which no browser sends."""
        return f"{self.url}#token={self.token}" if self.url is not None else None


@contextmanager
def announced(state_folder: Path | None, gateway: RunningGateway) -> Generator[None]:
    """Have a gateway in the directory; one that cannot be entered runs all the same."""
    if state_folder is None:
        yield
        return
    folder = state_folder / FOLDER
    lock = _lock(folder, gateway.pid)
    file = folder / f"{gateway.pid}.json"
    try:
        make_private_folders(folder)
        running_gateways(state_folder)  # clears away what killed ones have left
        lock.acquire(blocking=False)
        replace_file(file, json.dumps(asdict(gateway)).encode())
    except (OSError, Timeout) as error:
        log.warning("gateway_not_listed", why=str(error), effect="`asyncfc-mcp futures` and `stats` do not find it")
    try:
        yield
    finally:
        if lock.is_locked:
            _remove(file, lock)


def running_gateways(state_folder: Path) -> list[RunningGateway]:
    """The gateways of this user that run, the oldest first; what others have left is cleared away."""
    return sorted(_found(state_folder / FOLDER), key=lambda one: one.started_at)


def _found(folder: Path) -> Iterator[RunningGateway]:
    for file in folder.glob("*.json"):
        if file.stem.isdecimal() and not _cleared(file, _lock(folder, int(file.stem))):
            with suppress(OSError, ValueError, TypeError, KeyError):
                yield _read(file)


def _read(file: Path) -> RunningGateway:
    entry: dict[str, Any] = json.loads(file.read_bytes())
    entry["servers"] = tuple(entry["servers"])
    return RunningGateway(**entry)


def _cleared(file: Path, lock: FileLock) -> bool:
    """Whether its gateway is gone."""
    try:
        lock.acquire(blocking=False)
    except (OSError, Timeout):
        return False
    _remove(file, lock)
    return True


def _remove(file: Path, lock: FileLock) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)
    if os.name == "posix":
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):  # an open file cannot be deleted on Windows
        Path(lock.lock_file).unlink(missing_ok=True)


def _lock(folder: Path, pid: int) -> FileLock:
    return FileLock(folder / f"{pid}.lock", mode=_PRIVATE, thread_local=False)
