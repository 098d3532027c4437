"""References are found exactly where the page says, whatever surrounds them and however deep they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asyncfc_mcp.core.reference import (
    ArgumentFault,
    BadReference,
    BareToken,
    Reference,
    find_references,
    in_words,
    mentions_tokens,
    parse_path,
    pointer,
)

TOKENS = st.from_regex(r"fut_[a-z0-9]{1,8}", fullmatch=True)
KEYS = st.text(st.characters(min_codepoint=32, blacklist_categories=("Cs",)), max_size=8)
PATHS = st.lists(KEYS, max_size=4).map(tuple)
DOTTED_KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,6}", fullmatch=True) | st.integers(0, 10**6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)
)


def always(_: str) -> bool:
    return True


def never(_: str) -> bool:
    return False


def only(*tokens: str):
    return set(tokens).__contains__


def found_in(text: str, *live: str, embed: bool = True) -> list[tuple[str, tuple[str, ...]]]:
    references = find_references({"v": text}, exists=only(*live), embed=embed)
    return [(reference.token, reference.path) for reference in references]


@given(TOKENS, PATHS)
def test_a_pointer_gives_back_the_path_it_was_made_from(token: str, path: tuple[str, ...]) -> None:
    assert parse_path(pointer(path)) == path
    written = token + pointer(path)
    assume(written == written.strip(" \t\r\n\v\f`<>"))
    assert found_in(written, token) == [(token, path)]


@given(TOKENS, st.lists(DOTTED_KEYS, min_size=1, max_size=4))
def test_a_dotted_path_means_the_same_as_its_pointer(token: str, keys: list[str | int]) -> None:
    dotted = token + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    path = tuple(str(key) for key in keys)
    assert found_in(dotted, token) == found_in(token + pointer(path), token) == [(token, path)]
    assert found_in(f"a ${{{dotted}}} b", token) == [(token, path)]
    assert found_in(dotted) == []


@given(JSON)
def test_arguments_without_tokens_hold_no_references(value: Any) -> None:
    assume("fut_" not in repr(value))
    assert not mentions_tokens({"v": value})
    assert find_references({"v": value}, exists=always) == ()


@given(st.lists(TOKENS | st.sampled_from(["${", "$${", "}", "fut_", "/", ".a", "[0]", " ", "~", "$", "`", "\n", "é"])))
def test_what_is_found_is_written_there_in_order_and_apart(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        references = find_references({"v": text}, exists=always)
    except ArgumentFault:
        return
    position = 0
    for reference in references:
        assert position <= reference.start < reference.end
        assert text[reference.start : reference.end] == reference.text
        position = reference.end


@given(st.lists(TOKENS | st.sampled_from(["${", "$${", "}", "fut_", "/", ".a", "[0]", " ", "~", "$", "é"])))
def test_without_embedding_at_most_the_whole_string_is_a_reference(pieces: list[str]) -> None:
    text = "x " + "".join(pieces)
    assert find_references({"v": text}, exists=always, embed=False) == ()


def test_an_escaped_tilde_before_a_digit_is_a_tilde() -> None:
    assert parse_path("/~01/~10") == ("~1", "/0")


def test_a_reference_says_where_it_stands_and_how_it_is_written() -> None:
    arguments = {"a": [{"b": " `fut_x/0` "}], "c": "to ${fut_y}"}
    assert find_references(arguments, exists=never) == (
        Reference(("a", 0, "b"), "fut_x", ("0",), "fut_x/0", is_embedded=False, start=2, end=9),
        Reference(("c",), "fut_y", (), "${fut_y}", is_embedded=True, start=3, end=11),
    )


def test_references_come_in_the_order_of_the_arguments() -> None:
    arguments = {"a": ["fut_1", {"b": "fut_2", "c": "fut_3"}], "d": "${fut_4}${fut_5}", "e": "fut_6"}
    found = find_references(arguments, exists=never)
    assert [reference.token for reference in found] == [f"fut_{number}" for number in range(1, 7)]


def test_keys_are_never_references() -> None:
    arguments = {"fut_x": {"${fut_x}": 1}}
    assert not mentions_tokens(arguments)
    assert find_references(arguments, exists=always) == ()


def test_a_reference_under_a_thousand_levels_is_found() -> None:
    value: Any = "fut_x"
    for level in range(1000):
        value = [value] if level % 2 else {"k": value}
    (reference,) = find_references({"v": value}, exists=never)
    assert reference.token == "fut_x"
    assert len(reference.at) == 1001


def test_a_bare_live_token_in_a_longer_text_is_refused_with_the_form() -> None:
    with pytest.raises(BareToken) as caught:
        find_references({"items": [{"path": "the secret of fut_x"}]}, exists=only("fut_x"))
    assert str(caught.value).startswith("arguments.items[0].path: fut_x stands inside a longer text")
    assert "${fut_x/path}" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert (caught.value.argument, caught.value.token) == ("arguments.items[0].path", "fut_x")


@pytest.mark.parametrize("text", ["see (fut_x)", "/tmp/fut_x", "fut_x, fut_y", "FUT fut_X.", "fut_x- no", "fut_x.a b"])
def test_a_live_token_counts_as_a_whole_word(text: str) -> None:
    with pytest.raises(BareToken):
        find_references({"v": text}, exists=only("fut_x"))


@pytest.mark.parametrize("text", ["a my_fut_x", "a fut_x2", "a b-fut_x", "a fut_xé", "a éfut_x", "a fut_x_y"])
def test_a_live_token_in_another_word_is_plain_text(text: str) -> None:
    assert found_in(text, "fut_x") == []


def test_a_live_token_inside_braces_that_are_no_reference_is_refused() -> None:
    with pytest.raises(BareToken):
        find_references({"v": "${fut_dead + fut_x}"}, exists=only("fut_x"))


@pytest.mark.parametrize("text", ["fut_x/a~b", "fut_x/\x00", "a ${fut_x.} b", "${fut_x/~}", "${fut_x.a()}"])
def test_a_live_token_with_no_path_after_it_is_a_bad_reference(text: str) -> None:
    with pytest.raises(BadReference) as caught:
        find_references({"v": text}, exists=only("fut_x"))
    assert caught.value.token == "fut_x"
    assert found_in(text) == []


def test_an_unknown_token_in_braces_is_a_reference_in_every_spelling() -> None:
    assert found_in("${fut_x} ${fut_y.a} ${fut_z/b c}") == [("fut_x", ()), ("fut_y", ("a",)), ("fut_z", ("b c",))]


def test_a_pointer_with_white_space_needs_a_live_token() -> None:
    assert found_in("fut_x/a b") == []
    assert found_in("fut_x/a b", "fut_x") == [("fut_x", ("a b",))]


def test_an_escape_is_no_reference_and_no_bare_token() -> None:
    assert found_in("$${fut_x/a} and $${fut_x + 1}", "fut_x") == []


def test_a_closing_brace_ends_the_reference() -> None:
    assert found_in("${fut_x/a}}${fut_y}", "fut_x") == [("fut_x", ("a",)), ("fut_y", ())]


def test_a_long_text_of_near_misses_is_read_in_one_pass() -> None:
    text = "${fut_" * 50_000 + "fut_a-" * 50_000 + "é"
    assert found_in("x" + text) == []


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ((), "arguments"),
        (("items", 0, "path"), "arguments.items[0].path"),
        (("odd key", "a.b", ""), 'arguments["odd key"]["a.b"][""]'),
    ],
)
def test_a_place_is_told_as_it_would_be_written(at: tuple[str | int, ...], words: str) -> None:
    assert in_words(at) == words


def test_a_place_far_down_does_not_fill_an_error() -> None:
    assert len(in_words(("key",) * 1000)) < 200
