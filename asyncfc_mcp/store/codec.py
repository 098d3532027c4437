"""How a row is written: values as JSON in which nothing changes, identities and tokens as hashes."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.core.size import size_of
from asyncfc_mcp.store.base import StoredFuture, StoreFault

LARGE_CHARACTERS = 50_000
"""From here on a value is not written or read in the time of others."""
COMPRESSED_FROM_BYTES = 1000
NOT_STORED = "(why in words was not stored: `store_values` is off)"
_FACTS = {
    FailureReason.OUTCOME_UNKNOWN: "it may have taken effect, and it was not sent again",
    FailureReason.NOT_STARTED: "nothing was sent",
}
"""What a reason says of itself, and nobody may have to guess."""

_PLAIN = b"j"
_COMPRESSED = b"z"
_QUICK = 1
"""Of zlib's levels: 70 MB/s where the default does 16, for a quarter more bytes."""
_REFERENCE = re.compile("#[0-9a-f]{64}")
"""The identity of a row that was not asked for by it; no identity of the gateway looks so."""


class Unwritable(StoreFault):
    """A value that JSON cannot hold."""

    def __init__(self, tool_name: str, fault: str) -> None:
        super().__init__(
            f"the call or the result of {tool_name} cannot be stored ({fault}); "
            '"store_values": false stores none, --store memory does without a file'
        )
        self.tool_name = tool_name


class DamagedRow(StoreFault):
    """A row that cannot be read any more."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"this future cannot be read from the store any more, its row is damaged ({fault})")


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """A row as the tables hold it."""

    columns: dict[str, Any]
    contents: dict[str, bytes | None]

    @property
    def size_bytes(self) -> int:
        """About how much room it takes."""
        return 1000 + sum(len(content) for content in self.contents.values() if content is not None)


def digest(text: str) -> bytes:
    """The hash under which a token is kept."""
    return hashlib.sha256(text_bytes(text)).digest()


def identity_digest(future: str) -> bytes:
    """The hash under which a future is kept, of its identity or of the reference that `read_row` gave instead."""
    return bytes.fromhex(future[1:]) if _REFERENCE.fullmatch(future) else digest(future)


def write_row(row: StoredFuture, *, keeps_values: bool) -> WrittenRow:
    """The row as it is written; without values only how it ended is left of it.

    Raises:
        StoreFault: JSON cannot hold one of its values.
    """
    columns = {
        "id": identity_digest(row.future),
        "token": digest(row.token) if row.token else b"",
        "key": _optional_text(row.key),
        "principal": text_bytes(row.principal),
        "scope": text_bytes(row.scope),
        "server": text_bytes(row.server),
        "tool": text_bytes(row.tool),
        "tool_name": text_bytes(row.tool_name),
        "state": row.state.value,
        "reason": row.failure.reason.value if row.failure is not None else None,
        "labels": text_bytes(_json(list(row.labels) if keeps_values else [])),
        "owner": text_bytes(row.owner),
        "is_told": row.is_told,
        "created_at": row.created_at,
        "settled_at": row.settled_at,
        "expires_at": row.expires_at,
    }
    try:
        contents = {
            "failure": _packed({"message": row.failure.message, "cause": row.failure.cause}) if row.failure else None,
            "result": _packed(row.result),
            "late": _packed(row.late),
            "call": _packed(row.call),
        }
    except (TypeError, ValueError, RecursionError, MemoryError) as error:
        raise Unwritable(row.tool_name, type(error).__name__) from error
    return WrittenRow(columns, contents if keeps_values else dict.fromkeys(contents))


def read_row(kept: Mapping[str, Any], *, future: str = "", token: str = "") -> StoredFuture:
    """The row again, with the identity or the token that it was asked for by; a minted one is both.

    Raises:
        StoreFault: it is damaged.
    """
    asked = future or token
    is_identity = bool(asked) and identity_digest(asked) == kept["id"]
    is_token = bool(asked) and digest(asked) == kept["token"]
    try:
        return StoredFuture(
            future=asked if is_identity else f"#{kept['id'].hex()}",
            token=asked if is_token else "",
            principal=kept["principal"],
            scope=kept["scope"],
            server=kept["server"],
            tool=kept["tool"],
            tool_name=kept["tool_name"],
            state=FutureState(kept["state"]),
            created_at=float(kept["created_at"]),
            settled_at=_optional_time(kept["settled_at"]),
            expires_at=_optional_time(kept["expires_at"]),
            failure=_failure(kept["reason"], _unpacked(kept["failure"])),
            result=_unpacked(kept["result"]),
            late=_unpacked(kept["late"]),
            labels=tuple(json.loads(kept["labels"])),
            is_told=bool(kept["is_told"]),
            owner=kept["owner"],
            key=kept["key"],
            call=_unpacked(kept["call"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error) as error:
        raise DamagedRow(type(error).__name__) from error


def read_damaged_row(kept: Mapping[str, Any]) -> StoredFuture:
    """What is left of an unsettled row that is damaged: enough to settle it."""
    left = {**kept, **dict.fromkeys(("reason", "failure", "result", "late", "call", "settled_at", "expires_at"))}
    try:
        return read_row(left)
    except StoreFault:
        # it may have been at work
        return read_row({**left, "state": FutureState.RUNNING, "labels": "[]", "created_at": 0.0})


def is_large(row: StoredFuture) -> bool:
    """Whether to write it takes long enough to notice; found without writing it."""
    return size_of([row.result, row.late, row.call], LARGE_CHARACTERS) > LARGE_CHARACTERS


def is_large_when_read(kept: Mapping[str, Any]) -> bool:
    """The same question of a row that is to be read; its values are compressed."""
    sizes = (len(kept[name] or b"") for name in ("result", "late", "call"))
    return sum(sizes) > LARGE_CHARACTERS // 4


def _optional_time(kept: float | None) -> float | None:
    return None if kept is None else float(kept)


def _failure(reason: str | None, written: Mapping[str, Any] | None) -> Failure | None:
    if reason is None:
        return None
    if written is None:
        fact = _FACTS.get(FailureReason(reason))
        return Failure(FailureReason(reason), f"{fact} {NOT_STORED}" if fact else NOT_STORED)
    return Failure(FailureReason(reason), written["message"], written["cause"])


def _packed(value: Mapping[str, Any] | None) -> bytes | None:
    if value is None:
        return None
    plain = text_bytes(_json(value))
    if len(plain) < COMPRESSED_FROM_BYTES:
        return _PLAIN + plain
    compressed = zlib.compress(plain, _QUICK)
    return _COMPRESSED + compressed if len(compressed) < len(plain) else _PLAIN + plain


def _unpacked(blob: bytes | None) -> dict[str, Any] | None:
    if blob is None:
        return None
    kind, body = blob[:1], blob[1:]
    if kind not in (_PLAIN, _COMPRESSED):
        raise ValueError("the value is written in an unknown way")
    plain = zlib.decompress(body) if kind == _COMPRESSED else body
    return json.loads(plain.decode("utf-8", "surrogatepass"))


def _json(value: object) -> str:
    # not escaped: escapes of two lone surrogates side by side would be read back as one character
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)


def _optional_text(text: str | None) -> bytes | None:
    return None if text is None else text_bytes(text)


def text_bytes(text: str) -> bytes:
    """Text of clients as it is bound: it may hold halves of characters."""
    return text.encode("utf-8", "surrogatepass")
