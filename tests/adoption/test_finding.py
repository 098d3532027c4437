"""What init finds: every client's file on every platform, and what can become of each server."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncfc_mcp.adoption.planning import why_not
from asyncfc_mcp.clients.places import Platform, client_files, gateway_file, platform_of
from tests.adoption.people import PLATFORMS, person, stranger


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_client_is_found_on_every_platform(tmp_path: Path, platform: Platform) -> None:
    found = person(tmp_path, platform).found()
    assert [(one.file.client.key, one.file.scope) for one in found] == [
        ("claude-desktop", "user"),
        ("claude-code", "user"),
        ("cursor", "user"),
        ("vscode", "user"),
        ("codex", "user"),
        ("gemini", "user"),
        ("windsurf", "user"),
        ("claude-code", "project"),
        ("vscode", "project"),
    ]
    assert all(one.fault is None and one.servers for one in found)


@pytest.mark.parametrize(
    ("platform", "below_home"),
    [
        ("linux", ".config/Claude/claude_desktop_config.json"),
        ("macos", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("windows", "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("windows", "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json"),
        ("linux", ".config/Code - Insiders/User/mcp.json"),
        ("macos", "Library/Application Support/Code/User/mcp.json"),
        ("windows", "AppData/Roaming/Code/User/mcp.json"),
    ],
)
def test_places_differ_by_platform(tmp_path: Path, platform: Platform, below_home: str) -> None:
    places = [file.path for file in client_files(stranger(tmp_path, platform).where)]
    assert tmp_path / below_home in places


def test_profiles_of_vs_code_have_files_of_their_own(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    profile = one.applications / "Code" / "User" / "profiles" / "4f2a" / "mcp.json"
    one.put(profile, "vscode_user.json")
    assert [found.file.path for found in one.found()] == [profile]


def test_folders_that_the_user_has_moved_are_looked_into(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    moved = {
        "CODEX_HOME": str(tmp_path / "c"),
        "CLAUDE_CONFIG_DIR": str(tmp_path / "d"),
        "XDG_CONFIG_HOME": str(tmp_path / "x"),
    }
    where = type(one.where)(one.where.home, {**one.where.environ, **moved}, "linux", one.where.project)
    places = {file.path for file in client_files(where)}
    assert {tmp_path / "c/config.toml", tmp_path / "d/.claude.json", tmp_path / "x/Code/User/mcp.json"} <= places


def test_a_project_that_is_the_home_folder_has_no_file_twice(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    where = type(one.where)(tmp_path, one.where.environ, "linux", tmp_path)
    places = [file.path for file in client_files(where)]
    assert len(places) == len(set(places))


def test_the_gateways_own_file_is_where_the_environment_says(tmp_path: Path) -> None:
    assert gateway_file({"ASYNCFC_CONFIG_FOLDER": str(tmp_path)}) == tmp_path / "servers.json"
    assert gateway_file({}).name == "servers.json"


def test_the_platform_is_told_by_what_python_calls_it() -> None:
    assert [platform_of(name) for name in ("win32", "darwin", "linux", "freebsd14")] == [
        "windows",
        "macos",
        "linux",
        "linux",
    ]


@pytest.mark.parametrize(
    ("client", "scope", "server", "reason"),
    [
        ("cursor", "user", "here", "${workspaceFolder} means the folder that is open"),
        ("cursor", "user", "linear", "--server linear"),
        ("vscode", "user", "perplexity", "${input:perplexity-key} is asked for by the client"),
        ("vscode", "user", "github", "--server github"),
        ("codex", "user", "old", "it is disabled"),
        ("gemini", "user", "cloud", "credentials of Google's own tools"),
        ("windsurf", "user", "off", "it is disabled"),
        ("claude-code", "project", "sentry", "--server sentry"),
    ],
)
def test_a_server_that_stays_says_why(tmp_path: Path, client: str, scope: str, server: str, reason: str) -> None:
    found = person(tmp_path).found_of(client, scope)
    one = next(one for one in found.servers if one.name == server)
    assert reason in (why_not(one) or "")


@pytest.mark.parametrize(
    ("client", "scope", "movable"),
    [
        ("claude-desktop", "user", ["filesystem", "github", "My Notes"]),
        ("claude-code", "user", ["fetch"]),
        ("cursor", "user", ["github", "search"]),
        ("vscode", "user", ["playwright"]),
        ("codex", "user", ["context7", "figma"]),
        ("gemini", "user", ["python-tools", "web", "events"]),
        ("windsurf", "user", ["figma", "files"]),
        ("claude-code", "project", ["memory", "tool", "api"]),
        ("vscode", "project", ["files"]),
    ],
)
def test_all_others_can_move(tmp_path: Path, client: str, scope: str, movable: list[str]) -> None:
    found = person(tmp_path).found_of(client, scope)
    assert [one.name for one in found.servers if why_not(one) is None] == movable


def test_servers_that_claude_code_keeps_for_one_folder_are_named(tmp_path: Path) -> None:
    (remark,) = person(tmp_path).found_of("claude-code").remarks
    assert remark == "shop-db: stays, kept by Claude Code for you in /home/ada/src/shop alone (local scope)"


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        (".cursor/mcp.json", b'{"mcpServers": {', "not JSON (line 1: a text in double quotes is expected)"),
        (
            ".cursor/mcp.json",
            b'{"mcpServers": {"a": {}, "a": {}}}',
            "not JSON (line 1: an object with the same key twice)",
        ),
        (".cursor/mcp.json", b"[]", "not an object of settings"),
        (".cursor/mcp.json", b'{"mcpServers": []}', "mcpServers is no object of servers"),
        (".cursor/mcp.json", b"\xff\xfe{\x00", "not UTF-8 text"),
        (".cursor/mcp.json", b"", "not JSON (line 1: a value is expected)"),
        (".cursor/mcp.json", b"{'mcpServers': {}}", "not JSON (line 1: a text in double quotes is expected)"),
        (".codex/config.toml", b"[mcp_servers", "not TOML"),
        (".cursor/mcp.json", b"[" * 5000, "not JSON (line 1: nested too deeply)"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_never_touched(
    tmp_path: Path, name: str, content: bytes, fact: str
) -> None:
    one = person(tmp_path)
    (tmp_path / name).write_bytes(content)
    fault = next(found.fault for found in one.found() if found.file.path == tmp_path / name)
    assert fault is not None
    assert fact in fault
    one.init()
    assert (tmp_path / name).read_bytes() == content


def test_a_gateway_that_the_user_set_up_by_hand_is_left_alone(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text(
        '{"mcpServers": {"all": {"command": "uvx", "args": ["asyncfc-mcp", "serve", "--config", "/my.json"]},'
        ' "notes": {"command": "notes"}}}'
    )
    gateway, notes = one.found_of("cursor").servers
    assert gateway.is_gateway
    assert "all in the same file is this gateway with a configuration of its own" in (why_not(notes) or "")
    assert one.plan().files == ()
