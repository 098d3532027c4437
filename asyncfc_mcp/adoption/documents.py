"""Files of other programs: read whole, changed as little as can be, and replaced in one step by what is all new."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncfc_mcp.adoption.edits import Edit
from asyncfc_mcp.adoption.json_text import edited_json
from asyncfc_mcp.adoption.jsonc import NotJson, value_of
from asyncfc_mcp.adoption.toml_text import edited_toml
from asyncfc_mcp.clients.places import Format
from asyncfc_mcp.config.private_folders import make_private_folders
from asyncfc_mcp.errors import GatewayError

_BOM = b"\xef\xbb\xbf"
_PRIVATE = 0o600


class UnreadableDocument(GatewayError):
    """A file that cannot be taken for what it should be, and is left alone."""

    def __init__(self, path: Path, fact: str) -> None:
        super().__init__(f"{path}: {fact}; nothing in it was changed")
        self.path = path
        self.fact = fact


class ChangedMeanwhile(GatewayError):
    """Somebody else wrote the file after we had read it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} has changed while this was at work; nothing in it was changed, try again")
        self.path = path


class UnwritableDocument(GatewayError):
    """The system does not let us write the file."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written ({error.strerror}); it is as it was")
        self.path = path


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it was read."""

    path: Path
    format: Format
    content: bytes
    value: Any

    @property
    def text(self) -> str:
        """The content without the mark that some editors put in front."""
        return self.content.removeprefix(_BOM).decode("utf-8")

    @property
    def sha256(self) -> str:
        """What tells this content from any other."""
        return digest(self.content)

    def edited(self, edits: Sequence[Edit], original: bytes | None = None) -> bytes:
        """The content after the edits; what comes back is written as it stands in `original`.

        Raises:
            DoesNotFit: it is not as the edits need it.
        """
        model = original.removeprefix(_BOM).decode("utf-8") if original is not None else None
        edit_text = edited_json if self.format == "json" else edited_toml
        mark = _BOM if self.content.startswith(_BOM) else b""
        return mark + edit_text(self.text, edits, model).encode("utf-8")


def digest(content: bytes) -> str:
    """The hash by which contents are compared."""
    return hashlib.sha256(content).hexdigest()


def content_of(path: Path) -> bytes | None:
    """All of a file; None when there is none.

    Raises:
        UnreadableDocument: there is one that the system does not let us read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableDocument(path, f"unreadable ({error.strerror})") from None


def read_document(path: Path, format_: Format) -> Document | None:
    """The document in a file; None when there is no file.

    Raises:
        UnreadableDocument: there is one that cannot be parsed.
    """
    content = content_of(path)
    return None if content is None else parsed(path, format_, content)


def parsed(path: Path, format_: Format, content: bytes) -> Document:
    """The document of that content.

    Raises:
        UnreadableDocument: it cannot be parsed.
    """
    try:
        text = content.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableDocument(path, "not UTF-8 text") from None
    if format_ == "toml":
        try:
            return Document(path, format_, content, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise UnreadableDocument(path, f"not TOML ({error})") from None
    try:
        value = value_of(text)
    except NotJson as error:
        raise UnreadableDocument(path, str(error)) from None
    if not isinstance(value, dict):
        raise UnreadableDocument(path, "not an object of settings")
    return Document(path, format_, content, value)


def replace(path: Path, content: bytes, *, expected: bytes | None) -> None:
    """Write a file in one step: where a link leads to, with the rights that it has; a new one is its owner's alone.

    Raises:
        ChangedMeanwhile: it is not `expected` any more.
        UnwritableDocument: the system refuses, and it is as it was.
    """
    try:
        target = path.resolve()
        if expected is None:
            make_private_folders(target.parent)
        elif not os.access(target, os.W_OK):  # a rename would do it all the same, against what its owner has said
            raise PermissionError(errno.EACCES, "it is read-only")
        mode = stat.S_IMODE(target.stat().st_mode) if expected is not None else _PRIVATE
        new = _new(target)
        new.unlink(missing_ok=True)
        try:
            _write_new(new, content)
            new.chmod(mode)
            if content_of(target) != expected:
                raise ChangedMeanwhile(path)
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)
    except FileNotFoundError:
        raise ChangedMeanwhile(path) from None
    except OSError as error:
        raise UnwritableDocument(path, error) from error


def sweep(path: Path) -> None:
    """Take away what was left beside a file by a writer that was killed."""
    with suppress(OSError):
        _new(path.resolve()).unlink(missing_ok=True)


def _new(target: Path) -> Path:
    """What is to replace a file, as long as it is written; of one name, so that it is found again."""
    return target.with_name(f".{target.name}.asyncfc-new")


def _write_new(path: Path, content: bytes) -> None:
    """Make a file for its owner alone that outlives a power cut; nothing is left of an attempt that fails."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def remove(path: Path, *, expected: bytes) -> None:
    """Delete a file; a link to it stays.

    Raises:
        ChangedMeanwhile: it is not `expected` any more.
        UnwritableDocument: the system refuses.
    """
    if content_of(path) != expected:
        raise ChangedMeanwhile(path)
    try:
        path.resolve().unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableDocument(path, error) from error


def back_up(document: Document, moment: str) -> Path:
    """Put a copy beside a file, for its owner alone; a copy of the same moment is not replaced.

    Raises:
        UnwritableDocument: the system refuses.
    """
    target = document.path.resolve()
    for number in range(1, 100):
        suffix = f"-{number}" if number > 1 else ""
        backup = target.with_name(f"{target.name}.asyncfc-backup-{moment}{suffix}")
        try:
            _write_new(backup, document.content)
        except FileExistsError:
            continue
        except OSError as error:
            raise UnwritableDocument(backup, error) from error
        return backup
    raise UnwritableDocument(target, FileExistsError(errno.EEXIST, "too many backups of one moment"))
