"""The tables of the file, how an older file becomes one of today, and which files are refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from asyncfc_mcp.store.faults import DamagedStore, UnusableStore

APPLICATION_ID = 0x41464D43
"""`AFMC` in the header of the file: one of ours."""

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE futures (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        token BLOB NOT NULL,
        key TEXT,
        principal TEXT NOT NULL,
        scope TEXT NOT NULL,
        server TEXT NOT NULL,
        tool TEXT NOT NULL,
        tool_name TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        labels TEXT NOT NULL,
        owner TEXT NOT NULL,
        is_told INTEGER NOT NULL,
        created_at REAL NOT NULL,
        settled_at REAL,
        expires_at REAL
    );
    CREATE TABLE contents (
        future INTEGER PRIMARY KEY,
        failure BLOB,
        result BLOB,
        late BLOB,
        call BLOB
    );
    CREATE TRIGGER contents_go_with_their_future AFTER DELETE ON futures BEGIN
        DELETE FROM contents WHERE future = OLD.number;
    END;
    CREATE INDEX futures_by_token ON futures (token, principal, created_at);
    CREATE INDEX futures_by_key ON futures (key, principal, created_at) WHERE key IS NOT NULL;
    CREATE INDEX futures_by_expiry ON futures (expires_at) WHERE expires_at IS NOT NULL;
    CREATE INDEX futures_by_owner ON futures (owner) WHERE owner <> '';
    """,
)
"""What makes version n of version n - 1. A step that has been released never changes."""


class NewerStore(UnusableStore):
    """A later release has written the file, and this one cannot know what it means."""

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(
            path,
            f"a newer asyncfc-mcp has written it (version {version} of its tables, this one knows {known})",
            "install that one again, or move the file away",
        )
        self.version = version


def check_origin(connection: sqlite3.Connection, path: Path, steps: Sequence[str] = STEPS) -> None:
    """Refuse what this release did not write, before anything is written to it.

    Raises:
        StoreFault: it is a file of something else, newer, or damaged.
    """
    application = _number(connection, "PRAGMA application_id")
    version = _number(connection, "PRAGMA user_version")
    objects = _number(connection, "SELECT count(*) FROM sqlite_master")
    if application == 0 and version == 0 and objects == 0:
        return
    if application != APPLICATION_ID:
        raise UnusableStore(path, "it is a database of something else", "name another file")
    if version > len(steps):
        raise NewerStore(path, version, len(steps))
    if version == 0 or objects == 0:
        raise DamagedStore(path, "its tables are missing")


def migrate(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Take the steps that the file has not seen, each in one transaction with the note that it was taken."""
    for version in range(_number(connection, "PRAGMA user_version") + 1, len(steps) + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {steps[version - 1]};"
                f" PRAGMA user_version = {version}; COMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])
