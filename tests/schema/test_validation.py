"""What is wrong with arguments, before and after their tokens have values."""

import socket
from typing import Any

import pytest

from asyncfc_mcp.gateway.arguments.validation import Problem, ToolSchema
from tests.schema.tools import REAL_TOOLS, takes

TOKEN = "fut_work_0000000000"
NUMBER: dict[str, Any] = {"type": "number"}
STRING: dict[str, Any] = {"type": "string"}


def final(schema: dict[str, Any], arguments: dict[str, Any]) -> Problem | None:
    return ToolSchema(schema).check_final(arguments)


def submitted(schema: dict[str, Any], arguments: dict[str, Any], *places: tuple[str | int, ...]) -> Problem | None:
    return ToolSchema(schema).check_submitted(arguments, places)


def test_arguments_that_fit_have_no_problem() -> None:
    assert final(takes(a=NUMBER), {"a": 1}) is None


def test_a_missing_argument_is_named() -> None:
    schema: dict[str, Any] = takes(items={"type": "array", "items": takes(path=STRING) | {"required": ["path"]}})
    assert final(schema, {"items": [{}]}) == Problem("arguments.items[0].path", "is required but missing")


def test_an_argument_that_the_tool_does_not_have_is_named() -> None:
    schema: dict[str, Any] = takes(a=NUMBER) | {"additionalProperties": False, "patternProperties": {"^x": True}}
    assert final(schema, {"a": 1, "x1": 2, "b": 3}) == Problem("arguments.b", "is not allowed there")


@pytest.mark.parametrize(
    ("schema", "value", "fact"),
    [
        (NUMBER, "a", "must be a number, not a string"),
        ({"type": ["integer", "null"]}, 1.5, "must be null or a whole number, not a number"),
        ({"anyOf": [{"type": "boolean"}, {"type": "array"}]}, 5, "must be true or false or a list, not a whole number"),
        ({"type": "integer", "minimum": 3}, 1, "must be at least 3"),
        ({"exclusiveMaximum": 3}, 3, "must be less than 3"),
        ({"enum": ["a", 1]}, "b", 'must be one of "a", 1'),
        ({"const": "a"}, "b", 'must be "a"'),
        ({"pattern": "^{a}$"}, "b", 'must match the pattern "^{a}$"'),
        ({"minItems": 2}, [1], "must have at least 2 items"),
        ({"maxLength": 2}, "abc", "must have at most 2 characters"),
        ({"uniqueItems": True}, [1, 1], "must not hold the same item twice"),
        ({"not": {"type": "string"}}, "a", "breaks the rule `not` of the tool's schema"),
        (
            {"oneOf": [{"minimum": 1}, {"minimum": 2}]},
            3,
            "fits several of the forms of which exactly one is allowed there",
        ),
    ],
    ids=lambda part: str(part)[:30],
)
def test_a_fact_says_in_words_what_is_wanted(schema: Any, value: Any, fact: str) -> None:
    assert final(takes(x=schema), {"x": value}) == Problem("arguments.x", fact)


def test_a_forbidden_property_is_reported() -> None:
    problem = final(takes(x=False), {"x": 1})
    assert problem is not None
    assert "never allows" in problem.fact


def test_a_fact_never_shows_the_value_and_cuts_a_long_limit() -> None:
    problem = final(takes(x={"enum": ["choice" * 10, "other" * 10, "third" * 10]}), {"x": "my secret"})
    assert problem is not None
    assert "my secret" not in problem.fact
    assert len(problem.fact) < 110


def test_a_token_may_stand_for_any_value() -> None:
    schema = takes(n=NUMBER, e={"enum": ["a"]}, o=takes(p=NUMBER), l={"type": "array", "items": NUMBER})
    arguments = {"n": TOKEN, "e": TOKEN, "o": TOKEN, "l": [1, TOKEN]}
    assert submitted(schema, arguments, ("n",), ("e",), ("o",), ("l", 1)) is None


def test_a_missing_argument_is_found_beside_a_token() -> None:
    schema = takes(a=NUMBER, b=NUMBER) | {"required": ["a", "b"]}
    assert submitted(schema, {"a": TOKEN}, ("a",)) == Problem("arguments.b", "is required but missing")


def test_a_wrong_type_is_found_beside_a_token() -> None:
    schema = takes(x={"type": "array", "items": NUMBER})
    problem = submitted(schema, {"x": [TOKEN, "a"]}, ("x", 0))
    assert problem == Problem("arguments.x[1]", "must be a number, not a string")


def test_a_list_where_a_number_belongs_is_found_whatever_is_in_it() -> None:
    problem = submitted(takes(x=NUMBER), {"x": [TOKEN]}, ("x", 0))
    assert problem == Problem("arguments.x", "must be a number, not a list")


def test_an_unknown_argument_that_holds_a_token_is_found() -> None:
    schema = takes(a=NUMBER) | {"additionalProperties": False}
    assert submitted(schema, {"b": TOKEN}, ("b",)) == Problem("arguments.b", "is not allowed there")


def test_a_list_that_is_too_long_is_found_whatever_its_tokens_stand_for() -> None:
    problem = submitted(takes(x={"type": "array", "maxItems": 1}), {"x": [TOKEN, TOKEN]}, ("x", 0), ("x", 1))
    assert problem == Problem("arguments.x", "must have at most 1 items")


POINT: dict[str, Any] = takes(x=NUMBER) | {"required": ["x"], "additionalProperties": False}
NAMED: dict[str, Any] = takes(name=STRING) | {"required": ["name"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "value", "place"),
    [
        ({"oneOf": [POINT, NAMED]}, {"x": TOKEN}, ("v", "x")),
        ({"anyOf": [POINT, NAMED]}, {"x": TOKEN}, ("v", "x")),
        ({"oneOf": [takes(k=STRING), takes(k={"type": "string", "minLength": 3})]}, {"k": TOKEN}, ("v", "k")),
        ({"uniqueItems": True}, [TOKEN, TOKEN], ("v", 0)),
        ({"enum": [{"a": 1}]}, {"a": TOKEN}, ("v", "a")),
        ({"const": [1]}, [TOKEN], ("v", 0)),
        ({"not": takes(k=STRING)}, {"k": TOKEN}, ("v", "k")),
        ({"contains": NUMBER}, [TOKEN], ("v", 0)),
        ({"if": takes(k={"const": "a"}), "else": {"required": ["b"]}}, {"k": TOKEN}, ("v", "k")),
        ({"if": takes(k=STRING), "then": takes(n=STRING)}, {"k": TOKEN, "n": 1}, ("v", "k")),
        (
            {"anyOf": [takes(k={"const": 1}, extra=True)], "properties": {}, "unevaluatedProperties": False},
            {"k": TOKEN, "extra": 1},
            ("v", "k"),
        ),
        ({"allOf": [takes(k=NUMBER), takes(k={"minimum": 3})]}, {"k": TOKEN}, ("v", "k")),
    ],
    ids=lambda part: str(part)[:40],
)
def test_a_rule_that_may_hang_on_the_value_of_a_token_never_refuses(
    schema: Any, value: Any, place: tuple[str | int, ...]
) -> None:
    assert submitted(takes(v=schema), {"v": value}, place) is None


def test_a_choice_none_of_whose_forms_can_fit_any_more_is_found() -> None:
    schema = takes(v={"oneOf": [POINT, NAMED]})
    assert submitted(schema, {"v": {"x": TOKEN, "other": 1}}, ("v", "x")) is not None


def test_a_token_is_never_named_as_what_is_wrong() -> None:
    schema = takes(v={"anyOf": [takes(x=NUMBER) | {"required": ["y"]}]})
    problem = submitted(schema, {"v": {"x": TOKEN}}, ("v", "x"))
    assert problem == Problem("arguments.v", "fits none of the forms that are allowed there")


def test_a_form_that_is_never_allowed_does_not_hide_the_others() -> None:
    schema = takes(v={"anyOf": [False, POINT]})
    assert submitted(schema, {"v": {"x": TOKEN}}, ("v", "x")) is None
    assert submitted(schema, {"v": {"x": TOKEN, "y": 1}}, ("v", "x")) is not None


def test_the_same_arguments_are_refused_once_the_value_is_there() -> None:
    schema = ToolSchema(takes(v={"oneOf": [POINT, NAMED]}))
    assert schema.check_final({"v": {"x": "text"}}) is not None
    assert schema.check_final({"v": {"x": 1}}) is None


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "no such type"},
        {"pattern": "(?<js>a)\\p{L}"},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "https://example.org/never-fetched.json"},
    ],
    ids=lambda broken: str(broken)[:40],
)
def test_a_schema_that_cannot_be_used_checks_nothing_and_says_so(broken: dict[str, Any]) -> None:
    schema = ToolSchema(takes(x=broken, y=NUMBER))
    assert schema.check_final({"x": "a", "y": "wrong"}) is None
    assert schema.unchecked_because is not None


def test_nothing_that_a_schema_refers_to_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        elsewhere = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
        assert final(takes(x={"$ref": elsewhere}), {"x": 1}) is None
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_schema_that_can_be_used_has_no_reason_to_be_unchecked() -> None:
    schema = ToolSchema(takes(x=NUMBER))
    schema.check_final({"x": 1})
    assert schema.unchecked_because is None


def test_a_schema_of_an_unknown_draft_is_read_as_the_newest() -> None:
    schema = takes(x=NUMBER) | {"$schema": "https://example.org/draft-99"}
    assert final(schema, {"x": "a"}) is not None


def test_arguments_too_deep_to_check_pass_and_the_next_ones_are_checked() -> None:
    schema = ToolSchema({"type": "object", "properties": {"x": NUMBER}, "additionalProperties": {"$ref": "#"}})
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"a": deep}
    assert schema.check_final(deep) is None
    assert schema.unchecked_because is None
    assert schema.check_final({"x": "a"}) is not None


def test_arguments_of_100_levels_are_checked() -> None:
    schema = ToolSchema({"type": "object", "properties": {"x": NUMBER}, "additionalProperties": {"$ref": "#"}})
    deep: dict[str, Any] = {"x": "wrong"}
    for _ in range(100):
        deep = {"a": deep}
    assert schema.check_final(deep) is not None


@pytest.mark.parametrize(("name", "tool"), REAL_TOOLS, ids=[name for name, _ in REAL_TOOLS])
def test_a_real_tool_takes_tokens_everywhere_and_misses_what_is_required(name: str, tool: dict[str, Any]) -> None:
    schema = ToolSchema(tool["inputSchema"])
    names = list(tool["inputSchema"].get("properties", {}))
    tokens = dict.fromkeys(names, TOKEN)
    assert schema.check_submitted(tokens, [(each,) for each in names]) is None
    assert schema.unchecked_because is None
    for each in tool["inputSchema"].get("required", []):
        rest = {key: value for key, value in tokens.items() if key != each}
        problem = schema.check_submitted(rest, [(key,) for key in rest])
        assert problem == Problem(f"arguments.{each}", "is required but missing")
