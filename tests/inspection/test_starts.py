"""A server that does not start, or not as it should: what is wrong, and the way out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.downstream.status import ConnectionState, ServerStatus
from asyncfc_mcp.inspection.findings import Severity
from asyncfc_mcp.inspection.servers import ListedServer
from asyncfc_mcp.inspection.starts import failure, health_findings
from tests.inspection.support import Doctor, needs_npm, npm, shaped, tool

SECRET = "hush-5f1c9"


@pytest.fixture
def folder_of_commands(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "my-server"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return folder


def test_a_sound_server_gives_no_finding(doctor: Doctor) -> None:
    said = doctor.of_one(shaped(tools=[tool("read")]))
    assert (said.exit_code, said.document["findings"]) == (0, [])
    assert said.document["servers"][0]["state"] == "ready"
    assert said.document["servers"][0]["tools"] == 1


def test_a_command_that_is_not_there_is_told_with_the_one_that_looks_like_it(
    doctor: Doctor, folder_of_commands: Path
) -> None:
    said = doctor.of_one({"command": "my-sever", "env": {"PATH": str(folder_of_commands)}})
    assert said.exit_code == 1
    assert "did you mean my-server?" in said.finding("command_not_found")["remedy"]
    assert said.codes() == ["command_not_found"]


def test_a_command_that_only_another_path_has_is_told_with_its_place(doctor: Doctor, folder_of_commands: Path) -> None:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{folder_of_commands}{os.pathsep}{before}"
    try:
        said = doctor.of_one({"command": "my-server"}, "--gui")
    finally:
        os.environ["PATH"] = before
    assert str(folder_of_commands / "my-server") in said.finding("command_not_found")["remedy"]


def test_arguments_inside_the_command_are_told(doctor: Doctor) -> None:
    remedy = doctor.of_one({"command": "sh -c true"}).finding("command_not_found")["remedy"]
    assert remedy == "write 'sh' as `command` and the words behind it as `args`"


def test_a_file_that_is_not_executable_is_told_with_both_ways_out(doctor: Doctor, tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text("")
    remedy = doctor.of_one({"command": str(script)}).finding("not_executable")["remedy"]
    assert f"chmod +x {script}" in remedy
    assert "'python3'" in remedy


def test_a_command_with_a_tilde_is_told(doctor: Doctor) -> None:
    assert "no shell" in doctor.of_one({"command": "~/bin/server"}).finding("command_not_found")["fact"]


def test_a_missing_working_folder_is_told_with_the_near_one(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    remedy = doctor.of_one({**shaped(), "cwd": str(tmp_path / "projekt")}).finding("folder_missing")["remedy"]
    assert f"did you mean {tmp_path / 'project'}?" in remedy


def test_a_missing_script_is_the_whole_reason(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("")
    said = doctor.of_one({"command": sys.executable, "args": [str(tmp_path / "serve.py")]})
    assert said.codes() == ["script_missing"]
    assert f"did you mean {tmp_path / 'server.py'}?" in said.finding("script_missing")["remedy"]


def test_what_a_server_said_before_it_ended_is_quoted_without_its_secrets(doctor: Doctor) -> None:
    words = ["starting", f"Error: the API key {SECRET} is missing its end", "    at somewhere"]
    said = doctor.of_one({**shaped(stderr=words, exit=3), "env": {"SERVICE_KEY": SECRET}})
    finding = said.finding("exits")
    assert "exited with code 3" in finding["fact"]
    assert "Error: the API key (hidden) is missing its end" in finding["fact"]
    assert "put it into `env`" in finding["remedy"]
    assert SECRET not in str(said.document)


def test_a_server_that_says_nothing_before_it_ends_is_told_so(doctor: Doctor) -> None:
    assert doctor.of_one(shaped(exit=0)).finding("exits")["fact"].endswith("it said nothing")


def test_text_on_stdout_is_a_warning_when_the_server_works_all_the_same(doctor: Doctor) -> None:
    said = doctor.of_one(shaped(noise=["Listening!"], tools=[tool("read")]))
    assert said.exit_code == 0
    assert said.finding("stdout_noise")["fact"].endswith("Listening!")


def test_a_program_that_speaks_no_mcp_is_told(doctor: Doctor) -> None:
    said = doctor.of_one(shaped(noise=["Welcome to the shell"], silent=True), "--timeout", "5")
    assert "Welcome to the shell" in said.finding("not_mcp")["fact"]


def test_a_server_that_never_answers_is_told(doctor: Doctor) -> None:
    assert doctor.of_one(shaped(silent=True), "--timeout", "2").codes() == ["no_answer"]


def test_an_old_protocol_is_a_warning_or_a_note_by_its_age(doctor: Doctor) -> None:
    tools = [tool("read")]
    said = doctor.of(
        {"one": shaped(version="2024-11-05", tools=tools), "two": shaped(version="2025-06-18", tools=tools)}
    )
    assert said.finding("old_protocol")["severity"] == "warning"
    assert said.finding("old_protocol", "two")["severity"] == "note"


def test_a_protocol_that_nobody_knows_is_an_error() -> None:
    said = "it speaks protocol version '1999-01-01', which is not supported here"
    status = ServerStatus(ConnectionState.WAITING, said, attempts=1)
    assert failure(ListedServer("one", status, (), None, ())).code == "protocol_unsupported"


@pytest.mark.parametrize(("ready_s", "severity"), [(2.9, None), (3.1, Severity.WARNING), (10.1, Severity.ERROR)])
def test_a_slow_start_is_judged_by_what_hosts_allow(ready_s: float, severity: Severity | None) -> None:
    status = ServerStatus(ConnectionState.READY, protocol_version="2025-11-25")
    found = [*health_findings(ListedServer("one", status, (), ready_s, ()))]
    assert [finding.severity for finding in found] == ([severity] if severity else [])


def test_empty_and_made_up_secrets_are_told_and_harmless_variables_are_not(doctor: Doctor) -> None:
    env = {"GITHUB_TOKEN": "", "API_KEY": "<your-key>", "DB_PASSWORD": "changeme", "DEBUG": "", "REAL_TOKEN": "f8a9c1"}
    said = doctor.of_one({**shaped(tools=[tool("read")]), "env": env})
    facts = [finding["fact"] for finding in said.document["findings"]]
    assert facts == [
        "variable GITHUB_TOKEN is empty",
        "variable API_KEY is a placeholder",
        "variable DB_PASSWORD is a placeholder",
    ]


@pytest.mark.real
@needs_npm
def test_the_filesystem_server_is_well_with_a_folder_and_not_without(doctor: Doctor, tmp_path: Path) -> None:
    said = doctor.of({"fs": npm("filesystem", str(tmp_path)), "gone": npm("filesystem", str(tmp_path / "gone"))})
    assert said.codes("fs") == []
    assert said.codes("gone") == ["path_missing", "exits"]


@pytest.mark.real
def test_the_git_server_says_why_it_does_not_start(doctor: Doctor, tmp_path: Path) -> None:
    command = str(Path(sys.executable).with_name("mcp-server-git"))
    said = doctor.of(
        {"git": {"command": command}, "bad": {"command": command, "args": ["--repository", str(tmp_path / "no")]}}
    )
    assert said.codes("git") == []
    assert "does not exist" in said.finding("exits", "bad")["fact"]


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "sh", "args": ["-c", "exit 3", "/" + "a" * 300]},
        {"command": "sh", "cwd": "/" + "a" * 300},
        {"command": "/" + "a" * 5000},
        {"command": "~no-such-user/x"},
    ],
)
def test_what_can_be_no_path_is_a_finding_and_no_fault_of_the_doctor(doctor: Doctor, entry: dict[str, Any]) -> None:
    assert doctor.of_one(entry).exit_code == 1


def test_a_server_that_quotes_its_key_as_it_refuses_it_shows_nobody_the_key(doctor: Doctor) -> None:
    entry = shaped(refuses="invalid key hush-5f1c9", stderr=["Error: invalid key hush-5f1c9"])
    for given in ({"env": {"ANY": "hush-5f1c9"}}, {"args": [*entry["args"], "--api-key", "hush-5f1c9"]}):
        said = doctor.of_one({**entry, **given})
        assert "invalid key (hidden)" in said.finding("not_started")["fact"]
        assert "hush" not in str(said.document)


def test_a_command_with_words_in_it_is_shown_without_them(doctor: Doctor) -> None:
    assert "hush" not in str(doctor.of_one({"command": "sh x --api-key=hush-5f1c9"}).document)
