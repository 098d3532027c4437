"""How a client is to start this very gateway: the program, its arguments, and the PATH that a window manager lacks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import tomlkit

from asyncfc_mcp.clients.places import CLAUDE_CODE, VS_CODE, ClientFile

_PROGRAMS = frozenset({"asyncfc-mcp", "asyncfc_mcp"})
_CACHE_FOLDERS = frozenset({"archive-v0", "environments-v2", "builds-v0", "wheels-v5"})
_PASSING_RUNS = ("pipx", ".cache")


@dataclass(frozen=True, slots=True)
class Launch:
    """The command line of this gateway, up to `serve`."""

    command: str
    args: tuple[str, ...] = ()
    warning: str | None = None
    """Why it may not be there for long."""

    def serving(self, config: Path) -> tuple[str, ...]:
        """The arguments that serve the servers of a file."""
        return (*self.args, "serve", "--config", str(config))


def this_gateway(called_as: str, executable: str) -> Launch:
    """What `sys.argv[0]` and `sys.executable` say: the installed program, else the interpreter with our module.

    Links stay as they are: what a tool installer links to changes with each version.
    """
    program = Path(called_as)
    if program.stem.lower() in _PROGRAMS and program.is_file() and os.access(program, os.X_OK):
        command, args = str(program.absolute()), ()
    else:
        command, args = str(Path(executable).absolute()), ("-m", "asyncfc_mcp")
    return Launch(command, args, _why_it_may_go(executable))


def _why_it_may_go(executable: str) -> str | None:
    parts = {part.lower() for part in PurePath(executable).parts}
    if parts & _CACHE_FOLDERS or all(part in parts for part in _PASSING_RUNS):
        return (
            f"{executable} is in a cache, which its tool may empty at any time: install asyncfc-mcp for good "
            "(`uv tool install asyncfc-mcp` or `pipx install asyncfc-mcp`) and run init from there"
        )
    return None


def shell_path(environ: Mapping[str, str]) -> str:
    """The PATH of the user's shell, without what only stands in it because of the environment that we run in."""
    passing = environ.get("VIRTUAL_ENV")
    folders = dict.fromkeys(environ.get("PATH", "").split(os.pathsep))
    kept = [
        folder
        for folder in folders
        if PurePath(folder).is_absolute()
        and not (passing and PurePath(folder).is_relative_to(passing))
        and not {part.lower() for part in PurePath(folder).parts} & _CACHE_FOLDERS
    ]
    return os.pathsep.join(kept)


def entry_of_gateway(launch: Launch, file: ClientFile, config: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The gateway's own entry, as that client writes entries."""
    entry: dict[str, Any] = {"type": "stdio"} if file.client in {CLAUDE_CODE, VS_CODE} else {}
    entry |= {"command": launch.command, "args": list(launch.serving(config))}
    if file.client.is_gui:
        entry["env"] = {"PATH": shell_path(environ)}
    return entry


def snippet(entry: dict[str, Any], file: ClientFile, name: str) -> str:
    """The gateway's entry as text, to be put into a file by hand."""
    nested: dict[str, Any] = {name: entry}
    for key in reversed(file.client.servers_at):
        nested = {key: nested}
    return tomlkit.dumps(nested) if file.client.format == "toml" else json.dumps(nested, indent=2)
