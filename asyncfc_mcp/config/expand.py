"""The `${...}` grammar of configuration files. It is given an environment and reads none."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncfc_mcp.errors import GatewayError

_VARIABLE = re.compile(
    r"\$\{(?P<asked>(?:input|command|config):[^}]*)\}"
    r"|\$\{(?P<of_environment>env:)?(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}"
)
_EDITOR_FOLDERS = frozenset({".vscode", ".cursor"})
"""Folders in a workspace that hold its editor's files."""


class UnknownVariable(GatewayError):
    """A `${...}` that has no value here."""

    def __init__(self, written: str, allowed: str) -> None:
        super().__init__(f"{written} has no value here; allowed: {allowed}")
        self.written = written
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Variables:
    """What `${...}` stands for in one file."""

    environ: Mapping[str, str]
    workspace: Path
    """What `${workspaceFolder}` means, and what relative paths are relative to."""

    def expand(self, text: str) -> str:
        """`text` with every variable replaced, once: what a variable holds is taken as it is."""
        return _VARIABLE.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        asked, name, default = match["asked"], match["name"], match["default"]
        if asked is not None:
            raise UnknownVariable(match[0], "${VARIABLE} of the environment: nobody can be asked for a value here")
        if default is not None and "${" in default:
            # the default may be secret
            raise UnknownVariable(f"${{{name}:-…}}", "a default that is plain text: variables do not nest")
        found = self._known_to_editors(name) if match["of_environment"] is None else None
        # As in a shell, `:-` also covers a variable that is set to nothing.
        found = found or self.environ.get(name)
        if found or (found is not None and default is None):
            return found
        if default is not None:
            return default
        raise UnknownVariable(match[0], f"a variable that is set, or ${{{name}:-default}}")

    def _known_to_editors(self, name: str) -> str | None:
        match name:
            case "workspaceFolder":
                return str(self.workspace)
            case "workspaceFolderBasename":
                return self.workspace.name
            case "userHome":
                return self.environ.get("HOME") or self.environ.get("USERPROFILE")
            case "pathSeparator":
                return os.sep
            case _:
                return None


def workspace_of(file: Path) -> Path:
    """The workspace that a configuration file belongs to: its folder, or the one above an editor's."""
    folder = file.absolute().parent
    return folder.parent if folder.name in _EDITOR_FOLDERS else folder
