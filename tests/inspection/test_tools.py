"""What is said of the tools of servers that work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.inspection.schemas import MOST_LEVELS, faults
from tests.inspection.support import Doctor, needs_npm, npm, shaped, tool

STRING = {"type": "string"}


def object_with(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def nested(levels: int) -> dict[str, Any]:
    return object_with(a=nested(levels - 1)) if levels else object_with()


def many_tools(number: int) -> dict[str, Any]:
    return shaped(tools=[tool(f"t{index}") for index in range(number)])


NONE: set[str] = set()
SCHEMAS: list[tuple[Any, set[str]]] = [
    (object_with(a=STRING), NONE),
    ({"type": "string"}, {"schema_root_not_object"}),
    (None, {"schema_root_not_object"}),
    ({**object_with(), "oneOf": [{"required": ["a"]}]}, {"schema_root_union"}),
    (object_with(a={"type": "array", "items": {"anyOf": [STRING, {"type": "null"}]}}), {"schema_union_in_items"}),
    (object_with(a={"type": "array", "items": {"type": ["string", "null"]}}), {"schema_union_in_items"}),
    (object_with(a={"description": "anything"}), {"schema_untyped"}),
    (object_with(a={}), {"schema_untyped"}),
    (object_with(a={"enum": ["x"]}, b={"anyOf": [STRING]}, c=True), NONE),
    (object_with(a={"$ref": "https://example.org/schema"}), {"schema_foreign_ref"}),
    (object_with(a={"$ref": "#/$defs/none"}), {"schema_lost_ref"}),
    (
        {**object_with(a={"$ref": "#/$defs/node"}), "$defs": {"node": object_with(b={"$ref": "#/$defs/node"})}},
        set(),
    ),
    (nested(MOST_LEVELS), NONE),
    (nested(MOST_LEVELS + 1), {"schema_deep"}),
]


def test_too_many_tools_are_an_error_for_the_host_that_is_named_and_a_note_otherwise(doctor: Doctor) -> None:
    servers = {"one": many_tools(30), "two": many_tools(7)}
    fact = doctor.of(servers).finding("too_many_tools", "")["fact"]
    assert fact == "there are 41 tools, 4 of them the gateway's own, and Cursor takes 40"
    for_cursor = doctor.of(servers, "--client", "cursor")
    assert for_cursor.exit_code == 1
    assert "one 30, two 7" in for_cursor.finding("too_many_tools", "")["remedy"]
    assert doctor.of(servers, "--client", "vscode").codes("") == []


def test_tools_that_are_left_out_do_not_count(doctor: Doctor) -> None:
    assert doctor.of_one({**many_tools(50), "asyncfc": {"include": ["t1*"]}}, "--client", "cursor").codes("") == []


def test_names_that_were_changed_are_told_old_and_new(doctor: Doctor) -> None:
    said = doctor.of_one(shaped(tools=[tool("read.file"), tool("plain")]))
    assert said.finding("names_changed")["fact"].partition("have: ")[2].startswith("read.file is one_read_file_")


def test_names_that_a_host_would_cut_are_told(doctor: Doctor) -> None:
    entry = {**shaped(tools=[tool("n" * 58)]), "asyncfc": {"prefix": ""}}
    assert "Cursor" in doctor.of_one(entry, "--client", "cursor").finding("names_too_long")["fact"]


def test_two_tools_of_one_name_are_an_error(doctor: Doctor) -> None:
    entry = {**shaped(tools=[tool("read")]), "asyncfc": {"prefix": "files"}}
    said = doctor.of({"one": entry, "two": {**entry, "args": [*entry["args"], "other"]}})
    assert said.exit_code == 1
    assert "would both be called 'files_read'" in said.finding("names_collide", "")["fact"]


def test_settings_for_a_tool_that_is_not_there_are_told(doctor: Doctor) -> None:
    said = doctor.of_one({**shaped(tools=[tool("read")]), "asyncfc": {"tools": {"reed": {"mode": "sync"}}}})
    assert "reed" in said.finding("unknown_tools")["fact"]


def test_a_server_without_tools_is_told(doctor: Doctor) -> None:
    assert doctor.of_one(shaped()).codes() == ["no_tools"]


def test_tools_without_annotations_and_labels_are_told_with_the_way_to_labels(doctor: Doctor) -> None:
    said = doctor.of_one(shaped(tools=[{"name": "x", "inputSchema": {"type": "object"}}]))
    assert said.exit_code == 0
    assert said.codes() == ["serialised", "no_annotations"]
    assert "asyncfc-mcp annotate --server one" in said.finding("serialised")["remedy"]


def test_annotations_that_are_not_trusted_are_told(doctor: Doctor) -> None:
    said = doctor.of_one({**shaped(tools=[tool("read")]), "asyncfc": {"trust": False}})
    assert "annotations_not_trusted" in said.codes()


@pytest.mark.parametrize(("schema", "found"), SCHEMAS)
def test_each_kind_of_schema_that_hosts_choke_on_is_seen(schema: Any, found: set[str]) -> None:
    assert faults(schema) == found


def test_a_schema_is_an_error_only_for_a_named_host_that_chokes_on_it(doctor: Doctor) -> None:
    entry = shaped(tools=[tool("pick", {**object_with(a=STRING), "anyOf": [{"required": ["a"]}]})])
    assert doctor.of_one(entry).finding("schema_root_union")["severity"] == "warning"
    assert doctor.of_one(entry, "--client", "claude-code").finding("schema_root_union")["severity"] == "error"
    assert doctor.of_one(entry, "--client", "codex").codes() == []


def test_servers_that_are_one_and_the_same_are_told(doctor: Doctor) -> None:
    entry = shaped(tools=[tool("read")])
    assert doctor.of({"one": entry, "two": entry}).codes("two") == ["same_server_twice"]


def test_isolated_servers_on_one_folder_are_told(doctor: Doctor, tmp_path: Path) -> None:
    def entry(folder: Path, **settings: Any) -> dict[str, Any]:
        base = shaped(tools=[tool("read")])
        return {**base, "args": [*base["args"], str(folder)], "asyncfc": settings}

    inner = tmp_path / "inner"
    inner.mkdir()
    said = doctor.of({"one": entry(tmp_path, isolated=True), "two": entry(inner)})
    assert f"two works on {inner}" in said.finding("shared_state")["fact"]
    assert doctor.of({"one": entry(tmp_path), "two": entry(inner)}).document["findings"] == []


def test_servers_on_one_folder_whose_labels_never_meet_are_told(doctor: Doctor, tmp_path: Path) -> None:
    def entry(*labels: str) -> dict[str, Any]:
        base = shaped(tools=[tool(f"t{number}") for number in range(len(labels))])
        tools = {f"t{number}": {"writes": [label]} for number, label in enumerate(labels)}
        return {**base, "args": [*base["args"], str(tmp_path)], "asyncfc": {"tools": tools}}

    apart = doctor.of({"one": entry("files/a"), "two": entry("rows/b", "rows/c")})
    assert "one works on" in apart.finding("shared_state", "two")["fact"]
    assert doctor.of({"one": entry("files/a"), "two": entry("rows/b", "files/c")}).document["findings"] == []
    assert (
        doctor.of({"one": entry("files/a"), "two": {**entry("rows/b", "rows/c"), "asyncfc": {}}}).document["findings"]
        == []
    )


def test_a_gateway_behind_the_gateway_is_told(doctor: Doctor) -> None:
    program = "import os; os.environ.pop('ASYNCFC_INSIDE'); from asyncfc_mcp.cli.main import main; main()"
    behind = shaped(tools=[tool("read")])
    args = ["-c", program, "serve", "--", behind["command"], *behind["args"]]
    assert "gateway_behind_gateway" in doctor.of_one({"command": sys.executable, "args": args}).codes()


@pytest.mark.real
@needs_npm
def test_the_everything_server_has_tools_that_hosts_take(doctor: Doctor) -> None:
    said = doctor.of_one(npm("everything"), "--client", "claude-code")
    assert said.exit_code == 0
    assert said.document["servers"][0]["tools"] > 10
