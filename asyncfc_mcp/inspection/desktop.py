"""What a program has of the environment that was started from a menu and not from a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from asyncfc_mcp.config.models import ServerEntry, StdioEntry
from asyncfc_mcp.inspection.commands import found_command, search_path
from asyncfc_mcp.inspection.findings import Finding, Severity

_PATHS = {
    "darwin": "/usr/bin:/bin:/usr/sbin:/sbin",
    "linux": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
"""What launchd, and a session of systemd, give to what they start; a shell's own files are not read."""
_KEPT = frozenset({"HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "DISPLAY", "XAUTHORITY", "SSH_AUTH_SOCK"})
_KEPT_PREFIXES = ("LC_", "XDG_", "WAYLAND_", "DBUS_", "__CF", "ASYNCFC_")


def desktop_path(platform: str = sys.platform) -> str | None:
    """The PATH of such a program; None where it is that of a terminal, as on Windows."""
    return _PATHS.get(platform)


def desktop_environ(environ: Mapping[str, str], platform: str = sys.platform) -> dict[str, str]:
    """As much of an environment as such a program has."""
    path = desktop_path(platform)
    if path is None:
        return dict(environ)
    kept = {name: value for name, value in environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    return {**kept, "PATH": path}


@contextmanager
def living_in(environ: Mapping[str, str]) -> Generator[None]:
    """Make it the environment of this process, which all servers inherit, for as long as this lasts."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def desktop_findings(entry: ServerEntry, environ: Mapping[str, str], platform: str = sys.platform) -> Iterator[Finding]:
    """A command that a terminal finds and such a program does not."""
    path = desktop_path(platform)
    transport = entry.transport
    if path is None or not isinstance(transport, StdioEntry) or "PATH" in transport.env:
        return
    found = found_command(transport, search_path(transport, environ))
    if found is None or Path(transport.command).parent != Path() or shutil.which(transport.command, path=path):
        return
    yield Finding(
        entry.key,
        Severity.NOTE,
        "not_on_desktop_path",
        f"command {transport.command!r} is found at {found}, which is not in the PATH that hosts with windows have "
        f"({path})",
        f"give the whole path as `command`, and {str(Path(found).parent)!r} in `env.PATH` if it starts programs beside "
        "it; `asyncfc-mcp doctor --gui` tries it",
    )
