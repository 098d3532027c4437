"""Tokens are readable, canonical, and betray a slip of the pen."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.core.token import BadName, UnfitTokenParts, closest, is_mistyped, mint, named, normalise, slug_of

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True)


@st.composite
def minted(draw: st.DrawFn) -> str:
    bits: Literal[40, 128] = draw(st.sampled_from((40, 128)))
    slug = draw(st.from_regex(r"[a-z0-9]{1,16}", fullmatch=True))
    return mint(slug, draw(st.integers(0, 2**bits - 1)), bits)


def id_start(token: str) -> int:
    return token.rindex("_") + 1


@pytest.mark.parametrize(("bits", "length"), [(40, 9), (128, 27)])
def test_a_minted_id_has_its_length_and_alphabet(bits: Literal[40, 128], length: int) -> None:
    for chance in (0, 1, 2**bits - 1):
        assert re.fullmatch(rf"fut_read_[{ALPHABET}]{{{length}}}", mint("read", chance, bits))


@given(st.integers(0, 2**40 - 1), st.integers(0, 2**40 - 1))
def test_different_chance_gives_different_tokens(one: int, other: int) -> None:
    assert (mint("x", one, 40) == mint("x", other, 40)) == (one == other)


@pytest.mark.parametrize(("slug", "chance"), [("", 0), ("Read", 0), ("a" * 17, 0), ("read", -1), ("read", 2**40)])
def test_parts_that_make_no_token_are_refused(slug: str, chance: int) -> None:
    with pytest.raises(UnfitTokenParts):
        mint(slug, chance, 40)


@given(minted())
def test_a_minted_token_is_canonical_and_not_mistyped(token: str) -> None:
    assert normalise(token) == token
    assert not is_mistyped(token)


@given(minted(), st.data())
def test_every_wrong_character_is_found(token: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(id_start(token), len(token) - 1))
    wrong = data.draw(st.sampled_from([character for character in ALPHABET + "u" if character != token[place]]))
    assert is_mistyped(token[:place] + wrong + token[place + 1 :])


@given(minted(), st.data())
def test_every_swap_of_two_characters_is_found(token: str, data: st.DataObject) -> None:
    places = st.integers(id_start(token), len(token) - 1)
    first, second = sorted((data.draw(places), data.draw(places)))
    characters = list(token)
    characters[first], characters[second] = characters[second], characters[first]
    assert is_mistyped("".join(characters)) == (token[first] != token[second])


def test_no_wrong_character_and_no_swap_in_one_long_id_escapes() -> None:
    token = mint("read", 0x0123456789ABCDEF_FEDCBA9876543210, 128)
    start = id_start(token)
    wrong = {
        token[:place] + character + token[place + 1 :]
        for place in range(start, len(token))
        for character in ALPHABET
        if character != token[place]
    }
    swapped = {
        token[:one] + token[other] + token[one + 1 : other] + token[one] + token[other + 1 :]
        for one in range(start, len(token))
        for other in range(one + 1, len(token))
        if token[one] != token[other]
    }
    assert len(wrong) == 27 * 31
    assert all(is_mistyped(slip) for slip in wrong | swapped)


@given(minted(), st.data())
def test_twins_and_upper_case_are_read_as_what_was_minted(token: str, data: st.DataObject) -> None:
    twins = {"0": "0oO", "1": "1iIlL"}
    start = id_start(token)
    written = "".join(data.draw(st.sampled_from(twins.get(it, it + it.upper()))) for it in token[start:])
    assert normalise(token[:start] + written) == token


@given(minted(), st.text(" \t\n`<>"), st.text(" \t\n`<>"))
def test_surroundings_do_not_count(token: str, before: str, after: str) -> None:
    assert normalise(before + token + after) == token


@pytest.mark.parametrize("text", ["", "fut_", "fut", "x fut_a", "fut_a/b", "fut_a.b", "fut_a b", "FUT_a", "fut_é"])
def test_what_is_not_token_shaped_is_no_token(text: str) -> None:
    assert normalise(text) is None


@given(NAMES)
def test_the_token_of_a_name_is_its_own_canonical_form_in_any_case(name: str) -> None:
    token = named(name)
    assert normalise(token) == token
    assert named(token) == token
    assert named(name.swapcase()) == token


def test_a_name_as_long_as_an_id_keeps_its_letters() -> None:
    assert named("Big_Directory") == "fut_big_directory"
    assert normalise("fut_Big_Directory") == "fut_big_directory"


@pytest.mark.parametrize("name", ["", "_x", "-x", "a b", "a.b", "é", "x" * 41, "fut_", "x\n"])
def test_a_bad_name_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(BadName, match="1 to 40 letters") as caught:
        named(name)
    assert caught.value.name == name


def test_a_very_long_bad_name_does_not_fill_the_error() -> None:
    with pytest.raises(BadName) as caught:
        named("x" * 1_000_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("tool", "slug"),
    [
        ("read_file", "readfile"),
        ("Read-File.2", "readfile2"),
        ("a_tool_with_a_very_long_name", "atoolwithaverylo"),
        ("日本", "tool"),
        ("", "tool"),
    ],
)
def test_a_slug_keeps_letters_and_digits(tool: str, slug: str) -> None:
    assert slug_of(tool) == slug


@given(st.text())
def test_every_tool_name_gives_a_mintable_slug(tool: str) -> None:
    assert normalise(mint(slug_of(tool), 7, 40)) is not None


def test_names_and_short_ids_are_not_called_mistyped() -> None:
    assert not is_mistyped("fut_report")
    assert not is_mistyped("fut_read_abc")


def test_the_closest_token_is_the_one_with_a_slip() -> None:
    tokens = [mint("read", 11, 40), mint("read", 2**39 + 12345, 40), named("report")]
    assert closest(tokens[1][:-1] + "z", tokens) == tokens[1]
    assert closest("fut_reprot", tokens) == "fut_report"


@pytest.mark.parametrize("token", ["fut_zq", "fut_" + "x" * 1_000_000])
def test_nothing_is_close_to_an_unlike_token(token: str) -> None:
    assert closest(token, [named("report"), mint("read", 11, 40)]) is None
