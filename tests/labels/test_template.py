"""Label templates: what they accept, what they give, and when they give the namespace."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from asyncfc_mcp.core.label import MAX_LABELS, BadTemplate, Template, absolute_segments, expand


def paths(template: str, opaque: str = "", **arguments: object) -> list[str]:
    return paths_of(template, arguments, opaque)


def paths_of(template: str, arguments: Mapping[str, object], opaque: str = "") -> list[str]:
    found = expand(Template.parse(template), arguments, lambda name: name == opaque, absolute_segments)
    return ["/".join(path) for path in found]


def test_a_template_without_placeholders_is_one_label() -> None:
    assert paths("memory/graph", name="x") == ["memory/graph"]


@pytest.mark.parametrize("text", ["", "/"])
def test_the_empty_template_is_the_root(text: str) -> None:
    assert expand(Template.parse(text), {}, lambda _: False, absolute_segments) == ((),)


def test_a_leading_slash_makes_no_segment() -> None:
    assert Template.parse("/server").namespace == ("server",)


def test_a_name_is_one_segment_with_its_slashes_escaped() -> None:
    assert paths("db/{table}/rows", table="a/b") == ["db/a%2fb/rows"]


def test_dots_as_a_name_are_a_name() -> None:
    assert paths("db/{table}", table="..") == ["db/.."]


def test_a_segment_may_mix_literals_and_names() -> None:
    assert paths("repo/{owner}-{name}", owner="Ann", name="X") == ["repo/ann-x"]


def test_the_same_name_in_one_piece_or_in_two_is_one_label() -> None:
    assert paths("repo/{owner}-{name}", owner="a/b", name="c") == paths("repo/{whole}", whole="a/b-c")


def test_a_path_takes_as_many_segments_as_it_has() -> None:
    assert paths("fs/{path:path}/.git", path="/home/ann") == ["fs/home/ann/.git"]


def test_the_root_folder_is_the_whole_namespace() -> None:
    assert paths("fs/{path:path}", path="/") == ["fs"]


def test_a_list_gives_one_label_an_item_and_none_twice() -> None:
    assert paths("fs/{paths:path}", paths=["/a", "/b", "/A"]) == ["fs/a", "fs/b"]


def test_a_dotted_name_reaches_into_objects_and_lists_of_objects() -> None:
    assert paths("fs/{target.path:path}", target={"path": "/a"}) == ["fs/a"]
    assert paths("fs/{items.path:path}", items=[{"path": "/a"}, {"path": "/b"}]) == ["fs/a", "fs/b"]


def test_an_argument_whose_own_name_has_a_dot_is_taken_as_it_is() -> None:
    assert paths_of("db/{a.b}", {"a.b": "x", "a": {"b": "y"}}) == ["db/x"]


def test_one_list_beside_a_plain_name_gives_one_label_an_item() -> None:
    assert paths("db/{schema}/{tables}", schema="s", tables=["a", "b"]) == ["db/s/a", "db/s/b"]


@pytest.mark.parametrize(
    "value",
    [
        *(None, 5, True, {"path": "/a"}),
        *("", "relative/x", "~/x", "/a\\b", "/" + "a" * 5000),
        *([], ["/a", 5], ["/a", ["/b"]], ["/a", "b"], ["/a"] * (MAX_LABELS + 1)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_value_that_names_no_absolute_path_gives_the_namespace(value: object) -> None:
    assert paths("fs/{path:path}", path=value) == ["fs"]


def test_an_absent_argument_gives_the_namespace() -> None:
    assert paths("db/tables/{schema}/{table}", schema="s") == ["db/tables"]


def test_an_argument_with_a_reference_gives_the_namespace() -> None:
    assert paths("fs/{path:path}", opaque="path", path="/a") == ["fs"]
    assert paths("fs/{items.path:path}", opaque="items", items=[{"path": "/a"}]) == ["fs"]


def test_two_lists_in_one_label_give_the_namespace() -> None:
    assert paths("db/{a}/{b}", a=["1", "2"], b=["3", "4"]) == ["db"]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("fs/{path", "'{'"),
        ("fs/path}", "'}'"),
        ("fs/{a/b}", "'{'"),
        ("fs/{}", "{}"),
        ("fs/{:path}", "{:path}"),
        ("fs/{a b}", "{a b}"),
        ("fs/{a..b}", "{a..b}"),
        ("fs/{path:file}", "`path` is the only kind"),
        ("fs/x-{path:path}", "whole segment"),
        ("fs/../x", "'..'"),
    ],
)
def test_a_bad_template_is_named_with_its_fact_and_the_way_out(text: str, fact: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        Template.parse(text)
    message = str(caught.value)
    assert repr(text) in message
    assert fact in message
    assert "such as" in message


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/a/./b//c/../d/", ("a", "b", "d")),
        ("/../../a", ("a",)),
        ("//a", ("a",)),
        ("C:\\Users\\Ann", ("C:", "Users", "Ann")),
        ("c:/x/..\\..\\..\\y", ("c:", "y")),
        ("C:\\x. \\y", ("C:", "x", "y")),
        ("/c/x", ("c", "x")),
        ("C:x", None),
        ("\\\\host\\share", None),
        ("a/b", None),
        (".", None),
        ("", None),
    ],
)
def test_absolute_paths_become_segments_and_others_do_not(path: str, segments: tuple[str, ...] | None) -> None:
    assert absolute_segments(path) == segments
