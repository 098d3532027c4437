"""Permission rules and allow-lists: said once more under the names that tools have behind the gateway."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.adoption.jsonc import read_jsonc
from asyncfc_mcp.adoption.switching import undo
from tests.adoption.people import Person, person, stranger


def permissions(one: Person) -> dict[str, Any]:
    return read_jsonc((one.where.home / ".claude" / "settings.json").read_text()).value["permissions"]


def claude(home: Path, server: str, **rules: list[str]) -> Person:
    """Somebody with one server in a project, and these rules."""
    one = stranger(home)
    (one.where.project / ".mcp.json").write_text(json.dumps({"mcpServers": {server: {"command": "x"}}}))
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text(json.dumps({"permissions": rules}))
    return one


def test_rules_are_proposed_and_only_written_when_asked_for(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    plan = one.init()
    assert plan.rules
    assert one.files()[".claude/settings.json"] == before[".claude/settings.json"]


def test_new_rules_stand_beside_the_old_ones(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init(rewrites_rules=True)
    assert permissions(one) == {
        "allow": [
            "Bash(git status)",
            "mcp__fetch__fetch",
            "mcp__memory",
            "mcp__asyncfc__fetch_fetch",
            "mcp__asyncfc-project__memory_*",
        ],
        "deny": ["mcp__memory__delete_*", "mcp__asyncfc-project__memory_delete_*"],
        "ask": [],
    }


@pytest.mark.parametrize(
    ("server", "rule", "new"),
    [
        ("git", "mcp__git__log", "mcp__asyncfc-project__git_log"),
        ("git", "mcp__git", "mcp__asyncfc-project__git_*"),
        ("git", "mcp__git__*", "mcp__asyncfc-project__git_*"),
        ("git", "mcp__github__log", None),
        ("git", "Bash(mcp__git__log)", None),
        ("my server", "mcp__my_server__log", "mcp__asyncfc-project__my-server_log"),
        ("git", "mcp__git__" + "a" * 40, "mcp__asyncfc-project__git_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa_1af9e6"),
    ],
)
def test_a_rule_is_found_by_its_server(tmp_path: Path, server: str, rule: str, new: str | None) -> None:
    plan = claude(tmp_path, server, ask=[rule]).plan()
    items = [item for rules in plan.rules for edit in rules.edits for item in edit.items]
    if new is not None and len(rule) > 45:
        (item,) = items
        assert item.startswith("mcp__asyncfc-project__git_aaa")
        assert len(item.removeprefix("mcp__asyncfc-project__")) == 40
    else:
        assert items == ([] if new is None else [new])


def test_allow_lists_of_cursor_and_gemini_get_the_gateway(tmp_path: Path) -> None:
    one = person(tmp_path)
    cli = tmp_path / ".cursor" / "cli-config.json"
    cli.write_text('{"permissions": {"allow": ["Shell(ls)", "Mcp(github:get_issue)"], "deny": ["Mcp(search:*)"]}}')
    one.init(rewrites_rules=True)
    cursor = (tmp_path / ".cursor" / "permissions.json").read_text()
    assert cursor.startswith("// what may run by itself\n")
    allowed = read_jsonc(cursor).value["mcpAllowlist"]
    assert allowed[3:] == ["asyncfc:github-2_get_issue", "asyncfc:search_*"]
    rules = json.loads(cli.read_text())["permissions"]
    assert rules["allow"][2:] == ["Mcp(asyncfc:github-2_get_issue)"]
    assert rules["deny"][1:] == ["Mcp(asyncfc:search_*)"]
    gemini = read_jsonc((tmp_path / ".gemini" / "settings.json").read_text()).value
    assert gemini["mcp"]["allowed"] == ["python-tools", "web", "asyncfc"]


def test_approvals_that_stood_in_a_servers_entry_move_to_the_gateways(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init(rewrites_rules=True)
    windsurf = json.loads((tmp_path / ".codeium" / "windsurf" / "mcp_config.json").read_text())
    assert windsurf["mcpServers"]["asyncfc"]["alwaysAllow"] == ["files_read_file"]
    codex = tomllib.loads((tmp_path / ".codex" / "config.toml").read_text())
    assert codex["mcp_servers"]["asyncfc"]["tools"] == {"context7_query-docs": {"approval_mode": "approve"}}


def test_rules_that_others_added_since_stay_when_ours_are_taken_back(tmp_path: Path) -> None:
    one = claude(tmp_path, "git", allow=["mcp__git__log"])
    one.init(rewrites_rules=True)
    file = tmp_path / ".claude" / "settings.json"
    document = json.loads(file.read_text())
    document["permissions"]["allow"].append("Bash(ls)")
    file.write_text(json.dumps(document, indent=4))
    assert undo(one.hands) == []
    assert permissions(one)["allow"] == ["mcp__git__log", "Bash(ls)"]


def test_rules_that_are_there_are_not_written_twice(tmp_path: Path) -> None:
    one = claude(tmp_path, "git", allow=["mcp__git__log", "mcp__asyncfc-project__git_log"])
    assert one.plan().rules == ()
