"""References in arguments: only documented faults, plain text untouched, and values where they belong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.core.reference import (
    ArgumentFault,
    find_escapes,
    find_references,
    in_words,
    mentions_tokens,
    parse_path,
    pointer,
    unescape,
)
from asyncfc_mcp.core.substitution import substitute
from asyncfc_mcp.core.token import BadName, closest, is_mistyped, named, normalise
from asyncfc_mcp.core.value import ANY_SLOT, MISSING, TEXT_SLOT, BadSubstitution, Value, convert_text, fits, select
from tests.fuzz.attempts import attempt
from tests.fuzz.budget import examples
from tests.fuzz.hostile import ARGUMENTS, HALVES, JSON, TEXTS, TOKENS, among, json_of

LIVE = st.sets(TOKENS | TEXTS.map(lambda text: f"fut_{text}"))
SLOTS = st.frozensets(among(sorted(ANY_SLOT)))
ANY_JSON = json_of(st.none() | st.booleans() | st.integers() | st.floats() | HALVES, HALVES)
VALUES = st.builds(
    Value,
    text=st.none() | TEXTS | HALVES | ANY_JSON.map(json.dumps),
    structured=st.just(MISSING) | ANY_JSON,
    block_types=among([(), ("text",), ("image", "image")]),
    wraps_result=st.booleans(),
)
PATHS = st.lists(TEXTS | among(["result", "a", "0"]), max_size=3).map(tuple)


def anything(_: object) -> frozenset[str]:
    return ANY_SLOT


def never(_: str) -> bool:
    return False


def no_references(arguments: dict[str, Any], exists: Callable[[str], bool] = never) -> bool:
    return not find_references(arguments, exists=exists) and not find_escapes(arguments)


@examples(100)
@given(ARGUMENTS, LIVE, st.booleans())
def test_looking_for_references_finds_them_or_names_a_fault(
    arguments: dict[str, Any], live: set[str], embed: bool
) -> None:
    references = attempt(lambda: find_references(arguments, exists=live.__contains__, embed=embed), ArgumentFault)
    if isinstance(references, ArgumentFault):
        assert references.argument.startswith("arguments")
        assert len(str(references)) < 1000
        return
    assert not references or mentions_tokens(arguments)
    for reference in references:
        text: Any = arguments
        for key in reference.at:
            text = text[key]
        assert text[reference.start : reference.end] == reference.text
        assert reference.token.startswith("fut_")
        assert reference.is_embedded <= embed
        assert parse_path(pointer(reference.path)) == reference.path or not reference.path
        assert in_words(reference.at)


@examples(100)
@given(ARGUMENTS)
def test_arguments_without_references_and_escapes_are_left_as_they_are(arguments: dict[str, Any]) -> None:
    if no_references(arguments):
        assert repr(substitute(arguments, (), {}, anything)) == repr(arguments)


@examples(100)
@given(ARGUMENTS)
def test_arguments_whose_texts_hold_no_prefix_are_never_looked_into(arguments: dict[str, Any]) -> None:
    written = json.dumps(arguments).replace("fut_", "fat_")
    assert not mentions_tokens(json.loads(written))
    assert no_references(json.loads(written))


@examples(100)
@given(TEXTS)
def test_what_is_escaped_comes_out_as_it_was_written(text: str) -> None:
    text = f"x {text}"  # so that it is no reference as a whole
    escaped = re.sub(r"\$\{(?=fut_)", "$${", text)
    assert unescape(escaped) == text
    arguments = {"v": escaped, "list": [escaped]}
    assert find_references(arguments, exists=never) == ()
    assert substitute(arguments, (), {}, anything) == {"v": text, "list": [text]}


@examples(100)
@given(TEXTS, TEXTS, HALVES.filter(lambda text: "\\u" not in text), TOKENS)
def test_a_text_goes_into_a_text_verbatim(before: str, after: str, value: str, token: str) -> None:
    before, after = (re.sub(r"fut_|[${}]", "", part) for part in (before, after))
    arguments = {"v": f"x{before}${{{token}}}{after}", "w": f" `{token}`\n"}
    references = find_references(arguments, exists=never)
    held = Value(value, MISSING, ("text",), wraps_result=False)
    filled = substitute(arguments, references, {one.token: held for one in references}, lambda _: TEXT_SLOT)
    assert filled == {"v": f"x{before}{value}{after}", "w": value}


@examples(150)
@given(VALUES, PATHS, SLOTS)
def test_choosing_a_part_of_a_value_gives_it_or_says_why_not(
    value: Value, path: tuple[str, ...], slot: frozenset[str]
) -> None:
    selected = attempt(lambda: select(value, path, slot, token="fut_x", argument="arguments.v"), BadSubstitution)
    if isinstance(selected, BadSubstitution):
        assert str(selected).startswith("arguments.v: fut_x")
        assert len(str(selected)) < 3000
    elif slot == TEXT_SLOT:
        assert isinstance(selected, str)


@examples(100)
@given(JSON | TEXTS, SLOTS)
def test_a_text_is_converted_only_to_what_the_place_takes(value: Any, slot: frozenset[str]) -> None:
    converted = convert_text(value, slot)
    assert converted is value or (isinstance(value, str) and fits(converted, slot) and not fits(value, slot))


@examples(100)
@given(TEXTS | HALVES, st.lists(TEXTS | TOKENS, max_size=5))
def test_any_text_may_be_taken_for_a_token(text: str, live: list[str]) -> None:
    token = normalise(text)
    if token is not None:
        assert normalise(token) == token
        assert normalise(f" <`{token}`>\n") == token
    is_mistyped(text)
    assert closest(text, live) in {None, *live}
    name = attempt(lambda: named(text), BadName)
    if isinstance(name, BadName):
        assert len(str(name)) < 1000
    else:
        assert normalise(name) == name


@examples(100)
@given(TEXTS | HALVES)
def test_a_path_is_read_as_its_pointer_is_or_not_at_all(text: str) -> None:
    path = parse_path(text)
    if path:
        assert parse_path(pointer(path)) == path
        assert all(isinstance(segment, str) for segment in path)
