"""What a slot receives for a reference: the right reading of the value, and nothing else of the arguments changed."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.core.reference import Place, find_references, pointer
from asyncfc_mcp.core.substitution import substitute
from asyncfc_mcp.core.value import (
    ANY_SLOT,
    MISSING,
    TEXT_SLOT,
    BadSubstitution,
    Slot,
    Value,
    convert_text,
    fits,
    parse_json,
    select,
)

TYPE_NAMES = sorted(ANY_SLOT)
SLOTS = st.frozensets(st.sampled_from(TYPE_NAMES))
KEYS = st.text(max_size=5)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


def text(content: str) -> Value:
    return Value(content, MISSING, ("text",), wraps_result=False)


def structured(content: Any, *, shown: str | None = None, wraps: bool = False) -> Value:
    return Value(shown, content, ("text",) if shown else (), wraps_result=wraps)


def slot(*names: str) -> Slot:
    return frozenset(names)


def filled(arguments: dict[str, Any], values: dict[str, Value], accepts: Slot, *, embed: bool = True) -> dict[str, Any]:
    references = find_references(arguments, exists=values.__contains__, embed=embed)
    return substitute(arguments, references, values, lambda _: accepts, embed=embed)


@given(st.text())
def test_any_text_reaches_a_text_slot_byte_for_byte(content: str) -> None:
    value = {"fut_x": text(content)}
    assert filled({"v": "fut_x"}, value, TEXT_SLOT) == {"v": content}
    assert filled({"v": "fut_x"}, value, slot("string", "null")) == {"v": content}
    assert filled({"v": "<<${fut_x}>>"}, value, TEXT_SLOT) == {"v": f"<<{content}>>"}


@given(st.dictionaries(KEYS, JSON))
def test_arguments_without_tokens_are_never_changed(arguments: dict[str, Any]) -> None:
    if "fut_" not in json.dumps(arguments):
        assert filled(arguments, {}, slot("number")) == arguments


@given(st.dictionaries(KEYS, JSON), JSON, st.sampled_from(["fut_x", "fut_x/a", "-${fut_x.a}-"]))
def test_substitution_leaves_everything_else_as_it_is(others: dict[str, Any], content: Any, written: str) -> None:
    holder: dict[str, Any] = {"deep": written}
    arguments: dict[str, Any] = {"others": others, "list": [1, holder], "last": [None]}
    before = deepcopy(arguments)
    after = filled(arguments, {"fut_x": structured({"a": content})}, ANY_SLOT)
    assert arguments == before
    assert after["list"][1].pop("deep") != written
    del holder["deep"]
    assert after == arguments


@given(JSON, st.lists(KEYS | st.integers(0, 3), max_size=4))
def test_a_path_leads_to_what_was_put_there(content: Any, keys: list[str | int]) -> None:
    document: Any = content
    for key in reversed(keys):
        document = [None] * key + [document] if isinstance(key, int) else {key: document, key + "x": 0}
    path = tuple(str(key) for key in keys)
    assert select(structured({"top": document}), ("top", *path), ANY_SLOT, token="fut_x") == content
    assert select(text(json.dumps({"top": document})), ("top", *path), ANY_SLOT, token="fut_x") == content


@given(JSON)
def test_embedded_values_are_text_verbatim_or_json_that_reads_back(content: Any) -> None:
    written = filled({"v": "${fut_x/a} "}, {"fut_x": structured({"a": content})}, TEXT_SLOT)["v"][:-1]
    assert written == content if isinstance(content, str) else json.loads(written) == content


@given(JSON, SLOTS)
def test_converting_gives_what_fits_or_the_value_unchanged(content: Any, accepts: Slot) -> None:
    converted = convert_text(content, accepts)
    assert converted is content or (isinstance(content, str) and "string" not in accepts and fits(converted, accepts))


@given(JSON)
def test_the_json_of_a_value_is_converted_back_where_text_does_not_fit(content: Any) -> None:
    accepts = ANY_SLOT - {"string"}
    if not isinstance(content, str):
        assert convert_text(json.dumps(content), accepts) == content


@pytest.mark.parametrize(
    ("content", "accepts", "expected"),
    [
        ("5", slot("integer"), 5),
        ("5", slot("integer", "string"), "5"),
        ("5.5", slot("integer"), "5.5"),
        ("5.0", slot("integer"), 5.0),
        ("true", slot("integer"), "true"),
        ("null", slot("number", "null"), None),
        ("NaN", slot("number"), "NaN"),
        ("1e999", slot("number"), "1e999"),
        ("five", slot("number"), "five"),
        ('"x"', slot("number"), '"x"'),
        ("[1]", slot("object"), "[1]"),
        ("[1]", slot("array"), [1]),
        (5, slot("string"), 5),
        ("1" * 50, slot("integer"), int("1" * 50)),
    ],
)
def test_text_is_converted_only_to_what_fits(content: Any, accepts: Slot, expected: Any) -> None:
    converted = convert_text(content, accepts)
    assert (converted, type(converted)) == (expected, type(expected))


@pytest.mark.parametrize("spelling", ["NaN", "-Infinity", "[Infinity]", "1e999", "", "{", "[" * 100_000, "9" * 5000])
def test_what_is_no_json_is_missing(spelling: str) -> None:
    assert parse_json(spelling) is MISSING


def test_the_result_key_is_unwrapped_only_where_the_tool_says_so() -> None:
    assert select(structured({"result": 5}, wraps=True), (), ANY_SLOT, token="fut_x") == 5
    assert select(structured({"result": 5}), (), ANY_SLOT, token="fut_x") == {"result": 5}
    assert select(structured({"result": 5, "more": 6}, wraps=True), (), ANY_SLOT, token="fut_x") == {
        "result": 5,
        "more": 6,
    }


def test_a_path_is_tried_on_the_raw_object_then_unwrapped_then_in_the_text() -> None:
    value = structured({"result": {"result": 1, "a": 2}}, shown='{"result": 3, "a": 4, "b": 5}', wraps=True)
    assert select(value, ("result",), ANY_SLOT, token="fut_x") == {"result": 1, "a": 2}
    assert select(value, ("a",), ANY_SLOT, token="fut_x") == 2
    assert select(value, ("b",), ANY_SLOT, token="fut_x") == 5


def test_the_reading_that_fits_is_taken() -> None:
    value = structured({"content": "[1]"}, shown="[1]")
    assert select(value, (), ANY_SLOT, token="fut_x") == {"content": "[1]"}
    assert select(value, (), slot("array"), token="fut_x") == [1]
    assert select(value, (), slot("string", "number"), token="fut_x") == "[1]"


def test_a_value_of_the_wrong_type_is_left_to_validation() -> None:
    assert select(structured({"a": 1}), (), slot("number"), token="fut_x") == {"a": 1}


def test_a_text_slot_takes_json_when_there_is_no_text() -> None:
    assert select(structured({"a": [1, "é"]}), (), TEXT_SLOT, token="fut_x") == '{"a":[1,"é"]}'
    assert select(structured({"result": "x"}, wraps=True), (), TEXT_SLOT, token="fut_x") == "x"


def test_a_miss_names_the_token_the_path_and_at_most_ten_keys() -> None:
    value = structured({"row": {f"key{number}": number for number in range(12)}})
    with pytest.raises(BadSubstitution) as caught:
        select(value, ("row", "a/b"), ANY_SLOT, token="fut_x", argument="arguments.v")
    message = str(caught.value)
    assert message.startswith("arguments.v: fut_x/row/a~1b cannot be used here")
    assert "at /row the keys are key0, " in message
    assert message.endswith("key9 and 2 more")
    assert (caught.value.token, caught.value.path) == ("fut_x", ("row", "a/b"))


def test_a_miss_is_told_where_the_path_got_furthest() -> None:
    value = structured({"result": {"a": {"b": 1}}}, shown='{"a": 0}', wraps=True)
    with pytest.raises(BadSubstitution, match=r"at /a the keys are b$"):
        select(value, ("a", "c"), ANY_SLOT, token="fut_x")


@pytest.mark.parametrize("segment", ["-1", "-", "01", "3", "x", "", "1" * 5000, "٣"])
def test_what_is_no_index_of_a_list_misses(segment: str) -> None:
    with pytest.raises(BadSubstitution, match="the list has the indexes 0 to 2"):
        select(structured({"a": [1, 2, 3]}), ("a", segment), ANY_SLOT, token="fut_x")


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        (Value(None, MISSING, ("image", "image", "audio"), wraps_result=False), "only image, audio"),
        (Value(None, MISSING, (), wraps_result=False), "its result is empty"),
    ],
)
def test_a_value_with_neither_text_nor_json_is_refused(value: Value, fact: str) -> None:
    for accepts in (TEXT_SLOT, ANY_SLOT):
        with pytest.raises(BadSubstitution, match=fact):
            select(value, (), accepts, token="fut_x")


@pytest.mark.parametrize("content", [float("nan"), [float("inf")]])
def test_a_number_that_json_cannot_spell_is_refused_as_text(content: Any) -> None:
    with pytest.raises(BadSubstitution, match="a number that JSON cannot spell"):
        select(structured({"a": content}), ("a",), TEXT_SLOT, token="fut_x")


def test_a_value_too_deep_to_spell_is_refused_as_text() -> None:
    content: Any = 1
    for _ in range(100_000):
        content = [content]
    with pytest.raises(BadSubstitution, match="nests too deep"):
        select(structured({"a": content}), ("a",), TEXT_SLOT, token="fut_x")


def test_each_place_is_filled_by_what_it_accepts() -> None:
    arguments = {"name": "fut_x", "rows": ["fut_x", "n=${fut_x}"]}
    slots: dict[Place, Slot] = {("name",): TEXT_SLOT, ("rows", 0): slot("integer"), ("rows", 1): ANY_SLOT}
    references = find_references(arguments, exists=lambda _: True)
    after = substitute(arguments, references, {"fut_x": text("7")}, slots.__getitem__)
    assert after == {"name": "7", "rows": [7, "n=7"]}


def test_a_reference_under_a_thousand_levels_is_filled() -> None:
    value: Any = "fut_x"
    for _ in range(1000):
        value = [value]
    after: Any = filled({"v": value}, {"fut_x": text("7")}, ANY_SLOT)["v"]
    for _ in range(1000):
        (after,) = after
    assert after == 7


def test_a_value_that_looks_like_a_reference_is_not_filled_again() -> None:
    values = {"fut_x": text("fut_y ${fut_y} $${fut_y}"), "fut_y": text("7")}
    assert filled({"v": "${fut_x}"}, values, TEXT_SLOT) == {"v": "fut_y ${fut_y} $${fut_y}"}
    assert filled({"v": "fut_x"}, values, TEXT_SLOT) == {"v": "fut_y ${fut_y} $${fut_y}"}


def test_escapes_are_undone_without_references_and_only_where_embedding_is_on() -> None:
    arguments = {"v": "$${fut_x} $${HOME}"}
    assert filled(arguments, {}, TEXT_SLOT) == {"v": "${fut_x} $${HOME}"}
    assert filled(arguments, {}, TEXT_SLOT, embed=False) == arguments


@given(st.lists(st.sampled_from(["$", "{", "}", "fut_x", "fut_dead", " ", "/a"]), max_size=8))
def test_what_an_escape_hides_comes_back_as_it_was(pieces: list[str]) -> None:
    hidden = "".join(pieces)
    if hidden.startswith("fut_"):
        written = "$${" + hidden.replace("${fut_", "$${fut_")
        assert filled({"v": "- " + written}, {}, TEXT_SLOT) == {"v": "- ${" + hidden}


def test_an_embedded_pointer_may_hold_any_key_without_braces() -> None:
    value = {"fut_x": structured({"a b~/": 1})}
    assert filled({"v": f"=${{fut_x{pointer(('a b~/',))}}}"}, value, TEXT_SLOT) == {"v": "=1"}
