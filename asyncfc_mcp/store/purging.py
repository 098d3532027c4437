"""Deletes what people want gone from a store, also while gateways use it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

from asyncfc_mcp.store import rows
from asyncfc_mcp.store.base import StoreFault
from asyncfc_mcp.store.database import Database, Step
from asyncfc_mcp.store.owners import Owners
from asyncfc_mcp.store.place import make_private_file

_ROWS_AT_A_TIME = 500
"""Gateways write in between."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge did."""

    deleted: int
    abandoned: int
    """Of them, those that had not settled and whose gateway is gone."""
    left: int
    unsettled: int
    """Of those that are left, the ones that have not settled."""
    size_bytes: int
    """Of the file afterwards, with the log beside it."""


def purge(path: Path, *, max_bytes: int, now: float, settled_before: float | None = None) -> Purged:
    """Delete futures from a file that is there; those that a living gateway works on are never deleted.

    Args:
        path: the file.
        max_bytes: how large it may be.
        now: what has expired by then goes.
        settled_before: what settled before that goes as well; infinity for all that has settled, and for what gateways
            that are gone have left unsettled.

    Raises:
        StoreFault: it cannot be opened or written.
    """
    owners = Owners(path)
    make_private_file(path, with_folder=False)
    with owners.opening():
        database = Database.opened(path, max_bytes)
    try:
        deleted = _delete(database, lambda connection: rows.delete_expired(connection, now, _ROWS_AT_A_TIME))
        abandoned = 0
        if settled_before is not None:
            before = settled_before
            deleted += _delete(database, lambda connection: rows.delete_settled(connection, before, _ROWS_AT_A_TIME))
            abandoned = _delete_abandoned(database, owners) if math.isinf(before) else 0
        database.shrink()
        left, unsettled = database.read(rows.count), database.read(rows.count_unsettled)
    finally:
        database.close()
    return Purged(deleted + abandoned, abandoned, left, unsettled, _size_bytes(path))


def _delete(database: Database, deletion: Callable[[Connection], int]) -> int:
    deleted = 0
    while more := _take(database, deletion):
        deleted += more
    return deleted


def _delete_abandoned(database: Database, owners: Owners) -> int:
    deleted = 0
    for owner in database.read(rows.owners):
        with owners.held_if_gone(owner) as is_gone:
            if is_gone:
                deleted += _take(database, lambda connection, owner=owner: rows.delete_owned(connection, owner))
    return deleted


def _take(database: Database, deletion: Callable[[Connection], int]) -> int:
    (result,) = database.write([Step(deletion)])
    if isinstance(result, StoreFault):
        raise result
    return result


def _size_bytes(path: Path) -> int:
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
