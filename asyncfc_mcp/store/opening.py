"""Which store a configuration asks for."""

from __future__ import annotations

import re
from pathlib import Path

import structlog

from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.store.base import FutureStore, StoreFault
from asyncfc_mcp.store.memory import MemoryStore
from asyncfc_mcp.store.place import make_private_file
from asyncfc_mcp.store.sqlite import SqliteStore

log = structlog.get_logger()

DEFAULT_FILE = "futures.db"
ALLOWED = '"sqlite" (a file in the user\'s state folder), "sqlite:///PATH" or "memory"'

_SQLITE_URL = "sqlite:///"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}")


class UnknownStore(GatewayError):
    """The configuration asks for a store that there is not."""

    def __init__(self, fact: str) -> None:
        super().__init__(f"asyncfc.store (--store) is {fact}; allowed: {ALLOWED}")


def store_for(settings: GatewaySettings, state_folder: Path | None, kind: str) -> FutureStore:
    """The store that the settings ask for, not opened yet.

    `kind`: of the gateway; it takes over calls of its own kind alone.

    The default one is in memory where there is no state folder or it cannot be written: a gateway that forgets is of
    more use than none.

    Raises:
        UnknownStore: there is no such store.
    """
    if settings.store == "memory":
        return MemoryStore()
    path = store_file(settings, state_folder)
    if path is None:
        return MemoryStore()
    is_default = settings.store == "sqlite"
    if is_default:
        try:
            make_private_file(path, with_folder=True)
        except StoreFault as fault:
            log.warning("store_not_durable", fault=str(fault), effect="futures are lost when the gateway ends")
            return MemoryStore()
    return SqliteStore(
        path,
        max_bytes=store_bytes(settings),
        keeps_values=settings.store_values,
        makes_folder=is_default,
        kind=kind,
    )


def store_bytes(settings: GatewaySettings) -> int:
    """How large the file may become."""
    return int(settings.store_max_mb * 1_000_000)


def store_file(settings: GatewaySettings, state_folder: Path | None) -> Path | None:
    """The file that the settings name; None for none.

    Raises:
        UnknownStore: there is no such store.
    """
    if settings.store == "memory":
        return None
    if settings.store == "sqlite":
        return state_folder / DEFAULT_FILE if state_folder is not None else None
    if not settings.store.startswith(_SQLITE_URL):
        # the scheme alone: what follows it may hold a password
        scheme = _SCHEME.match(settings.store)
        raise UnknownStore(f'"{scheme[0]}…"' if scheme else "none of the known ones")
    path, mark, _ = settings.store.removeprefix(_SQLITE_URL).partition("?")
    if mark or not Path(path).name or path == ":memory:":
        raise UnknownStore(f'"{_SQLITE_URL}…" without the path of a file, or with options after it')
    return Path(path).expanduser()
