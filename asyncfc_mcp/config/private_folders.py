"""Folders of the user's alone, such as those below the state folder."""

from __future__ import annotations

from pathlib import Path

_PRIVATE = 0o700


def make_private_folders(path: Path) -> None:
    """Have the folder there; each that is missing on the way to it is made for its owner alone.

    Raises:
        OSError: it cannot be made.
    """
    # `mkdir(parents=True)` gives its mode to the last one only
    for folder in reversed((path, *path.parents)):
        if not folder.is_dir():
            folder.mkdir(mode=_PRIVATE, exist_ok=True)
