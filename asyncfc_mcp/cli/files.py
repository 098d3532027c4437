"""Which configuration file a command reads when none was named."""

from __future__ import annotations

import os
from pathlib import Path

from asyncfc_mcp.clients.places import PROJECT_FILE, gateway_file
from asyncfc_mcp.errors import GatewayError


class NoFileChosen(GatewayError):
    """No configuration was named, and the user has none of their own yet."""

    def __init__(self, default: Path, *, is_project: bool) -> None:
        # what a project's file starts may be anybody's, so it is named here and not taken
        project = f"for the servers of this project, say `--config {PROJECT_FILE}`"
        way_out = project if is_project else "make it with `asyncfc-mcp init`, or name a file"
        super().__init__(f"no --config was given, and {default} does not exist: {way_out}")
        self.default = default


def chosen_file(config: Path | None) -> Path:
    """The file that was named, else the user's own.

    Raises:
        NoFileChosen: there is neither.
    """
    if config is not None:
        return config
    default = gateway_file(os.environ)
    if not default.is_file():
        raise NoFileChosen(default, is_project=Path(PROJECT_FILE).is_file())
    return default
