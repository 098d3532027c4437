"""The statements: one row in and out of the tables, and which rows may go."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from asyncfc_mcp.core.future import SETTLED
from asyncfc_mcp.store.codec import WrittenRow

Kept = dict[str, Any]
"""A row as the tables hold it."""

_TEXTS = ("key", "principal", "scope", "server", "tool", "tool_name", "labels", "owner")
"""Bound as bytes: text of clients may hold halves of characters, which SQLite keeps and Python would not bind."""
_COLUMNS = (
    "id", "token", *_TEXTS, "state", "reason", "is_told", "created_at", "settled_at", "expires_at",
)  # fmt: skip
_VALUES = ", ".join(f"CAST(:{name} AS TEXT)" if name in _TEXTS else f":{name}" for name in _COLUMNS)
# A row that was not asked for by its token has none to bring back.
_UPDATES = ", ".join(
    "token = CASE excluded.token WHEN x'' THEN token ELSE excluded.token END"
    if name == "token"
    else f"{name} = excluded.{name}"
    for name in _COLUMNS
)
_PUT = (
    f"INSERT INTO futures ({', '.join(_COLUMNS)}) VALUES ({_VALUES})"  # noqa: S608 - names of ours alone
    f" ON CONFLICT (id) DO UPDATE SET {_UPDATES}"
)
_PUT_CONTENTS = "INSERT OR REPLACE INTO contents (future, failure, result, late, call) VALUES (?, ?, ?, ?, ?)"
_DROP_CONTENTS = "DELETE FROM contents WHERE future = ?"
_ROW = "SELECT futures.*, failure, result, late, call FROM futures LEFT JOIN contents ON future = number"
_NEWEST = "ORDER BY created_at DESC, number DESC LIMIT 1"
_SETTLED = f"state IN ({', '.join(repr(state.value) for state in SETTLED)})"


def put(connection: sqlite3.Connection, row: WrittenRow) -> int:
    """Write the row in place of what was there."""
    # not RETURNING: some systems' Python still has a SQLite without it
    connection.execute(_PUT, row.columns)
    number = connection.execute("SELECT number FROM futures WHERE id = ?", (row.columns["id"],)).fetchall()[0][0]
    if any(content is not None for content in row.contents.values()):
        connection.execute(_PUT_CONTENTS, (number, *row.contents.values()))
    else:
        connection.execute(_DROP_CONTENTS, (number,))
    return 1


def mark_told(connection: sqlite3.Connection, identities: Sequence[bytes]) -> int:
    """Note that the client has seen how they settled."""
    query = "UPDATE futures SET is_told = 1 WHERE id = ?"
    return connection.executemany(query, [(identity,) for identity in identities]).rowcount


def delete(connection: sqlite3.Connection, identity: bytes) -> int:
    """Delete one row."""
    return connection.execute("DELETE FROM futures WHERE id = ?", (identity,)).rowcount


def delete_expired(connection: sqlite3.Connection, now: float, most: int) -> int:
    """Delete rows whose time is over; how many they were."""
    query = _deletion("expires_at <= ? ORDER BY expires_at LIMIT ?")
    return connection.execute(query, (now, most)).rowcount


def delete_oldest(connection: sqlite3.Connection, most: int, *, is_told: bool) -> int:
    """Delete settled rows, those first that settled first."""
    query = _deletion(f"expires_at IS NOT NULL AND {_SETTLED} AND is_told = ? ORDER BY expires_at LIMIT ?")
    return connection.execute(query, (is_told, most)).rowcount


def delete_settled(connection: sqlite3.Connection, settled_before: float, most: int) -> int:
    """Delete rows that settled before that moment, whether the client has seen them or not."""
    query = _deletion(f"{_SETTLED} AND settled_at < ? LIMIT ?")
    return connection.execute(query, (settled_before, most)).rowcount


def delete_owned(connection: sqlite3.Connection, owner: str) -> int:
    """Delete the unsettled rows of a gateway."""
    query = f"DELETE FROM futures WHERE owner = ? AND NOT {_SETTLED}"  # noqa: S608 - names of ours alone
    return connection.execute(query, (owner,)).rowcount


def pass_on(connection: sqlite3.Connection, from_owner: str, to_owner: str) -> int:
    """Have another gateway answer for the unsettled rows of one."""
    query = f"UPDATE futures SET owner = ? WHERE owner = ? AND NOT {_SETTLED}"  # noqa: S608 - names of ours alone
    return connection.execute(query, (to_owner, from_owner)).rowcount


def by_identity(connection: sqlite3.Connection, identity: bytes) -> Kept | None:
    """The row of that identity."""
    return _first(connection.execute(f"{_ROW} WHERE id = ?", (identity,)))


def by_token(connection: sqlite3.Connection, principal: bytes, token: bytes, scope: bytes) -> Kept | None:
    """The newest row of that principal under that token, of that scope if there is one."""
    order = _NEWEST.replace("ORDER BY", "ORDER BY scope = CAST(? AS TEXT) DESC,")
    query = f"{_ROW} WHERE token = ? AND principal = CAST(? AS TEXT) {order}"
    return _first(connection.execute(query, (token, principal, scope)))


def by_key(connection: sqlite3.Connection, principal: bytes, key: bytes) -> Kept | None:
    """The newest row of that principal under that key."""
    query = f"{_ROW} WHERE key = CAST(? AS TEXT) AND principal = CAST(? AS TEXT) {_NEWEST}"
    return _first(connection.execute(query, (key, principal)))


def owned(connection: sqlite3.Connection, owner: str) -> list[Kept]:
    """The unsettled rows of a gateway, oldest first."""
    query = f"{_ROW} WHERE owner = ? AND NOT {_SETTLED} ORDER BY created_at, number"
    return [dict(row) for row in connection.execute(query, (owner,)).fetchall()]


def owners(connection: sqlite3.Connection) -> list[str]:
    """The gateways that rows name."""
    return [row[0] for row in connection.execute("SELECT DISTINCT owner FROM futures WHERE owner <> ''").fetchall()]


def count(connection: sqlite3.Connection) -> int:
    """How many rows there are."""
    return int(connection.execute("SELECT count(*) FROM futures").fetchall()[0][0])


def count_unsettled(connection: sqlite3.Connection) -> int:
    """How many of them are not settled."""
    query = f"SELECT count(*) FROM futures WHERE NOT {_SETTLED}"  # noqa: S608 - names of ours alone
    return int(connection.execute(query).fetchall()[0][0])


def _deletion(condition: str) -> str:
    return f"DELETE FROM futures WHERE number IN (SELECT number FROM futures WHERE {condition})"  # noqa: S608 - names of ours alone


def _first(cursor: sqlite3.Cursor) -> Kept | None:
    # all of them, so that the statement ends and holds no old state of the file
    rows = cursor.fetchall()
    return dict(rows[0]) if rows else None
