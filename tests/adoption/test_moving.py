"""Servers put behind the gateway and back again: what changes, what does not, and what nobody may lose."""

from __future__ import annotations

import json
import os
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.adoption.changing import carry_out
from asyncfc_mcp.adoption.documents import ChangedMeanwhile, UnreadableDocument, UnwritableDocument
from asyncfc_mcp.adoption.hands import Refused
from asyncfc_mcp.adoption.journal import DamagedJournal
from asyncfc_mcp.adoption.jsonc import read_jsonc
from asyncfc_mcp.adoption.planning import UnfitGatewayFile, UnknownChoice
from asyncfc_mcp.adoption.switching import NothingDone, undo
from asyncfc_mcp.clients.places import PROJECT_FILE, Platform
from asyncfc_mcp.config.load import load_file
from tests.adoption.people import LAUNCH, PLATFORMS, Person, person, stranger

SECRET = "S3CRET"
not_windows = pytest.mark.skipif(os.name == "nt", reason="rights and links of POSIX")


def servers_of(path: Path, key: str = "mcpServers") -> dict[str, Any]:
    return read_jsonc(path.read_text()).value[key]


def cursor_user(home: Path, text: str) -> Person:
    """Somebody with one file of Cursor."""
    one = stranger(home)
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text(text)
    return one


@pytest.mark.parametrize("platform", PLATFORMS)
def test_init_and_undo_leave_every_file_as_it_was_byte_for_byte(tmp_path: Path, platform: Platform) -> None:
    one = person(tmp_path, platform)
    before = one.files()
    one.init(rewrites_rules=True)
    assert one.files() != before
    assert undo(one.hands) == []
    assert one.files() == before


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_second_init_has_nothing_to_do(tmp_path: Path, platform: Platform) -> None:
    one = person(tmp_path, platform)
    one.init(rewrites_rules=True)
    files, plan = one.files(), one.init(rewrites_rules=True)
    assert plan.moves == tuple(move for move in plan.moves if move.file.is_kept_by_client)  # its command was not run
    assert one.files() == files


def test_the_gateway_stands_where_the_servers_stood(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init()
    gateway = {
        "command": "/usr/local/bin/asyncfc-mcp",
        "args": ["serve", "--config", str(one.servers_file)],
        "env": {"PATH": "/usr/local/bin:/usr/bin"},
    }
    assert servers_of(one.applications / "Claude" / "claude_desktop_config.json") == {"asyncfc": gateway}
    code = servers_of(one.applications / "Code" / "User" / "mcp.json", "servers")
    assert list(code) == ["perplexity", "github", "asyncfc"]
    assert code["asyncfc"] == {"type": "stdio", **gateway}
    codex = tomllib.loads((tmp_path / ".codex" / "config.toml").read_text())
    del gateway["env"]
    assert codex["mcp_servers"]["asyncfc"] == {**gateway, "env_vars": ["FIGMA_TOKEN", "LOCAL_TOKEN"]}
    assert list(codex["mcp_servers"]) == ["old", "asyncfc"]


def test_the_gateway_can_run_what_was_moved(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init()
    loaded = load_file(one.servers_file, {"HOME": "/home/ada"})
    assert [server.key for server in loaded.config.servers] == [
        "filesystem",
        "github",
        "My-Notes",
        "fetch",
        "github-2",
        "search",
        "playwright",
        "context7",
        "figma",
        "python-tools",
        "web",
        "events",
        "figma-2",
        "files",
    ]
    assert loaded.warnings == ()


def test_the_same_server_of_two_clients_is_one_server(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"type": "stdio", "command": "notes", "env": {}}}}')
    windsurf = tmp_path / ".codeium" / "windsurf" / "mcp_config.json"
    windsurf.parent.mkdir(parents=True)
    windsurf.write_text('{"mcpServers": {"notes": {"command": "notes"}}}')
    assert [move.key for move in one.init().moves] == ["notes", "notes"]
    assert list(servers_of(one.servers_file)) == ["notes"]


def test_another_server_of_the_same_name_gets_a_number(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    one.servers_file.parent.mkdir()
    one.servers_file.write_text('{\n  // mine\n  "mcpServers": {\n    "notes": {"command": "other"}\n  }\n}\n')
    (move,) = one.init().moves
    assert (move.key, move.prefix) == ("notes-2", "notes-2")
    assert "// mine" in one.servers_file.read_text()
    assert servers_of(one.servers_file) == {"notes": {"command": "other"}, "notes-2": {"command": "notes"}}


def test_a_server_with_labels_of_ours_is_still_the_same_server(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    one.servers_file.parent.mkdir()
    one.servers_file.write_text('{"mcpServers": {"notes": {"command": "notes", "asyncfc": {"prefix": "n"}}}}')
    (move,) = one.init().moves
    assert (move.key, move.prefix) == ("notes", "n")


def test_a_projects_servers_stay_in_the_project(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init()
    project = one.where.project
    assert list(servers_of(project / PROJECT_FILE)) == ["memory", "tool", "api", "files"]
    assert list(servers_of(project / ".mcp.json")) == ["sentry", "asyncfc-project"]
    config = load_file(project / PROJECT_FILE, {}).config
    assert str(project) in str(config.servers[-1].transport)


@pytest.mark.parametrize(
    ("choice", "moved"),
    [
        ({"clients": ("codex",)}, ["context7", "figma"]),
        ({"clients": ("codex", "windsurf"), "excepted": ("figma",)}, ["context7", "files"]),
        ({"servers": ("linear",)}, ["linear"]),
        ({"servers": ("github",), "clients": ("cursor",)}, ["github"]),
        ({"clients": ("vscode",), "servers": ("github",)}, ["github"]),
    ],
)
def test_only_what_was_chosen_moves(tmp_path: Path, choice: dict[str, Any], moved: list[str]) -> None:
    assert [move.name for move in person(tmp_path).plan(**choice).moves] == moved


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"clients": ("emacs",)}, "there is no client 'emacs'; known: claude-desktop, claude-code, cursor"),
        ({"servers": ("githbu",)}, "there is no server 'githbu'; known: filesystem, github, My Notes"),
        ({"excepted": ("githbu",)}, "there is no server 'githbu'"),
    ],
)
def test_a_choice_of_what_is_not_there_is_an_error(tmp_path: Path, choice: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownChoice) as refused:
        person(tmp_path).plan(**choice)
    assert message in str(refused.value)


def test_a_client_without_servers_gets_the_gateway_when_it_is_named(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    codex = tmp_path / ".codex" / "config.toml"
    codex.parent.mkdir()
    codex.write_text('model = "gpt-5.1-codex"\n')
    one.init(clients=("cursor",))
    assert codex.read_text() == 'model = "gpt-5.1-codex"\n'
    one.init(clients=("codex",))
    assert list(tomllib.loads(codex.read_text())["mcp_servers"]) == ["asyncfc"]
    assert undo(one.hands) == []
    assert codex.read_text() == 'model = "gpt-5.1-codex"\n'


def test_servers_added_later_go_behind_the_gateway_that_is_there(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    before = one.files()
    one.init()
    file = tmp_path / ".cursor" / "mcp.json"
    document = json.loads(file.read_text())
    document["mcpServers"]["later"] = {"command": "later"}
    file.write_text(json.dumps(document))
    one.init()
    assert list(servers_of(file)) == ["asyncfc"]
    assert list(servers_of(one.servers_file)) == ["notes", "later"]
    assert undo(one.hands) == []
    assert servers_of(file) == {"notes": {"command": "notes"}, "later": {"command": "later"}}
    assert set(before) < set(one.files())


@not_windows
def test_files_keep_their_rights_and_new_ones_are_private(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    file = tmp_path / ".cursor" / "mcp.json"
    file.chmod(0o640)
    one.init()
    assert file.stat().st_mode & 0o777 == 0o640
    assert one.servers_file.stat().st_mode & 0o777 == 0o600
    (backup,) = file.parent.glob("*.asyncfc-backup-*")
    assert backup.stat().st_mode & 0o777 == 0o600
    assert one.hands.journal.path.stat().st_mode & 0o777 == 0o600


@not_windows
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, "{}")
    file, real = tmp_path / ".cursor" / "mcp.json", tmp_path / "dotfiles" / "cursor.json"
    real.parent.mkdir()
    real.write_text('{"mcpServers": {"notes": {"command": "notes"}}}')
    file.unlink()
    file.symlink_to(real)
    one.init()
    assert file.is_symlink()
    assert list(servers_of(real)) == ["asyncfc"]
    assert undo(one.hands) == []
    assert file.is_symlink()
    assert list(servers_of(real)) == ["notes"]


@not_windows
def test_a_link_to_nothing_is_followed_and_stays_when_what_was_made_goes(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    real = tmp_path / "dotfiles" / "servers.json"
    one.servers_file.parent.mkdir()
    one.servers_file.symlink_to(Path("..", "dotfiles", "servers.json"))
    one.init()
    assert list(servers_of(real)) == ["notes"]
    assert undo(one.hands) == []
    assert one.servers_file.is_symlink()
    assert not real.exists()


@not_windows
def test_one_file_of_two_clients_is_changed_once(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    before = one.files()
    windsurf = tmp_path / ".codeium" / "windsurf" / "mcp_config.json"
    windsurf.parent.mkdir(parents=True)
    windsurf.symlink_to(tmp_path / ".cursor" / "mcp.json")
    one.init()
    assert list(servers_of(windsurf)) == ["asyncfc"]
    assert undo(one.hands) == []
    assert one.files() == before | {".codeium/windsurf/mcp_config.json": before[".cursor/mcp.json"]}
    one.init(clients=("windsurf",))
    assert list(servers_of(tmp_path / ".cursor" / "mcp.json")) == ["asyncfc"]


@not_windows
def test_rules_of_a_home_that_is_the_project_by_another_name_are_changed_once(tmp_path: Path) -> None:
    one = stranger(tmp_path / "ada")
    home = one.where.home
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text('{"permissions": {"allow": ["mcp__notes__add"]}}')
    (home / ".mcp.json").write_text('{"mcpServers": {"notes": {"command": "notes"}}}')
    (tmp_path / "link").symlink_to(home)
    same = Person(replace(one.where, home=tmp_path / "link", project=home))
    before = one.files()
    same.init(rewrites_rules=True)
    assert "mcp__asyncfc-project__notes_add" in (home / ".claude" / "settings.json").read_text()
    assert undo(same.hands) == []
    assert {path: content for path, content in one.files().items() if path in before} == before


@not_windows
@pytest.mark.parametrize("link", [".cursor/mcp.json", PROJECT_FILE])
def test_a_projects_link_to_your_own_files_is_left_alone(tmp_path: Path, link: str) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {}}')
    project = one.where.project
    (project / ".cursor").mkdir()
    (project / ".cursor" / "mcp.json").write_text('{"mcpServers": {"trap": {"command": "trap"}}}')
    (project / link).unlink(missing_ok=True)
    (project / link).symlink_to(tmp_path / ".cursor" / "mcp.json")
    before = one.files()
    found = one.found_of("cursor", "project")
    assert found.fault == f"{Path(link).name} is a link that leads out of the project"
    assert not found.wants_hands
    one.init()
    assert one.files() == before


@not_windows
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    (tmp_path / ".cursor" / "mcp.json").chmod(0o400)
    before = one.files()
    with pytest.raises(UnwritableDocument, match="it is read-only"):
        one.init()
    assert one.files() == before


@not_windows
def test_what_a_killed_init_left_is_swept_up(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    before = one.files()
    left, yours = tmp_path / ".cursor" / ".mcp.json.asyncfc-new", tmp_path / "yours"
    yours.write_text("yours")
    left.symlink_to(yours)
    one.init()
    assert yours.read_text() == "yours"
    left.write_text("half of it")
    assert undo(one.hands) == []
    assert one.files() == before | {"yours": b"yours"}


def test_what_cannot_be_noted_is_not_done(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    one.hands.journal.path.mkdir(parents=True)
    with pytest.raises(DamagedJournal):
        one.init()
    assert one.files() == before


@not_windows
def test_a_disk_that_is_full_half_way_leaves_everything_as_it_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    one = person(tmp_path)
    codex = tmp_path / ".codex" / "config.toml"
    codex.write_text(codex.read_text() + "#" * 100_000 + "\n")
    before = one.files()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(UnwritableDocument, match=r"config\.toml"):
            one.init()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert any("is made" in line for line in one.said)
    assert one.files() == before
    assert one.hands.journal.changes() == ()


def test_the_only_server_of_a_codex_file_moves(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    codex = tmp_path / ".codex" / "config.toml"
    codex.parent.mkdir()
    codex.write_text(
        '[mcp_servers.notes]\ncommand = "notes"\n\n[mcp_servers.dated]\ncommand = "x"\nsince = 2026-11-22\n'
    )
    before = one.files()
    assert [move.name for move in one.init().moves] == ["notes"]  # a date is nothing that the journal could keep
    assert undo(one.hands) == []
    codex.write_text('[mcp_servers.notes]\ncommand = "notes"\n')
    assert [move.name for move in one.init().moves] == ["notes"]
    assert undo(one.hands) == []
    assert before.keys() == one.files().keys()


def test_a_list_of_servers_that_cannot_be_edited_is_named(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    codex = tmp_path / ".codex" / "config.toml"
    codex.parent.mkdir()
    codex.write_text('mcp_servers = { a = { command = "x", enabled = false } }\n')
    one.init(clients=("cursor",))
    with pytest.raises(Refused, match=r"config\.toml: it is not written as a table"):
        one.init(clients=("codex",))


def test_the_large_file_of_claude_code_is_not_read_for_each_of_its_servers(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    projects = {f"/p{number}": {"history": ["x" * 50] * 40} for number in range(1500)}
    servers = {f"s{number}": {"command": "x"} for number in range(5)}
    (tmp_path / ".claude.json").write_text(json.dumps({"projects": projects, "mcpServers": servers}, indent=2))
    before = time.process_time()
    assert len(one.found_of("claude-code").servers) == 5
    assert time.process_time() - before < 2


def test_line_ends_and_the_mark_of_an_editor_are_kept(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_bytes(b'\xef\xbb\xbf{\r\n  "mcpServers": {\r\n    "notes": {"command": "notes"}\r\n  }\r\n}')
    one.init()
    content = file.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf{\r\n")
    assert content.count(b"\n") == content.count(b"\r\n")
    assert not content.endswith(b"\n")


def test_a_file_that_changes_while_init_is_at_work_is_not_written_and_nothing_is_half_done(tmp_path: Path) -> None:
    one = person(tmp_path)
    plan = one.plan()
    file = tmp_path / ".codex" / "config.toml"
    file.write_text(file.read_text() + "\n# just now\n")
    before = one.files()
    with pytest.raises(ChangedMeanwhile) as refused:
        carry_out(plan, one.hands)
    assert str(file) in str(refused.value)
    assert one.files() == before
    with pytest.raises(NothingDone):
        undo(one.hands)


@not_windows
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may write everything")
def test_a_folder_that_cannot_be_written_is_an_error_and_nothing_is_half_done(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    (tmp_path / ".codex").chmod(0o500)
    try:
        with pytest.raises(UnwritableDocument):
            one.init()
    finally:
        (tmp_path / ".codex").chmod(0o700)
    assert one.files() == before


def test_what_others_changed_since_stays_when_ours_is_taken_back(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    one.init()
    file = one.applications / "Claude" / "claude_desktop_config.json"
    file.write_text(
        file.read_text()
        .replace('"Alt+Space"', '"Ctrl+K"')
        .replace('"asyncfc":', '"mine": {"command": "m"},\n    "asyncfc":')
    )
    toml = tmp_path / ".codex" / "config.toml"
    toml.write_text(toml.read_text().replace("gpt-5.1-codex-mini", "other"))
    assert undo(one.hands) == []
    assert read_jsonc(file.read_text()).value["globalShortcut"] == "Ctrl+K"
    assert sorted(servers_of(file)) == ["My Notes", "filesystem", "github", "mine"]
    assert '"args": ["run", "-i", "--rm", "-e", "GITHUB_PERSONAL_ACCESS_TOKEN"' in file.read_text()
    expected = tomllib.loads(before[".codex/config.toml"].decode().replace("gpt-5.1-codex-mini", "other"))
    assert tomllib.loads(toml.read_text()) == expected
    assert any("as it was before init is kept" in line for line in one.said)


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        ({"asyncfc": {"command": "S3CRET"}}, "asyncfc is not what it was"),
        ({"filesystem": {"command": "S3CRET"}}, "filesystem has come back with something else"),
    ],
)
def test_what_others_changed_of_ours_is_refused_with_a_difference_and_no_secret(
    tmp_path: Path, changed: dict[str, Any], fact: str
) -> None:
    one = person(tmp_path)
    one.init()
    file = one.applications / "Claude" / "claude_desktop_config.json"
    document = json.loads(file.read_text())
    document["mcpServers"] |= changed
    file.write_text(json.dumps(document))
    (refusal,) = undo(one.hands)
    assert isinstance(refusal, Refused)
    assert fact in str(refusal)
    assert "--- as init left it" in str(refusal) or "come back" in fact
    assert SECRET not in str(refusal)
    assert json.loads(file.read_text()) == document
    assert list(servers_of(tmp_path / ".codeium" / "windsurf" / "mcp_config.json")) == ["figma", "files", "off"]
    assert one.servers_file.exists()  # the entry that is left still needs it


def test_a_refused_undo_can_be_tried_again(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    before = one.files()
    one.init()
    file = tmp_path / ".cursor" / "mcp.json"
    ours = file.read_text()
    file.write_text(ours.replace("serve", "sever"))
    assert len(undo(one.hands)) == 1
    file.write_text(ours)
    assert undo(one.hands) == []
    assert one.files() == before


def kept_of(servers_file: Path) -> list[dict[str, Any]]:
    """What the copies of the gateway's file hold."""
    return [json.loads(copy.read_text()) for copy in sorted(servers_file.parent.glob("*.asyncfc-backup-*"))]


def test_labels_written_since_are_kept_in_a_copy_when_the_gateways_file_goes(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    before = one.files()
    one.init()
    labelled = {"mcpServers": {"notes": {"command": "notes", "asyncfc": {"isolated": True}}}}
    one.servers_file.write_text(json.dumps(labelled))
    assert undo(one.hands) == []
    assert not one.servers_file.exists()
    assert kept_of(one.servers_file) == [labelled]
    assert {path: content for path, content in one.files().items() if "asyncfc-backup" not in path} == before
    assert any("as it was, with what was written into it since init, is kept: " in line for line in one.said)


def test_settings_at_the_top_are_kept_in_a_copy_when_the_gateways_file_goes(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    one.init()
    with_settings = {"mcpServers": {"notes": {"command": "notes"}}, "asyncfc": {"mode": "async"}}
    one.servers_file.write_text(json.dumps(with_settings))
    assert undo(one.hands) == []
    assert not one.servers_file.exists()
    assert kept_of(one.servers_file) == [with_settings]


def test_one_copy_holds_the_labels_of_two_inits(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}, "time": {"command": "time"}}}')
    one.init(servers=("notes",))
    one.init(servers=("time",))
    (older,) = kept_of(one.servers_file)
    labelled = {"mcpServers": {name: {"command": name, "asyncfc": {"isolated": True}} for name in ("notes", "time")}}
    one.servers_file.write_text(json.dumps(labelled))
    assert undo(one.hands) == []
    assert not one.servers_file.exists()
    assert kept_of(one.servers_file) in ([older, labelled], [labelled, older])


def test_servers_of_your_own_stay_in_the_gateways_file_and_labels_are_kept_in_a_copy(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    one.init()
    labelled = {"notes": {"command": "notes", "asyncfc": {"isolated": True}}}
    own = {"mine": {"command": "mine"}}
    one.servers_file.write_text(json.dumps({"mcpServers": {**labelled, **own}}))
    assert undo(one.hands) == []
    assert servers_of(one.servers_file) == own
    assert kept_of(one.servers_file) == [{"mcpServers": {**labelled, **own}}]


def test_a_gateways_file_that_cannot_be_read_any_more_is_left_to_its_owner(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    one.init()
    one.servers_file.write_text("{")
    (refusal,) = undo(one.hands)
    assert "servers.json: not JSON" in str(refusal)
    assert list(servers_of(tmp_path / ".cursor" / "mcp.json")) == ["notes"]
    one.servers_file.unlink()
    assert undo(one.hands) == []


@pytest.mark.parametrize("lost", ["file", "backup"])
def test_undo_copes_with_what_was_deleted(tmp_path: Path, lost: str) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    one.init()
    file = tmp_path / ".cursor" / "mcp.json"
    (backup,) = file.parent.glob("*.asyncfc-backup-*")
    (file if lost == "file" else backup).unlink()
    refusals = undo(one.hands)
    if lost == "file":
        assert [str(backup) in str(refusal) for refusal in refusals] == [True]
        assert backup.exists()
        backup.unlink()
        (refusal,) = undo(one.hands)
        assert "put a file with nothing but {} in it there and try again" in str(refusal)
        file.write_text("{}")
        assert undo(one.hands) == []
        assert servers_of(file) == {"notes": {"command": "notes"}}
    else:
        assert refusals == []
        assert servers_of(file) == {"notes": {"command": "notes"}}


def test_an_undo_by_hand_is_noticed(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    before = one.files()
    one.init()
    file = tmp_path / ".cursor" / "mcp.json"
    file.write_bytes(before[".cursor/mcp.json"])
    assert undo(one.hands) == []
    assert one.files() == before


def test_undo_without_init_says_so(tmp_path: Path) -> None:
    with pytest.raises(NothingDone):
        undo(stranger(tmp_path).hands)


def test_a_damaged_journal_says_where_the_copies_are(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init()
    one.hands.journal.path.write_text("{")
    with pytest.raises(DamagedJournal, match=r"asyncfc-backup"):
        undo(one.hands)


def test_a_gateway_file_that_cannot_be_read_stops_init(tmp_path: Path) -> None:
    one = cursor_user(tmp_path, '{"mcpServers": {"notes": {"command": "notes"}}}')
    one.servers_file.parent.mkdir()
    for text, error in (("{", UnreadableDocument), ('{"servers": {}}', UnfitGatewayFile)):
        one.servers_file.write_text(text)
        with pytest.raises(error, match=r"servers\.json"):
            one.plan()


def test_a_broken_gateway_file_of_a_project_is_in_nobody_elses_way(tmp_path: Path) -> None:
    one = person(tmp_path)
    (one.where.project / PROJECT_FILE).write_text("{")
    assert [move.name for move in one.init(clients=("codex",)).moves] == ["context7", "figma"]


def test_no_secret_is_ever_said(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init(rewrites_rules=True)
    undo(one.hands)
    assert SECRET not in "\n".join(one.said)


def test_nothing_is_written_outside_the_files_that_init_names(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    plan = one.init(rewrites_rules=True)
    changed = {path for path, content in one.files().items() if before.get(path) != content}
    named = {str(file.path.relative_to(tmp_path)) for file in plan.files}
    assert {path.split(".asyncfc-backup-")[0] for path in changed} == named


def test_an_entry_written_in_another_way_stays_and_says_so(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    file = tmp_path / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text('mcp_servers.a.command = "x"\n\n[mcp_servers.b]\ncommand = "y"\n')
    found = one.found_of("codex")
    assert found.wants_hands
    assert [move.name for move in one.plan().moves] == ["b"]
    assert LAUNCH.command in str(one.plan().files)
