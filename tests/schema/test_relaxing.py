"""Where a union with a token appears in the input schema that clients see, and where it never does."""

import copy
import json
from typing import Any

import pytest
from mcp.shared.inbound import find_invalid_x_mcp_header

from asyncfc_mcp.server.schema import relaxed_properties
from tests.schema.tools import either, show, shown_properties, shown_schema, takes, tool_of

NUMBER: dict[str, Any] = {"type": "number"}


def test_a_plain_string_stays_as_it_is() -> None:
    path = {"type": "string", "description": "where", "default": "/"}
    assert shown_properties(path=path) == {"path": path}


@pytest.mark.parametrize(
    "limit",
    [{"enum": ["a"]}, {"const": "a"}, {"pattern": "^a"}, {"format": "uri"}, {"minLength": 1}, {"maxLength": 3}],
    ids=lambda limit: next(iter(limit)),
)
def test_a_string_with_a_limit_becomes_a_union(limit: dict[str, Any]) -> None:
    limited = {"type": "string", **limit}
    assert shown_properties(path=limited) == {"path": either(limited)}


@pytest.mark.parametrize("original", [NUMBER, {"type": "boolean"}, {"type": "array", "items": NUMBER}, {"enum": [1]}])
def test_any_other_property_becomes_a_union_of_the_original_and_a_token(original: dict[str, Any]) -> None:
    assert shown_properties(x=original) == {"x": either(original)}


@pytest.mark.parametrize(
    "open_to_text",
    [
        {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        {"type": ["string", "null"]},
        {"description": "anything"},
        {},
    ],
)
def test_a_property_that_takes_any_text_already_needs_no_union(open_to_text: dict[str, Any]) -> None:
    assert shown_properties(x=open_to_text) == {"x": open_to_text}


def test_a_choice_between_limited_strings_becomes_a_union() -> None:
    choice = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}
    described_choice = {"type": "string", "oneOf": [{"const": "a", "title": "A"}]}
    assert shown_properties(x=choice, y=described_choice) == {"x": either(choice), "y": either(described_choice)}


@pytest.mark.parametrize("schema", [True, False])
def test_boolean_schemas_as_properties_stay(schema: Any) -> None:
    assert shown_properties(x=schema) == {"x": schema}


def test_description_title_and_default_stay_with_the_original_and_the_union_stands_alone() -> None:
    described = {"type": "integer", "description": "how many", "title": "Count", "default": 3}
    union = shown_properties(count=described)["count"]
    assert list(union) == ["anyOf"]
    assert union["anyOf"][0] == described


def test_properties_of_nested_objects_are_relaxed_too() -> None:
    assert shown_properties(outer=takes(inner=NUMBER)) == {"outer": either(takes(inner=either(NUMBER)))}


@pytest.mark.parametrize("keyword", ["items", "additionalProperties", "not", "if", "then", "else", "contains"])
def test_nothing_is_relaxed_inside(keyword: str) -> None:
    holder = {"type": ["array", "object"], keyword: takes(deep=NUMBER)}
    assert shown_properties(x=holder) == {"x": either(holder)}


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf", "allOf", "prefixItems"])
def test_nothing_is_relaxed_inside_the_list_of(keyword: str) -> None:
    holder = {"type": ["array", "object"], keyword: [takes(deep=NUMBER)]}
    assert shown_properties(x=holder) == {"x": either(holder)}


def test_nothing_is_relaxed_inside_pattern_properties() -> None:
    holder = {"type": "object", "patternProperties": {"^x": takes(deep=NUMBER)}}
    assert shown_properties(x=holder) == {"x": either(holder)}


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf", "allOf"])
def test_a_root_that_is_a_combinator_stays_as_it_is(keyword: str) -> None:
    schema = {"type": "object", keyword: [takes(a=NUMBER), takes(b=NUMBER)]}
    assert show(tool_of(schema))["inputSchema"] == schema


def test_a_root_that_refers_elsewhere_stays_as_it_is() -> None:
    schema = {"type": "object", "$ref": "#/$defs/Arguments", "$defs": {"Arguments": takes(a=NUMBER)}}
    assert show(tool_of(schema))["inputSchema"] == schema


def test_a_combinator_beside_the_properties_of_the_root_stays_there() -> None:
    beside = [{"required": ["a"]}, {"required": ["b"]}]
    assert shown_schema(takes(a=NUMBER, b={"type": "string"}) | {"anyOf": beside}) == {
        "type": "object",
        "properties": {"a": either(NUMBER), "b": {"type": "string"}},
        "anyOf": beside,
    }


def test_a_reference_is_wrapped_as_a_whole_and_definitions_stay_where_they_are() -> None:
    definitions = {"Point": takes(x=NUMBER)}
    schema = takes(at={"$ref": "#/$defs/Point", "description": "where"}) | {"$defs": definitions}
    assert shown_schema(schema) == {
        "type": "object",
        "properties": {"at": either({"$ref": "#/$defs/Point", "description": "where"})},
        "$defs": definitions,
    }


def test_nothing_is_relaxed_beside_a_reference() -> None:
    schema = takes(at={"$ref": "#/$defs/Point"} | takes(deep=NUMBER)) | {"$defs": {"Point": takes()}}
    assert shown_schema(schema)["properties"] == {"at": either(schema["properties"]["at"])}


def test_a_property_that_another_refers_to_or_through_stays_so_that_the_reference_still_leads_there() -> None:
    schema = takes(
        first={"type": "object", "properties": {"size": NUMBER, "kind": {"type": "boolean"}}},
        second={"type": "array", "items": {"$ref": "#/properties/first/properties/size"}},
    )
    shown = shown_schema(schema)["properties"]
    assert shown["first"]["properties"] == {"size": NUMBER, "kind": either({"type": "boolean"})}
    assert shown["second"] == either(schema["properties"]["second"])


def test_nothing_is_relaxed_in_a_schema_whose_items_refer_to_the_whole_of_it() -> None:
    schema = takes(value=NUMBER, children={"type": "array", "items": {"$ref": "#"}})
    assert shown_schema(schema) == schema


def test_a_property_with_a_header_stays_and_so_does_every_object_on_the_way_to_it() -> None:
    region = {"type": "string", "enum": ["eu"], "x-mcp-header": "Region"}
    schema = takes(where=takes(region=region, zone=NUMBER), count=NUMBER)
    shown = shown_schema(schema)["properties"]
    assert find_invalid_x_mcp_header(shown_schema(schema)) is None
    assert shown == {"where": takes(region=region, zone=either(NUMBER)), "count": either(NUMBER)}


def test_required_properties_come_first_and_shallow_ones_before_deep_ones() -> None:
    schema = takes(a=NUMBER, b=takes(c=NUMBER), d=NUMBER) | {"required": ["d"]}
    assert relaxed_properties(schema) == [("d",), ("a",), ("b",), ("b", "c")]


def test_the_tool_that_is_handed_in_is_never_changed() -> None:
    tool = tool_of(takes(a=NUMBER, b=takes(c=NUMBER)), outputSchema={"type": "object"}, _meta={"k": 1})
    before = copy.deepcopy(tool)
    show(tool, structured=True)
    assert tool == before


def test_a_schema_of_150_levels_is_relaxed_at_the_top_and_can_be_written() -> None:
    schema = NUMBER
    for _ in range(150):
        schema = takes(inner=schema)
    assert json.dumps(shown_schema(schema)).count("^fut_") > 0
    assert len(relaxed_properties(schema)) == 150
