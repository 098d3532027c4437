"""Where files of this user are: each client's configuration and permission rules, and the gateway's own configuration.

Sources and what was tried are in docs/init.md. Nothing here reads a file or the environment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_config_path

Platform = Literal["linux", "macos", "windows"]
Scope = Literal["user", "project"]
Format = Literal["json", "toml"]

PROJECT_FILE = "asyncfc.servers.json"
"""A project's servers behind the gateway, in the project's folder."""

_STORE_PACKAGE = ("Packages", "Claude_pzs8sxrjxfjjc", "LocalCache", "Roaming", "Claude")
"""Below the local application data: Claude Desktop as Windows' own package."""


@dataclass(frozen=True, slots=True)
class Client:
    """One MCP client."""

    key: str
    """What `--client` takes."""
    title: str
    servers_at: tuple[str, ...]
    """Where its file lists the servers."""
    format: Format = "json"
    is_gui: bool = False
    """Started from a menu, and so without the PATH of the user's shell."""


CLAUDE_DESKTOP = Client("claude-desktop", "Claude Desktop", ("mcpServers",), is_gui=True)
CLAUDE_CODE = Client("claude-code", "Claude Code", ("mcpServers",))
CURSOR = Client("cursor", "Cursor", ("mcpServers",), is_gui=True)
VS_CODE = Client("vscode", "VS Code", ("servers",), is_gui=True)
CODEX = Client("codex", "Codex", ("mcp_servers",), format="toml")
GEMINI = Client("gemini", "Gemini CLI", ("mcpServers",))
WINDSURF = Client("windsurf", "Windsurf", ("mcpServers",), is_gui=True)

CLIENTS = (CLAUDE_DESKTOP, CLAUDE_CODE, CURSOR, VS_CODE, CODEX, GEMINI, WINDSURF)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where to look: the user's home, the environment, the kind of machine, and the project that we are in."""

    home: Path
    environ: Mapping[str, str]
    platform: Platform
    project: Path

    @property
    def application_data(self) -> Path:
        """Where programs with windows keep their settings."""
        if self.platform == "windows":
            return self._folder("APPDATA", self.home / "AppData" / "Roaming")
        if self.platform == "macos":
            return self.home / "Library" / "Application Support"
        return self._folder("XDG_CONFIG_HOME", self.home / ".config")

    @property
    def local_data(self) -> Path:
        """Windows: what stays on this machine."""
        return self._folder("LOCALAPPDATA", self.home / "AppData" / "Local")

    @property
    def claude_folder(self) -> Path:
        """Claude Code's settings of the user."""
        return self._folder("CLAUDE_CONFIG_DIR", self.home / ".claude")

    @property
    def claude_state(self) -> Path:
        """The file that Claude Code keeps the servers of its user scope in, and rewrites all the time."""
        return self._folder("CLAUDE_CONFIG_DIR", self.home) / ".claude.json"

    @property
    def codex_folder(self) -> Path:
        """Codex's settings of the user."""
        return self._folder("CODEX_HOME", self.home / ".codex")

    def _folder(self, variable: str, default: Path) -> Path:
        chosen = self.environ.get(variable)
        return Path(chosen) if chosen else default


@dataclass(frozen=True, slots=True)
class ClientFile:
    """One file in which a client may list servers."""

    client: Client
    path: Path
    scope: Scope

    @property
    def is_kept_by_client(self) -> bool:
        """Whether the client rewrites it all the time, so that only its own command may change it."""
        return self.client is CLAUDE_CODE and self.scope == "user"


@dataclass(frozen=True, slots=True)
class RulesFile:
    """One file in which a client keeps which tools may run without asking."""

    client: Client
    path: Path
    at: tuple[tuple[str, ...], ...]
    """The lists in it that name tools."""


def platform_of(name: str = sys.platform) -> Platform:
    """The kind of machine, by what Python calls it."""
    return {"win32": "windows", "darwin": "macos"}.get(name, "linux")  # pyright: ignore[reportReturnType]


def gateway_file(environ: Mapping[str, str]) -> Path:
    """The user's own gateway configuration, made by `init`: in `ASYNCFC_CONFIG_FOLDER`, or as the platform has it."""
    chosen = environ.get("ASYNCFC_CONFIG_FOLDER")
    folder = Path(chosen) if chosen else user_config_path("asyncfc-mcp", appauthor=False)
    return folder / "servers.json"


def client_files(where: Surroundings) -> tuple[ClientFile, ...]:
    """Every place that a client reads, whether or not there is a file; none stands there twice."""
    found: dict[Path, ClientFile] = {}
    for file in (*_user_files(where), *_project_files(where)):
        found.setdefault(file.path, file)
    return tuple(found.values())


def _user_files(where: Surroundings) -> Iterator[ClientFile]:
    desktop = "claude_desktop_config.json"
    yield ClientFile(CLAUDE_DESKTOP, where.application_data / "Claude" / desktop, "user")
    if where.platform == "windows":
        yield ClientFile(CLAUDE_DESKTOP, where.local_data.joinpath(*_STORE_PACKAGE) / desktop, "user")
    yield ClientFile(CLAUDE_CODE, where.claude_state, "user")
    yield ClientFile(CURSOR, where.home / ".cursor" / "mcp.json", "user")
    for edition in ("Code", "Code - Insiders"):
        user = where.application_data / edition / "User"
        yield ClientFile(VS_CODE, user / "mcp.json", "user")
        for profile in sorted(user.glob("profiles/*/mcp.json")):
            yield ClientFile(VS_CODE, profile, "user")
    yield ClientFile(CODEX, where.codex_folder / "config.toml", "user")
    yield ClientFile(GEMINI, where.home / ".gemini" / "settings.json", "user")
    yield ClientFile(WINDSURF, where.home / ".codeium" / "windsurf" / "mcp_config.json", "user")


def _project_files(where: Surroundings) -> Iterator[ClientFile]:
    yield ClientFile(CLAUDE_CODE, where.project / ".mcp.json", "project")
    yield ClientFile(CURSOR, where.project / ".cursor" / "mcp.json", "project")
    yield ClientFile(VS_CODE, where.project / ".vscode" / "mcp.json", "project")
    yield ClientFile(CODEX, where.project / ".codex" / "config.toml", "project")
    yield ClientFile(GEMINI, where.project / ".gemini" / "settings.json", "project")


def rules_files(where: Surroundings) -> tuple[RulesFile, ...]:
    """Every place with lists of tools that clients are known to read."""
    claude = tuple(("permissions", kind) for kind in ("allow", "ask", "deny"))
    cursor_program = (("permissions", "allow"), ("permissions", "deny"))
    gemini = (("mcp", "allowed"),)
    files = (
        RulesFile(CLAUDE_CODE, where.claude_folder / "settings.json", claude),
        RulesFile(CLAUDE_CODE, where.project / ".claude" / "settings.json", claude),
        RulesFile(CLAUDE_CODE, where.project / ".claude" / "settings.local.json", claude),
        RulesFile(CURSOR, where.home / ".cursor" / "permissions.json", (("mcpAllowlist",),)),
        RulesFile(CURSOR, where.project / ".cursor" / "permissions.json", (("mcpAllowlist",),)),
        RulesFile(CURSOR, where.home / ".cursor" / "cli-config.json", cursor_program),
        RulesFile(CURSOR, where.project / ".cursor" / "cli.json", cursor_program),
        RulesFile(GEMINI, where.home / ".gemini" / "settings.json", gemini),
        RulesFile(GEMINI, where.project / ".gemini" / "settings.json", gemini),
    )
    return tuple({file.path: file for file in files}.values())
