"""Expansion under random paths and arguments: one file is one label, and doubt only ever widens."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.core.label import (
    Access,
    Label,
    Template,
    absolute_segments,
    conflict,
    expand,
    is_prefix,
    normal_segment,
)

TEMPLATES = st.sampled_from(
    [
        "",
        "fs",
        "fs/{a:path}",
        "fs/{a:path}/.git",
        "fs/x/{a:path}/{b}",
        "db/{a}",
        "db/{a}-{b}/rows",
        "db/{a.b}",
        "{b}/{a}",
    ]
)
NAMES = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda name: name not in {".", ".."}
)
PATHS = st.lists(NAMES, max_size=5)
SPELLINGS: list[Callable[[str], str]] = [
    str,
    str.upper,
    str.lower,
    str.title,
    str.swapcase,
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: unicodedata.normalize("NFC", name.upper()),
]
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=4), PATHS.map(lambda names: "/" + "/".join(names))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2)


def respelled(names: list[str], data: st.DataObject) -> str:
    text = ""
    for name in names:
        text += data.draw(st.sampled_from(["/", "//", "/./", "/gone/../"]))
        text += data.draw(st.sampled_from(SPELLINGS))(name)
    return (text or "/") + data.draw(st.sampled_from(["", "/", "/."]))


@given(PATHS, st.data())
def test_the_same_path_written_another_way_always_conflicts(names: list[str], data: st.DataObject) -> None:
    template = Template.parse("fs/{path:path}")
    written, read = (
        Label(expand(template, {"path": respelled(names, data)}, lambda _: False, absolute_segments)[0], access, True)
        for access in (Access.WRITE, Access.READ)
    )
    assert written.path == read.path
    assert conflict(written, read)


@given(TEMPLATES, ARGUMENTS, st.sets(st.sampled_from("ab")))
def test_doubt_never_makes_a_label_narrower(text: str, arguments: dict[str, object], opaque: set[str]) -> None:
    template = Template.parse(text)
    known = expand(template, arguments, lambda _: False, absolute_segments)
    doubtful = expand(template, arguments, opaque.__contains__, absolute_segments)
    blind = expand(template, arguments, lambda _: False, lambda _: None)
    for path in known:
        assert is_prefix(template.namespace, path)
        assert any(is_prefix(wider, path) for wider in doubtful)
        assert any(is_prefix(wider, path) for wider in blind)
    assert known


@given(PATHS, PATHS)
def test_a_folder_conflicts_with_all_that_is_in_it(folder: list[str], inside: list[str]) -> None:
    template = Template.parse("fs/{path:path}")
    outer, inner = (
        expand(template, {"path": "/" + "/".join(names)}, lambda _: False, absolute_segments)[0]
        for names in (folder, folder + inside)
    )
    assert is_prefix(outer, inner)


@given(st.lists(PATHS, min_size=1, max_size=4))
def test_a_list_covers_each_of_its_items(items: list[list[str]]) -> None:
    template = Template.parse("fs/{paths:path}")
    texts = ["/" + "/".join(names) for names in items]
    together = expand(template, {"paths": texts}, lambda _: False, absolute_segments)
    for text in texts:
        assert expand(template, {"paths": text}, lambda _: False, absolute_segments)[0] in together


def test_every_letter_has_one_spelling_whatever_its_case_or_composition() -> None:
    letters = (chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000)
    for letter in letters:
        others = {letter, letter.upper(), letter.lower(), letter.title(), unicodedata.normalize("NFD", letter)}
        assert len({normal_segment(other) for other in others}) == 1, hex(ord(letter))
