"""Which types a place accepts, and what is read as JSON because of it."""

from typing import Any

import pytest

from asyncfc_mcp.core.value import ANY_SLOT, wraps_result
from asyncfc_mcp.gateway.arguments.validation import ToolSchema
from tests.schema.tools import takes

NUMBER: dict[str, Any] = {"type": "number"}
STRING: dict[str, Any] = {"type": "string"}


def slot(schema: dict[str, Any], *at: str | int) -> set[str]:
    return set(ToolSchema(schema).slot_of(at))


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        (STRING, {"string"}),
        (NUMBER, {"number", "integer"}),
        ({"type": "integer"}, {"integer"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        ({"type": "boolean", "nullable": True}, {"boolean", "null"}),
        ({"enum": ["a", None, 2]}, {"string", "null", "number", "integer"}),
        ({"enum": ["a", 2], "type": "string"}, {"string"}),
        ({"const": 1.5}, {"number"}),
        ({"anyOf": [STRING, {"type": "array"}]}, {"string", "array"}),
        ({"oneOf": [STRING, {"type": "null"}]}, {"string", "null"}),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["string", "array"]}]}, {"string"}),
        ({"type": "object", "anyOf": [{"required": ["a"]}]}, {"object"}),
        ({"description": "anything"}, set(ANY_SLOT)),
        (True, set(ANY_SLOT)),
        (False, set(ANY_SLOT)),
    ],
)
def test_a_slot_takes_the_types_that_its_schema_names(schema: Any, types: set[str]) -> None:
    assert slot(takes(x=schema), "x") == types


def test_items_speak_for_every_index() -> None:
    assert slot(takes(x={"type": "array", "items": NUMBER}), "x", 7) == {"number", "integer"}


def test_prefix_items_speak_first_and_items_for_the_rest() -> None:
    schema = takes(x={"type": "array", "prefixItems": [STRING, NUMBER], "items": {"type": "boolean"}})
    assert [slot(schema, "x", index) for index in range(3)] == [{"string"}, {"number", "integer"}, {"boolean"}]


def test_a_tuple_of_an_older_draft_is_read_too() -> None:
    schema = takes(x={"type": "array", "items": [STRING], "additionalItems": {"type": "null"}})
    assert [slot(schema, "x", index) for index in range(2)] == [{"string"}, {"null"}]


def test_pattern_properties_speak_before_additional_ones() -> None:
    schema = {"type": "object", "patternProperties": {"^n_": NUMBER, "(": STRING}, "additionalProperties": STRING}
    assert (slot(schema, "n_x"), slot(schema, "other")) == ({"number", "integer"}, {"string"})


def test_a_local_reference_is_followed_with_its_escapes() -> None:
    definitions = {"a/b c": takes(deep={"type": "boolean"})}
    assert slot(takes(x={"$ref": "#/$defs/a~1b%20c"}) | {"$defs": definitions}, "x", "deep") == {"boolean"}


@pytest.mark.parametrize(
    "reference", ["#/$defs/Missing", "https://example.org/schema.json", "other.json#/a", "#anchor"]
)
def test_a_reference_that_leads_nowhere_here_says_nothing(reference: str) -> None:
    assert slot(takes(x={"$ref": reference}), "x") == ANY_SLOT


def test_a_reference_to_itself_ends() -> None:
    schema = takes(x={"$ref": "#/$defs/Loop"}) | {"$defs": {"Loop": {"$ref": "#/$defs/Loop"}}}
    assert slot(schema, "x") == ANY_SLOT


def test_a_recursive_type_is_followed_150_levels_down() -> None:
    node = {"anyOf": [NUMBER, {"type": "array", "items": {"$ref": "#/$defs/Node"}}]}
    assert slot(takes(x={"$ref": "#/$defs/Node"}) | {"$defs": {"Node": node}}, "x", *[0] * 150) == {
        "number",
        "integer",
        "array",
    }


def test_branches_that_double_at_every_level_cost_no_more_than_one() -> None:
    twice = {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Twice"}}] * 2 + [STRING]}
    twice["anyOf"].append({"type": "array", "items": {"$ref": "#/$defs/Twice"}})
    schema = takes(x={"$ref": "#/$defs/Twice"}) | {"$defs": {"Twice": twice}}
    assert slot(schema, "x", *[0] * 60) == {"string", "array"}


def test_only_the_branches_that_can_hold_the_place_count() -> None:
    schema = takes(x={"anyOf": [STRING, {"type": "array", "items": NUMBER}, takes(a={"type": "boolean"})]})
    assert (slot(schema, "x", 0), slot(schema, "x", "a")) == ({"number", "integer"}, {"boolean"})


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("5", {"type": "integer"}, 5),
        ("5.5", NUMBER, 5.5),
        ("true", {"type": "boolean"}, True),
        ("null", {"type": ["integer", "null"]}, None),
        ("[1]", {"type": "array"}, [1]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("5", {"anyOf": [NUMBER, {"type": "null"}]}, 5),
    ],
)
def test_text_is_read_as_json_where_only_its_json_fits(text: str, schema: Any, value: Any) -> None:
    assert ToolSchema(takes(x=schema)).convertible({"x": text}) == {"x": value}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("5", STRING),
        ("5", {"type": ["integer", "string"]}),
        ("5", {}),
        ("5.5", {"type": "integer"}),
        ("5 apples", {"type": "integer"}),
        ("NaN", NUMBER),
        ("-Infinity", NUMBER),
        ("[" * 5000, {"type": "array"}),
        ("9" * 5000, NUMBER),
        ("fut_x", NUMBER),
    ],
    ids=lambda part: str(part)[:20],
)
def test_arguments_that_need_no_change_come_back_as_the_very_same_object(text: str, schema: Any) -> None:
    arguments = {"x": text, "y": [{"z": 1}]}
    assert ToolSchema(takes(x=schema)).convertible(arguments) is arguments


def test_arguments_nested_too_deeply_to_look_through_come_back_as_they_are() -> None:
    deep: Any = "5"
    for _ in range(900):
        deep = [deep]
    arguments = {"x": deep}
    assert ToolSchema(takes(x={"type": "array"})).convertible(arguments) is arguments


def test_text_deep_inside_is_converted_and_the_arguments_handed_in_stay() -> None:
    schema = ToolSchema(takes(x={"type": "array", "items": takes(n=NUMBER, s=STRING)}))
    arguments = {"x": [{"n": "1", "s": "1"}]}
    assert schema.convertible(arguments) == {"x": [{"n": 1, "s": "1"}]}
    assert arguments == {"x": [{"n": "1", "s": "1"}]}


@pytest.mark.parametrize(
    ("output_schema", "wraps"),
    [
        (takes(result=NUMBER), True),
        (takes(result=NUMBER, more=NUMBER), False),
        (takes(result=NUMBER, more=NUMBER) | {"x-fastmcp-wrap-result": True}, True),
        ({"type": "object"}, False),
        (None, False),
    ],
)
def test_a_result_is_wrapped_where_it_stands_alone_or_is_marked(output_schema: Any, wraps: bool) -> None:
    assert wraps_result(output_schema) is wraps
