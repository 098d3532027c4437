"""Futures of a store as people look at them, also while gateways use it: how they stand, and no values."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncfc_mcp.store.codec import digest
from asyncfc_mcp.store.database import Database
from asyncfc_mcp.store.schema import check_origin

_COLUMNS = "lower(hex(token)) AS token_hash, server, tool, state, reason, is_told, created_at, settled_at, expires_at"
_NEWEST = "ORDER BY created_at DESC, number DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class PastFuture:
    """One future of the store; times are seconds since the epoch."""

    token_hash: str
    """The store has no tokens, only these; see `hash_of`."""
    server: str
    tool: str
    state: str
    """As it was last stored."""
    reason: str | None
    """Why it failed, in one word."""
    is_told: bool
    """Whether its client has seen how it settled."""
    created_at: float
    settled_at: float | None
    expires_at: float | None


def hash_of(token: str) -> str:
    """What the store has instead of that token."""
    return digest(token).hex()


def past_futures(path: Path, *, max_bytes: int, most: int) -> list[PastFuture]:
    """The newest futures of a file that is there, the newest first.

    Raises:
        StoreFault: it cannot be read, or is no store.
    """
    return _read(path, max_bytes, f"SELECT {_COLUMNS} FROM futures {_NEWEST}", (most,))  # noqa: S608 - names of ours


def past_future(path: Path, token: str, *, max_bytes: int) -> PastFuture | None:
    """The newest future under that token.

    Raises:
        StoreFault: the file cannot be read, or is no store.
    """
    query = f"SELECT {_COLUMNS} FROM futures WHERE token = ? {_NEWEST}"  # noqa: S608 - names of ours alone
    found = _read(path, max_bytes, query, (digest(token), 1))
    return found[0] if found else None


def _read(path: Path, max_bytes: int, query: str, values: Sequence[object]) -> list[PastFuture]:
    def rows(connection: sqlite3.Connection) -> list[PastFuture]:
        check_origin(connection, path)
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'futures'").fetchall():
            return []
        found = connection.execute(query, tuple(values)).fetchall()
        return [_past(dict(row)) for row in found]

    database = Database.for_reading(path, max_bytes)
    try:
        return database.read(rows)
    finally:
        database.close()


def _past(row: dict[str, Any]) -> PastFuture:
    row["is_told"] = bool(row["is_told"])
    return PastFuture(**row)
