"""What `init` has done, kept in the state folder so that it can be taken back, switched off and on.

It holds entries as they stood in clients' files, so it is for its owner alone.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from filelock import FileLock, Timeout

from asyncfc_mcp.adoption.edits import Add, Append, Drop, Edit, Remove
from asyncfc_mcp.clients.places import Format
from asyncfc_mcp.config.private_folders import make_private_folders
from asyncfc_mcp.downstream.private_file import replace_file
from asyncfc_mcp.errors import GatewayError

_VERSION = 1
Role = Literal["client", "gateway", "rules"]


class UnwritableJournal(GatewayError):
    """What is to be done cannot be noted, and so is not done."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}, where init notes what it does, cannot be written ({error.strerror})")
        self.path = path


class HeldByOthers(GatewayError):
    """Another command changes the same files just now."""

    def __init__(self, folder: Path) -> None:
        super().__init__("another `init`, `off` or `on` is at work; nothing was changed, try again when it has ended")
        self.folder = folder


class DamagedJournal(GatewayError):
    """What was done cannot be read any more."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}, where init noted what it did, cannot be read; the copies that it made stand beside the files "
            "(*.asyncfc-backup-*): put them back by hand, then delete it"
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that was changed, or made."""

    role: Role
    title: str
    """Whose file it is."""
    path: Path
    format: Format
    edits: tuple[Edit, ...]
    before: str | None
    """The hash of what was there; None for a file that was made."""
    after: str
    backup: Path | None
    is_on: bool = True
    """Whether it stands; `off` takes it back for the time being."""


@dataclass(frozen=True, slots=True)
class CommandChange:
    """Servers exchanged for the gateway by the client's own command."""

    title: str
    name: str
    """The gateway's entry."""
    entry: dict[str, Any]
    servers: dict[str, Any]
    """The entries that were taken out."""
    was_run: bool
    """Else the commands were only shown, and the user may have run them or not."""
    is_on: bool = True


Change = FileChange | CommandChange


class Journal:
    """The changes that stand, oldest first.

    Args:
        state_folder: where the gateway keeps what it knows.
        patience_s: how long to wait for another command that is at work.
    """

    def __init__(self, state_folder: Path, *, patience_s: float = 10.0) -> None:
        self.folder = state_folder / "adoption"
        self.path = self.folder / "journal.json"
        self._patience_s = patience_s

    def changes(self) -> tuple[Change, ...]:
        """What was done and not taken back.

        Raises:
            DamagedJournal: it cannot be read.
        """
        try:
            document = json.loads(self.path.read_bytes())
            return tuple(_change(raw) for raw in document["changes"])
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedJournal(self.path) from error

    @contextmanager
    def held(self) -> Generator[None]:
        """Nobody else reads, changes and notes meanwhile.

        Raises:
            HeldByOthers: somebody else does, and does not come to an end.
            UnwritableJournal: the system refuses.
        """
        # Beside the folder, which goes when nothing is noted any more.
        lock = FileLock(self.folder.with_suffix(".lock"), timeout=self._patience_s, mode=0o600)
        try:
            make_private_folders(self.folder.parent)
            lock.acquire()
        except Timeout:
            raise HeldByOthers(self.folder) from None
        except OSError as error:
            raise UnwritableJournal(self.path, error) from error
        try:
            yield
        finally:
            lock.release()

    def note(self, changes: Sequence[Change]) -> None:
        """Keep these, in the place of what was kept.

        Raises:
            UnwritableJournal: the system refuses.
        """
        if changes:
            document = {"version": _VERSION, "changes": [_written(change) for change in changes]}
            write_private(self.path, json.dumps(document, indent=1).encode())
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise UnwritableJournal(self.path, error) from error
        with suppress(OSError):  # it may hold entries that are still to be put back
            self.folder.rmdir()


def write_private(path: Path, content: bytes) -> None:
    """Write a file of the journal's folder.

    Raises:
        UnwritableJournal: the system refuses.
    """
    try:
        replace_file(path, content, outlives_power_cut=True)
    except OSError as error:
        raise UnwritableJournal(path, error) from error


def _written(change: Change) -> dict[str, Any]:
    if isinstance(change, CommandChange):
        names = ("title", "name", "entry", "servers", "was_run", "is_on")
        return {"command": {name: getattr(change, name) for name in names}}
    return {
        "file": {
            "role": change.role,
            "title": change.title,
            "path": str(change.path),
            "format": change.format,
            "edits": [_written_edit(edit) for edit in change.edits],
            "before": change.before,
            "after": change.after,
            "backup": str(change.backup) if change.backup is not None else None,
            "is_on": change.is_on,
        }
    }


def _change(raw: dict[str, Any]) -> Change:
    if "command" in raw:
        return CommandChange(**raw["command"])
    file = cast("dict[str, Any]", raw["file"])
    backup = file["backup"]
    return FileChange(
        role=file["role"],
        title=file["title"],
        path=Path(file["path"]),
        format=file["format"],
        edits=tuple(_edit(edit) for edit in file["edits"]),
        before=file["before"],
        after=file["after"],
        backup=Path(backup) if backup is not None else None,
        is_on=file["is_on"],
    )


_KINDS: dict[str, type[Edit]] = {"add": Add, "remove": Remove, "append": Append, "drop": Drop}


def _written_edit(edit: Edit) -> dict[str, Any]:
    if isinstance(edit, Add | Remove):
        return {"kind": type(edit).__name__.lower(), "at": edit.at, "name": edit.name, "value": edit.value}
    return {"kind": type(edit).__name__.lower(), "at": edit.at, "items": edit.items}


def _edit(raw: dict[str, Any]) -> Edit:
    kind = _KINDS[raw["kind"]]
    at = tuple(raw["at"])
    if kind is Add or kind is Remove:
        return kind(at, raw["name"], raw["value"])
    return cast("type[Append | Drop]", kind)(at, tuple(raw["items"]))
