"""Files of the user's alone, replaced in one step: a reader finds what was there before, or all that is new."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from asyncfc_mcp.config.private_folders import make_private_folders


def replace_file(path: Path, content: bytes, *, outlives_power_cut: bool = False) -> None:
    """Write the file, in a folder that is made where it is missing; nothing is left of an attempt that fails.

    Raises:
        OSError: it cannot be written, and is as it was.
    """
    make_private_folders(path.parent)
    # Made for its owner alone, whatever the umask says.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if outlives_power_cut:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
