"""The audit log: one line of JSON for each value that goes from one server to another. Never the value itself.

A line is in the file before its value is sent. Several gateways write to one file: each line is one write at its end,
and the file is moved aside under a name that nobody else picks, so none of it needs a lock.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future as Written
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import structlog

from asyncfc_mcp.config.private_folders import make_private_folders

FILE_NAME = "audit.jsonl"
MOST_BYTES = 10 * 2**20
MOST_MOVED_ASIDE = 2
"""Older files that are kept; with the current one that makes three."""
PATIENCE_S = 2.0
"""How long a call waits for its line: a disk that hangs must not keep every call."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One value on its way."""

    principal: str
    scope: str
    source: Mapping[str, Any]
    """`server`, `tool` and `future`; `made_from` where it was made from values of further servers."""
    target: Mapping[str, Any]
    """`server`, `tool` (or `prompt`, `method`), `argument` in words, and `future` where it has one."""
    decision: str


class AuditLog:
    """Appends to `audit.jsonl` in a folder, in order, in a thread of its own."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.path = folder / FILE_NAME
        self._most_bytes = most_bytes
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")
        self._has_warned = False

    async def write(self, lines: Sequence[AuditLine]) -> None:
        """Have the lines in the file when this returns; that it cannot be written is said once and stops nothing."""
        with anyio.move_on_after(PATIENCE_S) as patience:
            await asyncio.shield(asyncio.wrap_future(self.begin(lines)))
        if patience.cancelled_caught:
            self._warn(f"no answer from the disk within {PATIENCE_S:g} s")

    def begin(self, lines: Sequence[AuditLine]) -> Written[None]:
        """Have the lines written soon, in their order."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self._thread.submit(self._append, b"".join(_spelled(now, line) for line in lines))

    def _append(self, lines: bytes) -> None:
        try:
            make_private_folders(self.path.parent)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                # one write: the system puts it at the end as a whole, whoever else writes there
                if os.write(descriptor, lines) < len(lines):
                    raise OSError("the disk is full")
                is_full = os.fstat(descriptor).st_size >= self._most_bytes
            finally:
                os.close(descriptor)
            if is_full:
                self._move_aside()
        except OSError as error:
            self._warn(error.strerror or str(error))

    def _move_aside(self) -> None:
        """Whoever is a moment late moves a file that has only just begun, or none, and nothing is lost by it."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        with suppress(FileNotFoundError, PermissionError):  # on Windows a file that another one writes to stays
            self.path.rename(self.path.with_name(f"{self.path.stem}-{moment}-{os.getpid()}.jsonl"))
        aside = sorted(self.path.parent.glob(f"{self.path.stem}-*.jsonl"))
        for old in aside[:-MOST_MOVED_ASIDE]:
            old.unlink(missing_ok=True)

    def _warn(self, fault: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "audit_not_written", path=str(self.path), fault=fault, effect="calls go on; values cross unrecorded"
            )


def _spelled(now: str, line: AuditLine) -> bytes:
    said = {
        "time": now,
        "principal": line.principal,
        "scope": line.scope,
        "from": line.source,
        "to": line.target,
        "decision": line.decision,
    }
    return json.dumps(said, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
