"""What holds for every schema: made up together with arguments that fit it."""

import json
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.gateway.arguments.slot import is_object, type_names
from asyncfc_mcp.gateway.arguments.validation import ToolSchema
from asyncfc_mcp.server.schema import ADDED_TOKENS_AT_MOST, CHARACTERS_PER_TOKEN
from tests.schema.tools import TOKEN, fits, show, tool_of

A_TOKEN = "fut_work_0000000000"
Case = tuple[dict[str, Any], Any]

NAMES = st.sampled_from(["a", "b", "path", "_as", "anyOf", "properties", "$ref"])
LEAVES = st.one_of(
    st.tuples(st.just({"type": "string", "description": "d"}), st.text(max_size=3)),
    st.tuples(st.just({"type": "string", "enum": ["x", "y"]}), st.sampled_from(["x", "y"])),
    st.tuples(st.just({"type": "string", "minLength": 1}), st.text(min_size=1, max_size=3)),
    st.tuples(st.just({"type": "integer", "minimum": 0, "default": 0}), st.integers(0, 9)),
    st.tuples(st.just({"type": ["boolean", "null"]}), st.sampled_from([True, None])),
    st.tuples(st.just({"anyOf": [{"type": "string"}, {"type": "null"}]}), st.sampled_from(["x", None])),
    st.tuples(st.just({"$ref": "#/$defs/Small"}), st.integers(0, 3)),
    st.tuples(st.just({}), st.integers()),
)


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Case]) -> Case:
    cases = draw(st.dictionaries(NAMES, inner, max_size=4))
    required = [name for name in cases if draw(st.booleans())]
    present = {name: value for name, (_, value) in cases.items() if name in required or draw(st.booleans())}
    schema: dict[str, Any] = {"type": "object", "required": required}
    schema["properties"] = {name: each for name, (each, _) in cases.items()}
    if draw(st.booleans()):
        schema["additionalProperties"] = False
    return schema, present


def lists(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    return inner.map(lambda case: ({"type": "array", "items": case[0]}, [case[1]]))


def choices(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    keywords = st.sampled_from(["anyOf", "allOf", "oneOf"])
    return st.tuples(keywords, inner).map(lambda drawn: ({drawn[0]: [drawn[1][0]]}, drawn[1][1]))


VALUES = st.recursive(LEAVES, lambda inner: st.one_of(objects(inner), lists(inner), choices(inner)), max_leaves=8)
ROOTS = objects(VALUES).map(
    lambda case: (case[0] | {"$defs": {"Small": {"type": "integer", "maximum": 3}}}, case[1]),
)


def relaxed_places(schema: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every chain of property names that ends in a union of ours."""
    found: list[tuple[str, ...]] = []
    for name, each in schema.get("properties", {}).items():
        inner = each
        if each.get("anyOf", [])[1:] == [TOKEN]:
            found.append((*at, name))
            inner = each["anyOf"][0]
        found += relaxed_places(inner, (*at, name))
    return found


def places_of(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in the arguments but the root."""
    pairs: dict[str | int, Any] = {**value} if is_object(value) else {}
    if isinstance(value, list):
        pairs = dict(enumerate(cast("list[Any]", value)))
    inner = [place for key, each in pairs.items() for place in places_of(each, (*at, key))]
    return ([at] if at else []) + inner


def with_token(arguments: Any, place: tuple[str | int, ...]) -> Any:
    """A copy with a token at the place."""
    changed = json.loads(json.dumps(arguments))
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = A_TOKEN
    return changed


@given(ROOTS)
def test_relaxing_never_makes_arguments_invalid(case: Case) -> None:
    schema, arguments = case
    assert fits(schema, arguments)
    assert fits(show(tool_of(schema))["inputSchema"], arguments)


@given(ROOTS)
def test_a_token_fits_every_property_that_was_relaxed(case: Case) -> None:
    schema, arguments = case
    shown = show(tool_of(schema))["inputSchema"]
    for place in relaxed_places(shown):
        if place[:-1] in [(), *places_of(arguments)]:
            assert fits(shown, with_token(arguments, place))


@given(ROOTS)
def test_every_union_stands_at_a_property_reached_through_properties_alone(case: Case) -> None:
    shown = show(tool_of(case[0]))["inputSchema"]
    assert json.dumps(shown).count(json.dumps(TOKEN)) == len(relaxed_places(shown))
    assert shown.get("anyOf") == case[0].get("anyOf")


@given(ROOTS)
def test_additions_keep_within_their_cost(case: Case) -> None:
    tool = tool_of(case[0])
    before, after = (
        json.dumps([each["description"], each["inputSchema"]], separators=(",", ":")) for each in (tool, show(tool))
    )
    assert (len(after) - len(before)) / CHARACTERS_PER_TOKEN <= ADDED_TOKENS_AT_MOST


@given(ROOTS, st.data())
def test_arguments_that_would_fit_are_never_refused_because_of_a_token_in_them(case: Case, data: Any) -> None:
    schema, arguments = case
    places = places_of(arguments)
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    assert ToolSchema(schema).check_submitted(with_token(arguments, place), [place]) is None


@given(ROOTS)
def test_the_slot_of_a_value_that_fits_has_one_of_its_types(case: Case) -> None:
    schema, arguments = case
    tool_schema = ToolSchema(schema)
    for place in places_of(arguments):
        value = arguments
        for key in place:
            value = value[key]
        assert type_names(value) & tool_schema.slot_of(place)
