"""A person's home with the files of every client, as each writes them, on each kind of machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asyncfc_mcp.adoption.changing import carry_out
from asyncfc_mcp.adoption.claude_code import ClaudeCode
from asyncfc_mcp.adoption.discovery import FoundFile, find
from asyncfc_mcp.adoption.hands import Hands
from asyncfc_mcp.adoption.journal import Journal
from asyncfc_mcp.adoption.launch import Launch
from asyncfc_mcp.adoption.planning import Choice, Plan, make_plan
from asyncfc_mcp.clients.places import Platform, Surroundings

FILES = Path(__file__).parent / "files"
PLATFORMS: tuple[Platform, ...] = ("linux", "macos", "windows")
LAUNCH = Launch("/usr/local/bin/asyncfc-mcp")
MOMENT = "20261122-120000"

_APPLICATIONS: Mapping[Platform, str] = {
    "linux": ".config",
    "macos": "Library/Application Support",
    "windows": "AppData/Roaming",
}


@dataclass(frozen=True)
class Person:
    """Somebody who has every client."""

    where: Surroundings
    said: list[str] = field(default_factory=list[str])

    @property
    def applications(self) -> Path:
        return self.where.home / _APPLICATIONS[self.where.platform]

    @property
    def servers_file(self) -> Path:
        return Path(self.where.environ["ASYNCFC_CONFIG_FOLDER"], "servers.json")

    @property
    def hands(self) -> Hands:
        claude = ClaudeCode(None, self.where.claude_state, self.where.home, self.where.environ)
        return Hands(Journal(self.where.home / "state"), claude, MOMENT, self.said.append)

    def found(self) -> tuple[FoundFile, ...]:
        return find(self.where)

    def found_of(self, client: str, scope: str = "user") -> FoundFile:
        return next(one for one in self.found() if (one.file.client.key, one.file.scope) == (client, scope))

    def plan(self, **choice: tuple[str, ...] | bool) -> Plan:
        return make_plan(self.found(), Choice(**choice), LAUNCH, self.where)  # pyright: ignore[reportArgumentType]

    def init(self, **choice: tuple[str, ...] | bool) -> Plan:
        """What `init --yes` does."""
        plan = self.plan(**choice)
        carry_out(plan, self.hands)
        return plan

    def files(self) -> dict[str, bytes]:
        """Everything that is there, but for the journal."""
        state = self.where.home / "state"
        paths = (path for path in self.where.home.rglob("*") if path.is_file() and not path.is_relative_to(state))
        return {str(path.relative_to(self.where.home)): path.read_bytes() for path in sorted(paths)}

    def put(self, path: Path, name: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((FILES / name).read_bytes())


def stranger(home: Path, platform: Platform = "linux") -> Person:
    """Somebody who has nothing."""
    project = home / "src" / "shop"
    project.mkdir(parents=True)
    environ = {"ASYNCFC_CONFIG_FOLDER": str(home / "gateway"), "PATH": "/usr/local/bin:/usr/bin", "SEARCH_KEY": "set"}
    if platform == "windows":
        environ |= {"APPDATA": str(home / "AppData" / "Roaming"), "LOCALAPPDATA": str(home / "AppData" / "Local")}
    return Person(Surroundings(home, environ, platform, project))


def person(home: Path, platform: Platform = "linux") -> Person:
    """Somebody who has it all."""
    one = stranger(home, platform)
    project = one.where.project
    one.put(one.applications / "Claude" / "claude_desktop_config.json", "claude_desktop_config.json")
    one.put(home / ".claude.json", "claude_code_state.json")
    one.put(home / ".claude" / "settings.json", "claude_code_settings.json")
    one.put(home / ".cursor" / "mcp.json", "cursor.json")
    one.put(home / ".cursor" / "permissions.json", "cursor_permissions.json")
    one.put(one.applications / "Code" / "User" / "mcp.json", "vscode_user.json")
    one.put(home / ".codex" / "config.toml", "codex.toml")
    one.put(home / ".gemini" / "settings.json", "gemini.json")
    one.put(home / ".codeium" / "windsurf" / "mcp_config.json", "windsurf.json")
    one.put(project / ".mcp.json", "claude_code_project.json")
    one.put(project / ".vscode" / "mcp.json", "vscode_workspace.json")
    (project / ".env").write_text("TOKEN=S3CRETenv\n")
    return one
