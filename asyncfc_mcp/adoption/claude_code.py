"""Claude Code's user scope, changed by its own command: it rewrites the file all the time."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from asyncfc_mcp.adoption.documents import UnreadableDocument, read_document
from asyncfc_mcp.errors import GatewayError

_LIMIT_S = 60.0
_SCOPE = ("--scope", "user")


class ClaudeRefused(GatewayError):
    """The command did not do what it was told."""

    def __init__(self, what: str, fact: str) -> None:
        super().__init__(f"`claude mcp {what}` failed: {fact}")


@dataclass(frozen=True, slots=True)
class ClaudeCode:
    """The command, if there is one, and the file that it keeps."""

    program: str | None
    state: Path
    home: Path
    environ: Mapping[str, str]

    def servers(self) -> dict[str, Any]:
        """The servers of the user scope now.

        Raises:
            UnreadableDocument: its file cannot be read.
        """
        document = read_document(self.state, "json")
        found: Any = document.value.get("mcpServers", {}) if document is not None else {}
        if not isinstance(found, dict):
            raise UnreadableDocument(self.state, "mcpServers is no object of servers")
        return cast("dict[str, Any]", found)

    def add(self, name: str, entry: Mapping[str, Any]) -> None:
        """Add a server; the entry may hold secrets, so it goes by stdin and not by the list of processes.

        Raises:
            ClaudeRefused: it was not added.
        """
        self._run(f"add-json {name}", ("add-json", *_SCOPE, "--", name, "-"), json.dumps(entry))

    def remove(self, name: str) -> None:
        """Take a server out.

        Raises:
            ClaudeRefused: it is still there.
        """
        self._run(f"remove {name}", ("remove", *_SCOPE, "--", name))

    def _run(self, what: str, arguments: tuple[str, ...], said: str = "") -> None:
        if self.program is None:
            raise ClaudeRefused(what, "there is no `claude` on the PATH")
        try:
            finished = subprocess.run(  # noqa: S603 - the program is the one that the user has on the PATH
                [self.program, "mcp", *arguments],
                input=said,
                env=dict(self.environ),
                cwd=self.home,
                capture_output=True,
                text=True,
                timeout=_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ClaudeRefused(what, type(error).__name__) from error
        if finished.returncode != 0:
            lines = (finished.stderr or finished.stdout).strip().splitlines()
            fact = lines[-1] if lines else f"exit code {finished.returncode}"
            raise ClaudeRefused(what, f"{fact} (an old `claude` takes no entry by stdin)" if said else fact)


def commands_to_move(name: str, entry: Mapping[str, Any] | None, servers: Mapping[str, Any]) -> list[str]:
    """What the user can run instead; the gateway's entry, None if it is there, holds no secret."""
    adding = (
        [] if entry is None else [shlex.join(["claude", "mcp", "add-json", *_SCOPE, "--", name, json.dumps(entry)])]
    )
    return [*adding, *(shlex.join(["claude", "mcp", "remove", *_SCOPE, "--", server]) for server in servers)]


def commands_to_put_back(name: str | None, files: Mapping[str, Path]) -> list[str]:
    """The way back; each server's entry stands in a file of its own, since it may hold secrets."""
    adding = [
        f"{shlex.join(['claude', 'mcp', 'add-json', *_SCOPE, '--', server, '-'])} < {shlex.quote(str(file))}"
        for server, file in files.items()
    ]
    removing = [] if name is None else [shlex.join(["claude", "mcp", "remove", *_SCOPE, "--", name])]
    return [*adding, *removing]


def is_same(one: Any, other: Any) -> bool:
    """Whether two entries say the same; the command writes out what it takes for granted."""
    return _plain(one) == _plain(other)


def _plain(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    said = {"type": "stdio", **cast("dict[str, Any]", entry)}
    return {key: value for key, value in said.items() if value not in ({}, [])}
