"""Labels of hostile arguments: one spelling for one thing, and doubt that only ever widens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from asyncfc_mcp.config.policy import LabelSource, ToolHints, ToolPolicy
from asyncfc_mcp.core.label import (
    MAX_LABELS,
    Access,
    BadTemplate,
    Label,
    LabelPath,
    Template,
    absolute_segments,
    conflict,
    expand,
    is_prefix,
    normal_segment,
)
from asyncfc_mcp.gateway.arguments.labelling import labels_of
from asyncfc_mcp.packs.reader import find_pack, read_packs
from tests.fuzz.attempts import attempt
from tests.fuzz.budget import examples
from tests.fuzz.hostile import ARGUMENTS, HALVES, TEXTS, among

TEMPLATES = st.lists(
    among(["fs", "{path:path}", "{a}", "{a.b}", "{items}-{b}", "é", "{", "}", "{}", "{a:b}", "..", "", "%2F"]) | TEXTS,
    max_size=4,
).map("/".join)
SEGMENTS = among(["", ".", "..", "a", "A", "ß", "con ", "x.", "\0", "~", "$HOME", "tmp", "e\u0301"]) | TEXTS


def spelled(start: str, names: list[str], slash: str) -> str:
    return start + slash.join(names)


FILES = st.builds(
    spelled,
    among(["/", "C:\\", "c:/", "\\\\host\\", "", "/tmp/", "//"]),
    st.lists(SEGMENTS, max_size=6) | st.just(["x"] * 1500),
    among(["/", "\\"]),
)
VALUES = FILES | HALVES | st.lists(FILES, max_size=3) | st.integers() | st.none()
FILLED = ARGUMENTS | st.dictionaries(among(["path", "a", "b", "items", "a.b"]), VALUES, max_size=4)
LABELS = st.builds(
    Label,
    path=st.lists(among(["fs", "a", "b"]), max_size=3).map(tuple),
    access=st.sampled_from(Access),
    is_declared=st.booleans(),
)


def known(_: str) -> bool:
    return False


def local(templates: list[str], *, is_local: bool = True) -> ToolPolicy:
    hints = ToolHints()
    reads = writes = tuple(templates)
    return ToolPolicy("s", "t", "auto", 1, 1, 1, False, LabelSource.CONFIGURATION, reads, writes, is_local, True, hints)


def is_readable(template: str) -> bool:
    return isinstance(attempt(lambda: Template.parse(template), BadTemplate), Template)


READABLE = TEMPLATES.filter(is_readable)


@examples(100)
@given(HALVES | TEXTS)
def test_the_one_spelling_of_a_name_is_its_own_one_spelling(text: str) -> None:
    once = normal_segment(text)
    assert normal_segment(once) == once


@examples(100)
@given(HALVES | TEXTS)
def test_a_name_has_one_spelling_in_every_case(text: str) -> None:
    assert normal_segment(text.upper()) == normal_segment(text) == normal_segment(text.casefold())


@examples(100)
@given(FILES)
def test_an_absolute_path_is_folded_to_plain_names(path: str) -> None:
    segments = absolute_segments(path)
    if segments is None:
        return
    is_windows = path[0] != "/"
    assert not {"", ".", ".."} & set(segments)
    again = absolute_segments(("" if is_windows else "/") + "/".join(segments) + ("/" if is_windows else ""))
    assert again == segments


@examples(100)
@given(TEMPLATES, FILLED)
def test_a_template_is_filled_with_normal_names_or_refused(text: str, arguments: dict[str, Any]) -> None:
    template = attempt(lambda: Template.parse(text), BadTemplate)
    if isinstance(template, BadTemplate):
        assert template.fact
        return
    paths = expand(template, arguments, known, absolute_segments)
    assert 1 <= len(paths) <= MAX_LABELS
    for path in paths:
        assert is_prefix(template.namespace, path)
        assert tuple(normal_segment(segment) for segment in path) == path
        assert "" not in path


@examples(100)
@given(LABELS, LABELS)
def test_a_conflict_is_mutual_and_a_wider_label_keeps_it(one: Label, other: Label) -> None:
    assert conflict(one, other) is conflict(other, one)
    if conflict(one, other):
        for length in range(len(one.path)):
            wider = Label(one.path[:length], one.access, one.is_declared)
            assert conflict(wider, other)


@examples(80)
@example(["{path:path}"], {"path": "missing/x\\x"}, set(), True)
@example(["{path:path}/x"], {"path": "/missing/x"}, set(), True)
@example(["{path:path}/{a}"], {"path": "/missing/x"}, set(), True)
@given(st.lists(READABLE, max_size=3), FILLED, st.sets(among(["path", "a", "b", "items"])), st.booleans())
def test_what_is_not_known_yet_never_narrows_a_label(
    templates: list[str], arguments: dict[str, Any], opaque: set[str], is_local: bool
) -> None:
    policy = local(templates, is_local=is_local)
    precise = labels_of(policy, arguments, known, cwd=Path("/"))
    doubtful = labels_of(policy, arguments, opaque.__contains__, cwd=Path("/"))
    assert {label.access for label in precise} <= {Access.WRITE}, "a read that is a write as well is said once"
    assert _cover(doubtful, precise)
    assert _cover(labels_of(policy, {}, known), precise)


def _cover(wide: tuple[Label, ...], narrow: tuple[Label, ...]) -> bool:
    return all(any(is_prefix(_names(one), _names(label)) for one in wide) for label in narrow)


def _names(label: Label) -> LabelPath:
    return label.path


@examples(60)
@given(st.lists(TEXTS | FILES, max_size=4), st.sets(TEXTS, max_size=3))
def test_a_pack_is_found_for_its_server_alone(words: list[str], tools: set[str]) -> None:
    assert find_pack(words, tools) is None
    for pack in read_packs():
        found = find_pack([*words, *sorted(pack.packages)[:1]], tools | pack.core_tools)
        assert found is None or found.core_tools <= tools | pack.core_tools
