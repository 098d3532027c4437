"""What the doctor says of the file itself, and of the surroundings of the servers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from asyncfc_mcp.cli.main import main
from asyncfc_mcp.clients.places import CLIENTS
from asyncfc_mcp.inspection.desktop import desktop_environ, desktop_path
from asyncfc_mcp.inspection.hosts import HOSTS
from tests.inspection.support import Doctor, shaped, tool

SOUND = shaped(tools=[tool("read")])


def test_a_variable_without_a_value_is_told_and_the_other_servers_are_looked_at(doctor: Doctor) -> None:
    said = doctor.of(
        {
            "one": {"url": "${NO_SUCH_ADDRESS}", "headers": {"Authorization": "Bearer ${NO_SUCH_TOKEN}"}},
            "two": SOUND,
        }
    )
    assert said.exit_code == 1
    assert said.codes("one") == ["variable_missing", "variable_missing"]
    assert "${NO_SUCH_TOKEN}" in said.document["findings"][1]["fact"]
    assert {one["server"]: one["state"] for one in said.document["servers"]} == {"two": "ready", "one": "not started"}


def test_an_entry_of_the_gateway_itself_is_a_note(doctor: Doctor) -> None:
    said = doctor.of({"one": SOUND, "me": {"command": "asyncfc-mcp", "args": ["serve", "--config", "x"]}})
    assert (said.exit_code, said.codes("")) == (0, ["gateway_itself"])


def test_only_the_server_that_is_named_is_started(doctor: Doctor) -> None:
    servers = {"one": SOUND, "two": {"command": "no-such-command"}, "three": {"command": "${NO_SUCH_VARIABLE}"}}
    said = doctor.of(servers, "--server", "one")
    assert (said.exit_code, [one["server"] for one in said.document["servers"]]) == (0, ["one"])


def test_the_worst_is_said_first(doctor: Doctor) -> None:
    said = doctor.of(
        {
            "one": {**shaped(tools=[tool("read")], noise=["x"]), "env": {"A_TOKEN": ""}},
            "two": shaped(),
            "three": {"command": "no-such-command"},
        }
    )
    severities = [finding["severity"] for finding in said.document["findings"]]
    assert severities == ["error", "warning", "warning", "note"]
    assert said.document["counts"] == {"error": 1, "warning": 2, "note": 1}


@pytest.mark.parametrize("content", ["{", '{"mcpServers": {}}', '{"mcpServers": {"one": {"command": 5}}}'])
def test_a_file_that_cannot_be_used_is_one_message_and_exit_code_2(tmp_path: Path, content: str) -> None:
    file = tmp_path / "servers.json"
    file.write_text(content)
    result = CliRunner().invoke(main, ["doctor", "--config", str(file)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"asyncfc-mcp: {file}: ")


def test_without_a_file_the_way_to_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCFC_CONFIG_FOLDER", str(tmp_path))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 2
    assert "asyncfc-mcp init" in result.stderr


def test_the_file_that_init_makes_is_read_when_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCFC_CONFIG_FOLDER", str(tmp_path))
    monkeypatch.setenv("ASYNCFC_STATE_FOLDER", str(tmp_path / "state"))
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"one": SOUND}}))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    assert "Nothing is wrong." in result.stdout
    assert "one  ready in " in result.stdout


@pytest.mark.skipif(desktop_path() is None, reason="programs with windows have the PATH of a terminal here")
def test_a_command_that_a_program_with_windows_would_not_find_is_a_note_and_with_gui_an_error(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "bin" / "my-server"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    entry = {**SOUND, "command": "my-server"}
    assert doctor.of_one(entry).codes() == ["not_on_desktop_path"]
    before = dict(os.environ)
    assert doctor.of_one(entry, "--gui").codes() == ["command_not_found"]
    assert dict(os.environ) == before
    assert doctor.of_one({**entry, "env": {"PATH": os.environ["PATH"]}}, "--gui").codes() == []


def test_variables_of_the_shell_are_missing_in_a_program_with_windows() -> None:
    environ = desktop_environ({"HOME": "/home/ann", "PATH": "/home/ann/bin", "API_KEY": "x", "LC_ALL": "C"}, "darwin")
    assert environ == {"HOME": "/home/ann", "LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    assert desktop_environ({"PATH": "C:\\x", "API_KEY": "x"}, "win32") == {"PATH": "C:\\x", "API_KEY": "x"}


def test_every_client_that_init_knows_can_be_named() -> None:
    assert set(HOSTS) == {client.key for client in CLIENTS}


def test_words_of_a_server_cannot_move_the_cursor_of_a_terminal(doctor: Doctor, tmp_path: Path) -> None:
    doctor.of_one(shaped(tools=[{"name": "a\u001b[2Jb", "inputSchema": {"type": "object"}}]))
    result = CliRunner().invoke(main, ["doctor", "--config", str(doctor.file)])
    assert "\u001b" not in result.stdout
    assert "\\x1b[2Jb" in result.stdout
