"""The file of a store: where it is, made for its owner alone, and refused when it is something else."""

from __future__ import annotations

import glob
import os
import stat
from contextlib import suppress
from pathlib import Path

from asyncfc_mcp.config.private_folders import make_private_folders
from asyncfc_mcp.store.faults import UnusableStore, place_fault

_PRIVATE_FILE = 0o600
_OTHERS = 0o077


def make_private_file(path: Path, *, with_folder: bool) -> None:
    """Have an empty file of ours there, readable for nobody else, unless there is one.

    A file that exists is only looked at: to open and close it would take SQLite's locks from another store of this
    process.

    Raises:
        StoreFault: it cannot be made, or what is there is no plain file.
    """
    try:
        if with_folder:
            make_private_folders(path.parent)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE_FILE))
        _check(path)
    except OSError as error:
        raise place_fault(error, path) from error


def close_to_others(path: Path) -> None:
    """Take the rights of others from a store that is known to be ours, and from its log.

    Raises:
        StoreFault: the system refuses it.
    """
    if os.name != "posix":  # the user's profile guards it
        return
    try:
        for file in (path, *path.parent.glob(f"{glob.escape(path.name)}-*")):
            found = file.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS and found.st_uid == os.geteuid():
                file.chmod(_PRIVATE_FILE)
    except OSError as error:
        raise place_fault(error, path) from error


def make_private_folder(path: Path) -> None:
    """Likewise a folder.

    Raises:
        StoreFault: it cannot be made.
    """
    try:
        make_private_folders(path)
    except OSError as error:
        raise place_fault(error, path) from error


def _check(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise UnusableStore(path, "it is a symbolic link", "name the file that it leads to")
    if not stat.S_ISREG(found.st_mode):
        raise UnusableStore(path, "it is no file", "name a file")
    if os.name != "posix":
        return
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK | os.X_OK):
        raise UnusableStore(path, "it or its folder cannot be written", "give yourself the right to")
