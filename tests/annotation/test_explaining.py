"""`asyncfc-mcp annotate --explain`: whether two calls may overlap, why, and what would change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from asyncfc_mcp.cli.main import main
from tests.inspection.support import shaped, tool

PLAIN = {"type": "object", "properties": {"path": {"type": "string"}}}
SERVER = shaped(
    tools=[{"name": "write", "inputSchema": PLAIN}, tool("read", PLAIN), {"name": "other", "inputSchema": PLAIN}]
)
LABELS = {"write": {"writes": ["fs/{path:path}"]}, "read": {"reads": ["fs/{path:path}"]}}
DECLARED = {**SERVER, "asyncfc": {"tools": LABELS}}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASYNCFC_STATE_FOLDER", str(tmp_path / "state"))
    return tmp_path / "servers.json"


def explained(file: Path, entry: dict[str, Any], first: str, second: str, **top: Any) -> dict[str, Any]:
    file.write_text(json.dumps({"mcpServers": {"one": entry, "two": SERVER}, "asyncfc": top}), encoding="utf-8")
    result = CliRunner().invoke(main, ["explain", "--config", str(file), "--json", first, second])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_writes_of_two_files_may_overlap(file: Path) -> None:
    found = explained(file, DECLARED, 'one_write {"path": "/etc/a"}', 'one_write {"path": "/etc/b"}')
    assert found["overlap"] == "always"
    assert found["conflicts"] == []
    assert found["remedies"] == [
        "if they touch the same thing after all, give both tools a common label in the configuration"
    ]


def test_a_write_and_a_read_of_one_file_never_overlap(file: Path) -> None:
    found = explained(file, DECLARED, 'one_write {"path": "/etc/a"}', 'one_read {"path": "/etc/a"}')
    assert found["overlap"] == "never"
    assert found["conflicts"] == [["write of fs/etc/a", "read of fs/etc/a"]]
    assert found["first"]["labels_from"] == "configuration"


def test_assumed_labels_order_only_what_was_answered(file: Path) -> None:
    found = explained(file, SERVER, "one_write", "two_other")
    assert found["overlap"] == "side_by_side"
    assert found["conflicts"] == [["write of everything", "write of everything"]]
    assert any("annotate --server one" in one for one in found["remedies"])
    assert any('"isolated": true` on two' in one for one in found["remedies"])


def test_an_annotation_is_named_as_what_a_label_comes_from(file: Path) -> None:
    found = explained(file, SERVER, "one_read", "two_read")
    assert found["overlap"] == "always"
    assert found["first"] == {
        "tool": "one_read",
        "labels": ["read of everything"],
        "labels_from": "annotations",
        "labels_are_declared": False,
        "waits_for_tokens_in": [],
    }


def test_strict_order_counts_assumed_labels_too_and_is_named_as_what_would_change_it(file: Path) -> None:
    found = explained(file, SERVER, "one_write", "one_other", order="strict")
    assert found["overlap"] == "never"
    assert any("`order` is `strict`" in one for one in found["remedies"])


def test_an_argument_that_widens_its_label_is_named(file: Path) -> None:
    found = explained(file, DECLARED, "one_write", 'one_read {"path": "/etc/a"}')
    assert found["conflicts"] == [["write of fs", "read of fs/etc/a"]]
    assert any("one_write: its argument path is missing" in one for one in found["remedies"])


def test_a_folder_that_does_not_exist_yet_is_named_as_what_widens_a_write(file: Path) -> None:
    place = str(file.parent.resolve())
    new = json.dumps({"path": f"{place}/new/deep/a"})
    found = explained(file, DECLARED, f"one_write {new}", f"one_read {new}")
    label = f"fs{place}/new".lower()
    assert found["conflicts"] == [[f"write of {label}", f"read of {label}/deep/a"]]
    assert (
        f"one_write: {label} is a folder that the call may make; once it is there, this is a write of {label}/deep/a"
        in (found["remedies"])
    )


def test_a_token_is_waited_for_and_widens_its_label(file: Path) -> None:
    found = explained(file, DECLARED, 'one_write {"path": "/etc/a"}', 'one_read {"path": "fut_name"}')
    assert found["second"]["waits_for_tokens_in"] == ["path"]
    assert found["conflicts"] == [["write of fs/etc/a", "read of fs"]]
    assert any("holds a token" in one for one in found["remedies"])


def test_a_server_that_takes_one_call_at_a_time_is_said_to(file: Path) -> None:
    entry = {**SERVER, "asyncfc": {"tools": LABELS, "concurrency": 1}}
    found = explained(file, entry, 'one_write {"path": "/etc/a"}', 'one_write {"path": "/etc/b"}')
    assert (found["overlap"], found["lacks_room"]) == ("always", True)
    assert found["remedies"][0] == 'a higher `"concurrency"` for one, if it can answer two calls at once'
    pair = ['one_write {"path": "/etc/a"}', 'one_write {"path": "/etc/b"}']
    said = CliRunner().invoke(main, ["explain", "--config", str(file), *pair]).stdout
    assert "By their labels they may overlap.\n  and one takes one call at a time (concurrency 1) in any case\n" in said


def test_it_is_said_in_words(file: Path) -> None:
    explained(file, DECLARED, "one_write", "one_read")
    pair = ['one_write {"path": "/etc/a"}', 'one_read {"path": "/etc/a"}']
    result = CliRunner().invoke(main, ["annotate", "--config", str(file), "--explain", *pair])
    assert result.stdout == (
        "1st  one_write: write of fs/etc/a (declared in your configuration)\n"
        "2nd  one_read: read of fs/etc/a (declared in your configuration)\n"
        "\n"
        "They never overlap: the second waits until the first has ended.\n"
        "  because of the write of fs/etc/a and the read of fs/etc/a\n"
        "\n"
        "What would change it:\n"
        "  - a narrower label for one_write in the configuration, if it is true\n"
        "  - a narrower label for one_read in the configuration, if it is true\n"
    )
