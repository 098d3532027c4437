"""The files of real clients are read as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asyncfc_mcp.config.dialects import runs_gateway
from asyncfc_mcp.config.load import LoadedConfig, load_file
from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, StdioEntry

FILES = Path(__file__).parent / "files"
ENVIRON = {"API_KEY": "k-123", "HOME": "/home/ada"}


def load_as(tmp_path: Path, name: str, place: str) -> LoadedConfig:
    target = tmp_path / place
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(FILES / name, target)
    return load_file(target, ENVIRON)


def by_key(loaded: LoadedConfig) -> dict[str, ServerEntry]:
    return {server.key: server for server in loaded.config.servers}


def stdio(entry: ServerEntry) -> StdioEntry:
    assert isinstance(entry.transport, StdioEntry)
    return entry.transport


def remote(entry: ServerEntry) -> RemoteEntry:
    assert isinstance(entry.transport, RemoteEntry)
    return entry.transport


def test_a_claude_desktop_file_is_read_and_the_gateway_in_it_skipped() -> None:
    loaded = load_file(FILES / "claude_desktop_config.json", ENVIRON)
    servers = by_key(loaded)
    assert list(servers) == ["filesystem", "git", "github"]
    assert stdio(servers["filesystem"]).args[-1] == "/Users/ada/src/asyncfc-mcp"
    assert stdio(servers["github"]).env == {"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_s3cret"}
    assert loaded.warnings == ("mcpServers.asyncfc: skipped, it is this gateway itself",)
    assert loaded.config.source == FILES / "claude_desktop_config.json"


def test_a_claude_code_file_is_read_with_its_variables(tmp_path: Path) -> None:
    loaded = load_as(tmp_path, "claude_code.json", ".mcp.json")
    servers = by_key(loaded)
    assert loaded.warnings == ()
    assert stdio(servers["memory"]).command == "npx"
    assert remote(servers["sentry"]).type == "http"
    assert remote(servers["asana"]).type == "sse"
    assert remote(servers["api-server"]).url == "https://api.example.com/mcp"
    assert remote(servers["api-server"]).headers == {"Authorization": "Bearer k-123"}


def test_a_cursor_file_knows_its_workspace_and_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# secrets\nexport EXTRA='a b'\nAPI_KEY=weaker\nRAW=${HOME}\nNO_VALUE\n")
    servers = by_key(load_as(tmp_path, "cursor.json", ".cursor/mcp.json"))
    local = stdio(servers["local"])
    assert local.command == f"{tmp_path}/node_modules/.bin/tool"
    assert local.args == ("--home", "/home/ada/data")
    assert local.env == {"EXTRA": "a b", "API_KEY": "k-123", "RAW": "${HOME}"}
    assert remote(servers["remote"]).type == "sse"


def test_a_vs_code_file_may_have_comments_and_trailing_commas(tmp_path: Path) -> None:
    loaded = load_as(tmp_path, "vscode.json", ".vscode/mcp.json")
    servers = by_key(loaded)
    assert remote(servers["github"]).url == "https://api.githubcopilot.com/mcp/"
    assert stdio(servers["playwright"]).args[-1] == f"{tmp_path}/out // here"
    assert stdio(servers["playwright"]).env == {"DEBUG_PORT": "9222"}
    assert loaded.warnings == ("servers.playwright: ignored, not ours: dev",)


def test_a_gemini_file_is_read_and_what_is_not_ours_is_named(tmp_path: Path) -> None:
    loaded = load_as(tmp_path, "gemini.json", ".gemini/settings.json")
    servers = by_key(loaded)
    assert stdio(servers["python-tools"]).cwd == tmp_path / ".gemini" / "mcp-servers/python"
    assert remote(servers["http-server"]).type == "http"
    assert remote(servers["sse-server"]).type == "sse"
    tools, looks, http = loaded.warnings
    assert tools == (
        "mcpServers.python-tools: ignored, not ours: "
        "timeout (here: asyncfc.timeout_s), trust, includeTools (here: asyncfc.include)"
    )
    assert looks.startswith("mcpServers.python-tools.env.DATABASE_URL: looks like $NAME")
    assert "DB_CONNECTION_STRING" not in looks
    assert http == "mcpServers.http-server: ignored, not ours: timeout (here: asyncfc.timeout_s)"


def test_a_windsurf_file_is_read_and_its_disabled_servers_skipped(tmp_path: Path) -> None:
    loaded = load_as(tmp_path, "windsurf.json", "mcp_config.json")
    servers = by_key(loaded)
    assert list(servers) == ["figma", "old"]
    assert remote(servers["figma"]).headers == {"Authorization": "Bearer k-123"}
    assert remote(servers["old"]).type == "sse"
    assert "mcpServers.off: skipped, it is disabled" in loaded.warnings


@pytest.mark.parametrize(
    "command_line",
    [
        "asyncfc-mcp serve --config x",
        "/home/a/.venv/bin/asyncfc-mcp serve",
        r"C:\Users\a\Scripts\asyncfc-mcp.EXE serve",
        "uvx asyncfc-mcp serve --config x",
        "uvx --from asyncfc-mcp[redis]==1.2 asyncfc-mcp serve",
        "uvx asyncfc-mcp@latest serve",
        "pipx run asyncfc_mcp serve",
        "uv run --directory /src /src/.venv/bin/asyncfc-mcp serve",
        "python3 -m asyncfc_mcp serve",
        "docker run -i --rm -v /home/a/asyncfc-mcp:/data ghcr.io/me/asyncfc-mcp:1.0",
    ],
)
def test_an_entry_that_starts_the_gateway_is_known_as_such(command_line: str) -> None:
    command, *args = command_line.split()
    assert runs_gateway(command, args)


def test_a_shell_line_that_starts_the_gateway_is_known_as_such() -> None:
    assert runs_gateway("bash", ["-lc", "exec asyncfc-mcp serve --config x"])


@pytest.mark.parametrize(
    "command_line",
    [
        "npx -y @modelcontextprotocol/server-filesystem /home/a/asyncfc-mcp",
        "uvx mcp-server-git --repository asyncfc_mcp",
        "python -m asyncfc_mcp.demo.servers.shop",
        "docker run -v /home/a/asyncfc-mcp:/data mcp/filesystem /data",
        "npx serve /home/a/asyncfc-mcp",
    ],
)
def test_a_server_that_only_names_the_gateways_folder_is_a_server(command_line: str) -> None:
    command, *args = command_line.split()
    assert not runs_gateway(command, args)
