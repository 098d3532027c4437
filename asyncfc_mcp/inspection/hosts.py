"""What the hosts of MCP servers take in of a list of tools. Sources are in docs/doctor.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    """One program in which people use MCP servers."""

    title: str
    most_tools: int | None = None
    """Of all servers together; None: no limit is known."""
    longest_name: int = 64
    """Of a tool's name with what the host puts before it."""
    name_prefix: str = "mcp__asyncfc__"
    """What it puts before the name, or as much as that; `asyncfc` is the key that `init` writes."""
    takes_root_unions: bool = True
    takes_unions_in_items: bool = True


HOSTS: dict[str, Host] = {
    "claude-code": Host("Claude Code", takes_root_unions=False),
    "claude-desktop": Host("Claude Desktop", takes_root_unions=False),
    "codex": Host("Codex"),
    "cursor": Host("Cursor", most_tools=40, longest_name=60, name_prefix="asyncfc:"),
    "gemini": Host("Gemini CLI", longest_name=63, name_prefix="asyncfc__", takes_unions_in_items=False),
    "vscode": Host("VS Code", most_tools=128, name_prefix="mcp_asyncfc_"),
    "windsurf": Host("Windsurf"),
}
"""By the names that `--client` takes. A host that is silent about a limit of names has that of most model APIs."""


def chosen_hosts(client: str | None) -> tuple[Host, ...]:
    """The one that is named, else all: then what one of them does not take is worth a note and no more."""
    return (HOSTS[client],) if client is not None else tuple(HOSTS.values())
