"""`asyncfc-mcp tools`: every tool with its mode and labels, and where these come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asyncfc_mcp.cli.main import main
from tests.inspection.support import needs_npm, npm, shaped, tool


def tools(folder: Path, servers: Mapping[str, Any], *options: str) -> Result:
    file = folder / "servers.json"
    file.write_text(json.dumps({"mcpServers": servers}))
    return CliRunner().invoke(main, ["tools", "--config", str(file), *options])


def listed(result: Result) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(result.stdout)["tools"]}


def test_each_tool_says_its_mode_and_labels_and_where_they_come_from(tmp_path: Path) -> None:
    settings = {
        "mode": "async",
        "tools": {"put": {"writes": ["db/{table}"], "reads": ["db"], "mode": "sync", "inline_wait_s": 3}},
    }
    offered = [
        tool("get"),
        {"name": "put", "inputSchema": {"type": "object"}},
        {"name": "do", "inputSchema": {"type": "object"}},
    ]
    result = tools(tmp_path, {"one": {**shaped(tools=offered), "asyncfc": settings}}, "--json")
    found = listed(result)
    assert result.exit_code == 0
    assert found["one_put"] == {
        "name": "one_put",
        "server": "one",
        "own_name": "put",
        "mode": "sync",
        "inline_wait_s": 3.0,
        "timeout_s": 3600.0,
        "reads": ["db"],
        "writes": ["db/{table}"],
        "labels_from": "configuration",
        "labels_are_declared": True,
    }
    assert (found["one_get"]["reads"], found["one_get"]["labels_from"]) == ([""], "annotations")
    assert (found["one_do"]["writes"], found["one_do"]["labels_from"]) == ([""], "default")
    assert found["one_do"]["mode"] == "async"


def test_piped_it_is_plain_columns(tmp_path: Path) -> None:
    lines = tools(tmp_path, {"one": shaped(tools=[tool("get")])}).stdout.splitlines()
    assert lines[0].split() == ["TOOL", "SERVER", "MODE", "INLINE", "WAIT", "READS", "WRITES", "LABELS", "FROM"]
    assert lines[1].split() == ["one_get", "one", "auto", "auto", "everything", "-", "annotations"]
    assert len(lines) == 2


def test_a_server_that_is_not_up_is_told_and_the_others_are_listed(tmp_path: Path) -> None:
    result = tools(tmp_path, {"one": shaped(tools=[tool("get")]), "two": {"command": "no-such-command"}}, "--json")
    assert result.exit_code == 1
    assert list(listed(result)) == ["one_get"]
    assert "two is not up: command 'no-such-command' was not found" in result.stderr


def test_one_server_can_be_chosen_and_has_to_be_there(tmp_path: Path) -> None:
    servers = {"one": shaped(tools=[tool("get")]), "two": {"command": "no-such-command"}}
    assert list(listed(tools(tmp_path, servers, "--server", "one", "--json"))) == ["one_get"]
    result = tools(tmp_path, servers, "--server", "three")
    assert (result.exit_code, "the file has one, two" in result.stderr) == (2, True)


def test_the_tools_that_have_changed_are_a_list_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCFC_STATE_FOLDER", str(tmp_path))
    assert CliRunner().invoke(main, ["tools", "changed"]).stdout == "No tool has changed since it was first used.\n"


def test_tools_list_is_tools_alone(tmp_path: Path) -> None:
    servers = {"one": shaped(tools=[tool("get")])}
    assert tools(tmp_path, servers, "list").stdout == tools(tmp_path, servers).stdout


@pytest.mark.real
@needs_npm
def test_labels_of_a_pack_are_told_as_such(tmp_path: Path) -> None:
    found = listed(tools(tmp_path, {"fs": npm("filesystem", str(tmp_path))}, "--json"))
    assert found["fs_read_text_file"]["labels_from"] == "pack"
    assert found["fs_read_text_file"]["reads"] == ["fs/{path:path}"]
