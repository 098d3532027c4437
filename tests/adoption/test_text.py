"""Edits in the text of a file: what is not edited stays as it is, to the last blank."""

from __future__ import annotations

import json
import time
import tomllib
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncfc_mcp.adoption.edits import Add, Append, DoesNotFit, Drop, Edit, Remove, change, taken_back
from asyncfc_mcp.adoption.json_text import edited_json
from asyncfc_mcp.adoption.jsonc import NotJson, read_jsonc
from asyncfc_mcp.adoption.toml_text import edited_toml
from tests.adoption.people import FILES

GATEWAY = {"command": "/x", "args": ["serve"]}
AT = ("servers",)


@pytest.mark.parametrize(
    ("before", "edits", "after"),
    [
        ('{"servers": {"a": 1}}', [Add(AT, "b", 2)], '{"servers": {"a": 1, "b": 2}}'),
        ('{"servers": {"a": 1, "b": 2}}', [Remove(AT, "a", 1)], '{"servers": {"b": 2}}'),
        ('{"servers": {"a": 1, "b": 2}}', [Remove(AT, "b", 2)], '{"servers": {"a": 1}}'),
        ('{"servers": {"a": 1, /* of b */ "b": 2}}', [Remove(AT, "a", 1)], '{"servers": {/* of b */ "b": 2}}'),
        ('{"servers": {}}', [Add(AT, "b", 2)], '{"servers": {\n  "b": 2\n}}'),
        ("{}", [Add(AT, "b", 2)], '{\n  "servers": {\n    "b": 2\n  }\n}'),
        ('{\n\t"servers": {\n\t}\n}\n', [Add(AT, "b", 2)], '{\n\t"servers": {\n\t\t"b": 2\n\t}\n}\n'),
        (
            '{\r\n    "servers": {\r\n        "a": 1\r\n    }\r\n}',
            [Add(AT, "b", [2])],
            '{\r\n    "servers": {\r\n        "a": 1,\r\n        "b": [\r\n            2\r\n        ]\r\n    }\r\n}',
        ),
        (
            '{\n  "servers": {\n    "a": 1 // one\n    // nothing else\n  }\n}',
            [Add(AT, "b", 2)],
            '{\n  "servers": {\n    "a": 1, // one\n    "b": 2\n    // nothing else\n  }\n}',
        ),
        (
            '{\n  "servers": {\n    "a": 1, // one\n  },\n}',
            [Add(AT, "b", 2)],
            '{\n  "servers": {\n    "a": 1, // one\n    "b": 2,\n  },\n}',
        ),
        (
            '{\n  "servers": {\n    // first\n    "a": 1, // one\n    // second\n    "b": 2 // two\n  }\n}',
            [Remove(AT, "b", 2)],
            '{\n  "servers": {\n    // first\n    "a": 1 // one\n    // second\n  }\n}',
        ),
        ('{"allow": ["a"]}', [Append(("allow",), ("b", "c"))], '{"allow": ["a", "b", "c"]}'),
        ('{"allow": []}', [Append(("allow",), ("b",))], '{"allow": [\n  "b"\n]}'),
        ('{"allow": ["a", "b", "c"]}', [Drop(("allow",), ("c", "a", "z"))], '{"allow": ["b"]}'),
    ],
)
def test_json_changes_where_it_is_edited_and_nowhere_else(before: str, edits: list[Edit], after: str) -> None:
    assert edited_json(before, edits) == after


@pytest.mark.parametrize(
    "edits",
    [
        [Add(AT, "a", 2)],
        [Remove(AT, "a", 2)],
        [Remove(AT, "z", 1)],
        [Remove(("other",), "a", 1)],
        [Append(AT, ("x",))],
        [Add(("servers", "a"), "b", 1)],
    ],
)
def test_an_edit_that_does_not_fit_is_refused(edits: list[Edit]) -> None:
    with pytest.raises(DoesNotFit):
        edited_json('{"servers": {"a": 1}}', edits)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a" 1}',
        '{"a": 1 "b": 2}',
        "{a: 1}",
        '{"a": 01}',
        '{"a": "\\q"}',
        '{"a": "b\nc"}',
        "{} {}",
        '{"a":}',
        "[1 2]",
    ],
)
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(NotJson):
        read_jsonc(text)


@pytest.mark.parametrize("name", [file.name for file in sorted(FILES.glob("*.json"))])
def test_every_clients_file_is_read_as_it_is(name: str) -> None:
    text = (FILES / name).read_text()
    assert isinstance(read_jsonc(text).value, dict)


SCALARS = st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
SPACE = st.sampled_from(["", " ", "\n", "\r\n    ", "\t", " // c\n", "/* {c} */", '\n  // "x": [\n  '])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """A value as somebody may have written it."""
    space = SPACE
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        members = [
            f"{draw(space)}{json.dumps(key)}{draw(space)}:{draw(space)}{draw(written(inner))}{draw(space)}"
            for key, inner in pairs
        ]
        comma = draw(st.sampled_from(["", ","])) if members else ""
        return "{" + ",".join(members) + comma + draw(space) + "}"
    if isinstance(value, list):
        items = [f"{draw(space)}{draw(written(inner))}{draw(space)}" for inner in cast("list[Any]", value)]
        comma = draw(st.sampled_from(["", ","])) if items else ""
        return "[" + ",".join(items) + comma + draw(space) + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@settings(max_examples=60)
@given(
    st.data(),
    st.dictionaries(st.text(max_size=4), VALUES, max_size=5),
    st.dictionaries(st.text(max_size=4), VALUES, max_size=3),
)
def test_servers_taken_out_and_put_back_leave_the_document_as_it_was(
    data: st.DataObject, servers: dict[str, Any], rest: dict[str, Any]
) -> None:
    document = {**rest, "servers": servers}
    text = data.draw(written(document))
    assert read_jsonc(text).value == document
    gone = data.draw(st.lists(st.sampled_from(sorted(servers)), unique=True)) if servers else []
    name = "asyncfc" + "_" * max((len(key) for key in servers), default=0)
    edits: list[Edit] = [Add(AT, name, GATEWAY), *(Remove(AT, key, servers[key]) for key in gone)]
    changed = edited_json(text, edits)
    assert read_jsonc(changed).value == change(document, edits)
    back = edited_json(changed, taken_back(read_jsonc(changed).value, edits), text)
    assert read_jsonc(back).value == document


CODEX = (FILES / "codex.toml").read_text()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_tables_of_toml_are_moved_and_the_rest_keeps_its_text(newline: str) -> None:
    text = CODEX.replace("\n", newline)
    servers = tomllib.loads(text)["mcp_servers"]
    edits: list[Edit] = [
        Add(("mcp_servers",), "asyncfc", GATEWAY),
        *(Remove(("mcp_servers",), name, servers[name]) for name in ("context7", "figma")),
    ]
    changed = edited_toml(text, edits)
    assert changed.replace("\r\n", "\n") == (
        'model = "gpt-5.1-codex"\n'
        'approval_policy = "on-request"  # asks before it runs things\n'
        "\n"
        "# --- servers ---\n"
        "\n\n"
        "# the design files\n"
        "[mcp_servers.old]\n"
        'command = "old-server"\n'
        "enabled = false\n"
        "\n"
        "[mcp_servers.asyncfc]\n"
        'command = "/x"\n'
        'args = ["serve"]\n'
        "\n\n"
        "# --- profiles ---\n"
        "\n"
        "[profiles.fast]\n"
        'model = "gpt-5.1-codex-mini"\n'
        'notes = """\n'
        "[mcp_servers.not_a_table]\n"
        '"""\n'
    )
    assert ("\r\n" in changed) == (newline == "\r\n")
    back = edited_toml(changed, taken_back(tomllib.loads(changed), edits), text)
    assert tomllib.loads(back) == tomllib.loads(text)
    assert 'http_headers = { "X-Figma-Region" = "us-east-1" }' in back


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = { a = { command = "x" } }\n',
        'mcp_servers.a.command = "x"\n',
        '[mcp_servers]\na = { command = "x" }\n',
    ],
)
def test_toml_that_is_written_in_another_way_is_refused(text: str) -> None:
    server = tomllib.loads(text)["mcp_servers"]["a"]
    with pytest.raises(DoesNotFit):
        edited_toml(text, [Remove(("mcp_servers",), "a", server)])


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('[mcp_servers.a]\ncommand = "x"\n', ""),
        ('a = 1\n\n  [ mcp_servers . "a" ]  # here\n  command = "x"', "a = 1\n\n"),
        ('[mcp_servers]\n[mcp_servers.a]\ncommand = "x"\n', "[mcp_servers]\n"),
        ('[mcp_servers.a]\ncommand = "x"\n[b]\nc = 2\n[mcp_servers.a.env]\nK = "v"\n', "[b]\nc = 2\n"),
        ('[mcp_servers.a]\ncommand = "x"\n# of b\n[b]\nc = 2\n', "# of b\n[b]\nc = 2\n"),
        ('[mcp_servers.a]\ncommand = "x"\n[b."/shop/[id]=1"]\nc = 2\n', '[b."/shop/[id]=1"]\nc = 2\n'),
        ('# \u2028[mcp_servers.a]\n[mcp_servers.a]\ncommand = "x"\n', "# \u2028[mcp_servers.a]\n"),
    ],
)
def test_the_last_table_of_toml_is_taken_out_and_nothing_else(text: str, rest: str) -> None:
    server = tomllib.loads(text)["mcp_servers"]["a"]
    assert edited_toml(text, [Remove(("mcp_servers",), "a", server)]) == rest


def test_a_toml_file_of_many_projects_is_edited_at_once() -> None:
    text = "".join(f'[projects."/p{number}"]\ntrust_level = "trusted"\n' for number in range(2000))
    before = time.process_time()
    assert edited_toml(text, [Add(("mcp_servers",), "asyncfc", GATEWAY)]).startswith(text)
    assert time.process_time() - before < 5


def test_json_that_is_nested_too_deeply_to_be_edited_is_refused() -> None:
    deep = "[" * 5000 + "]" * 5000
    with pytest.raises(DoesNotFit):
        edited_json(f'{{"servers": {{"a": 1}}, "deep": {deep}}}', [Remove(AT, "a", 1)])


def test_a_list_that_others_took_away_is_not_missed() -> None:
    edits: list[Edit] = [Append(("permissions", "allow"), ("x",))]
    assert taken_back({"permissions": {}}, edits) == ()
    assert taken_back({}, edits) == ()


def test_what_looks_like_a_table_inside_a_text_is_none() -> None:
    text = '[mcp_servers.a]\nb = """\n[mcp_servers.b]\n"""\n[mcp_servers.c]\nd = """\n[mcp_servers.a]\n"""\n'
    server = tomllib.loads(text)["mcp_servers"]["a"]
    assert edited_toml(text, [Remove(("mcp_servers",), "a", server)]) == (
        '[mcp_servers.c]\nd = """\n[mcp_servers.a]\n"""\n'
    )


def test_a_first_table_of_toml_goes_to_the_end() -> None:
    assert edited_toml("a = 1\n\n[b]\nc = 2", [Add(("mcp_servers",), "asyncfc", {"command": "/x"})]) == (
        'a = 1\n\n[b]\nc = 2\n\n[mcp_servers.asyncfc]\ncommand = "/x"\n'
    )
