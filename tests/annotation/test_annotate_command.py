"""`asyncfc-mcp annotate`: what it shows, and what it writes into a configuration file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asyncfc_mcp.cli.main import main
from asyncfc_mcp.config.load import load_file
from tests.inspection.support import shaped, tool

NOTES = shaped(
    tools=[
        {"name": "list_notes", "inputSchema": {"type": "object"}},
        {"name": "add_note", "inputSchema": {"type": "object", "properties": {"book_id": {"type": "string"}}}},
        {"name": "frobnicate", "inputSchema": {"type": "object"}},
        tool("query_all", {"type": "object", "properties": {"pipeline": {"type": "array"}}}),
    ]
)
PROPOSED = {
    "list_notes": {"reads": ["shaped"], "writes": []},
    "add_note": {"reads": [], "writes": ["shaped"]},
    "query_all": {"reads": [], "writes": [""]},
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASYNCFC_STATE_FOLDER", str(tmp_path / "state"))
    return tmp_path / "servers.json"


def has(file: Path, notes: dict[str, Any] = NOTES, **others: dict[str, Any]) -> None:
    file.write_text(json.dumps({"mcpServers": {"notes": notes, **others}}, indent=2), encoding="utf-8")


def annotate(file: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["annotate", "--config", str(file), *words])


def labels_in(file: Path) -> dict[str, Any]:
    (entry, *_) = load_file(file, os.environ).config.servers
    return {
        name: {"reads": list(one.reads or ()), "writes": list(one.writes or ())}
        for name, one in entry.settings.tools.items()
    }


def test_it_shows_the_labels_and_why(file: Path) -> None:
    has(file)
    result = annotate(file)
    assert result.exit_code == 0, result.stderr
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert "shaped" in lines["notes_list_notes"]
    assert "its name says `list`" in lines["notes_list_notes"]
    assert "everything (unsure)" in lines["notes_frobnicate"]
    assert "nothing in its name says what it does" in lines["notes_frobnicate"]
    assert "--write puts the labels of 3 tools into" in result.stdout


def test_the_json_has_all_of_it_and_nothing_else(file: Path) -> None:
    has(file)
    document = json.loads(annotate(file, "--json").stdout)
    found = {one["own_name"]: one for one in document["tools"]}
    assert {name: one["status"] for name, one in found.items()} == {
        "list_notes": "proposed",
        "add_note": "proposed",
        "frobnicate": "unsure",
        "query_all": "unsure",
    }
    assert found["query_all"]["contradicts_hint"]
    assert found["add_note"]["narrower"] == ["book_id"]


def test_what_is_declared_already_is_left_alone(file: Path) -> None:
    has(file, {**NOTES, "asyncfc": {"tools": {"list_notes": {"reads": ["own/{x}"]}}}})
    document = json.loads(annotate(file, "--json").stdout)
    found = {one["own_name"]: one for one in document["tools"]}
    assert found["list_notes"]["status"] == "configuration"
    assert found["add_note"]["writes"] == ["own"]
    result = annotate(file, "--write")
    assert labels_in(file)["list_notes"] == {"reads": ["own/{x}"], "writes": []}
    assert result.exit_code == 0


def test_nothing_is_written_without_being_asked(file: Path) -> None:
    has(file)
    before = file.read_bytes()
    annotate(file)
    assert file.read_bytes() == before


def test_it_writes_what_is_sure_and_what_keeps_a_read_only_claim_from_being_believed(file: Path) -> None:
    has(file)
    before = file.read_text(encoding="utf-8")
    result = annotate(file, "--write")
    assert result.exit_code == 0, result.stderr
    assert labels_in(file) == PROPOSED
    assert '+              "shaped"' in result.stderr, "the difference is shown"
    (backup,) = file.parent.glob("servers.json.asyncfc-backup-*")
    assert backup.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("indent", [None, 2])
def test_the_difference_shows_no_secret(file: Path, indent: int | None) -> None:
    secret = "s3cret-of-mine"
    entry = {**NOTES, "args": [*NOTES["args"], secret], "env": {"TOKEN": secret}}
    others = {"headers": {"Authorization": secret}, "asyncfc": {"store": "memory"}, "inputs": [secret]}
    file.write_text(json.dumps({"mcpServers": {"notes": entry, "tools": entry}, **others}, indent=indent))
    result = annotate(file, "--write")
    assert result.exit_code == 0, result.stderr
    assert "list_notes" in result.stderr
    assert secret not in result.output
    assert labels_in(file) == PROPOSED


def test_the_difference_shows_no_comment_and_no_number(file: Path) -> None:
    comment, pin = "/* an old key: s3cret // */", 98761234
    entry = json.dumps({**NOTES, "env": {"PIN": pin, "URL": "https://example.org/*x*/"}})
    file.write_text(f'{{{comment}"mcpServers": {{"notes": {entry}{comment}}}}}// s3cret', encoding="utf-8")
    result = annotate(file, "--write")
    assert result.exit_code == 0, result.stderr
    assert "list_notes" in result.stderr
    assert "s3cret" not in result.output
    assert str(pin) not in result.output
    assert labels_in(file) == PROPOSED


def test_a_second_time_there_is_nothing_left_to_write(file: Path) -> None:
    has(file)
    annotate(file, "--write")
    before = file.read_bytes()
    result = annotate(file, "--write")
    assert "nothing to write" in result.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_comments_order_and_line_ends_stay_as_they_are(file: Path, newline: str) -> None:
    args = json.dumps(NOTES["args"])
    lines = [
        "// mine",
        "{",
        '  "theme": "dark",',
        '  "servers": {',
        f'    "notes": {{"command": {json.dumps(NOTES["command"])}, "args": {args}, // as it was',
        '      "asyncfc": {"mode": "auto", "tools": {"add_note": {"timeout_s": 5}}}, /* here */',
        "    },",
        "  },",
        "}",
        "",
    ]
    file.write_bytes(newline.join(lines).encode())
    result = annotate(file, "--write")
    assert result.exit_code == 0, result.stderr
    text = file.read_bytes().decode()
    assert labels_in(file) == PROPOSED
    assert [line for line in lines if line.rstrip(newline) not in text] == [lines[5]]
    assert all(comment in text for comment in ("// mine", "// as it was", "/* here */"))
    assert text.count("\n") == text.count(newline)
    assert load_file(file, os.environ).config.servers[0].settings.tools["add_note"].timeout_s == 5


def test_a_file_that_cannot_be_edited_safely_is_left_and_the_snippet_is_printed(file: Path) -> None:
    file.write_text("{mcpServers: " + json.dumps({"notes": NOTES}) + "}", encoding="utf-8")
    before = file.read_bytes()
    result = annotate(file, "--write")
    assert result.exit_code == 1
    assert '"add_note": {' in result.stderr
    assert file.read_bytes() == before
    assert list(file.parent.glob("*backup*")) == []


def test_a_server_that_is_down_is_named_and_the_others_are_judged(file: Path) -> None:
    has(file, broken={"command": "no-such-command-anywhere"})
    result = annotate(file)
    assert result.exit_code == 1
    assert "broken is not up" in result.stderr
    assert "notes_list_notes" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--server", "nots"], "there is no server 'nots'; the file has notes"),
        (
            ["--explain", "notes_list_nots", "notes_add_note"],
            "there is no tool 'notes_list_nots'; there is notes_list_notes",
        ),
        (["--explain", "notes_add_note {x}", "notes_add_note"], "has arguments that are not JSON"),
        (["--explain", "notes_add_note [1]", "notes_add_note"], "has arguments that are no object"),
        (["--explain", "", "notes_add_note"], "names no tool"),
    ],
)
def test_wrong_usage_says_the_way_out_in_one_line(file: Path, words: list[str], said: str) -> None:
    has(file)
    result = annotate(file, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_write_and_explain_do_not_go_together(file: Path) -> None:
    has(file)
    assert annotate(file, "--write", "--explain", "notes_add_note", "notes_add_note").exit_code == 2
