"""What else clients see of a tool, what it costs a model, and how our own arguments are read."""

import json
import time
from typing import Any

import pytest

from asyncfc_mcp.server.schema import (
    ADDED_TOKENS_AT_MOST,
    CHARACTERS_PER_TOKEN,
    BadOwnArgument,
    own_arguments,
    split_arguments,
)
from tests.schema.tools import REAL_TOOLS, TOKEN, either, fits, show, takes, tool_of

NUMBER: dict[str, Any] = {"type": "number"}
ANSWER: dict[str, Any] = {"type": "object", "properties": {"answer": NUMBER}, "required": ["answer"]}


def cost(tool: dict[str, Any]) -> float:
    """What the model reads of a tool, in tokens, as an estimate."""
    text = json.dumps([tool.get("description"), tool["inputSchema"]], separators=(",", ":"), ensure_ascii=False)
    return len(text) / CHARACTERS_PER_TOKEN


def test_a_sync_tool_is_only_renamed_and_traced_to_its_server() -> None:
    tool = tool_of(takes(a=NUMBER), outputSchema=ANSWER)
    traced = {"asyncfc/tool": {"server": "s", "name": "work"}}
    assert show(tool, mode="sync") == {**tool, "name": "s_work", "_meta": traced}


def test_what_a_tool_says_of_itself_is_kept() -> None:
    kept: dict[str, Any] = {"title": "Work", "icons": [{"src": "i"}], "annotations": {"readOnlyHint": True}, "other": 1}
    kept["execution"] = {"taskSupport": "optional"}
    shown = show(tool_of(takes(), **kept, _meta={"vendor": 1}))
    assert {key: shown[key] for key in kept} == kept
    assert shown["_meta"] == {"vendor": 1, "asyncfc/tool": {"server": "s", "name": "work"}}


def test_both_arguments_are_added_and_neither_is_required() -> None:
    schema = show(tool_of(takes(path={"type": "string"}) | {"required": ["path"], "additionalProperties": False}))
    assert schema["inputSchema"] == {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "_wait_s": {"type": "number", "minimum": 0},
            "_as": {"type": "string"},
        },
        "required": ["path"],
        "additionalProperties": False,
    }


def test_a_tool_without_properties_gets_both_arguments() -> None:
    assert set(show(tool_of({"type": "object"}))["inputSchema"]["properties"]) == {"_wait_s", "_as"}


def test_an_argument_whose_name_the_tool_has_itself_is_the_tools() -> None:
    tool = tool_of(takes(_as=NUMBER))
    assert own_arguments(tool, mode="auto", wait_argument=True, name_argument=True) == {"_wait_s"}
    assert show(tool)["inputSchema"]["properties"]["_as"] == either(NUMBER)
    assert "_as" not in show(tool)["description"]


@pytest.mark.parametrize("switch", ["wait_argument", "name_argument"])
def test_an_argument_that_is_switched_off_is_neither_shown_nor_ours(switch: str) -> None:
    switches = {"wait_argument": True, "name_argument": True, switch: False}
    gone = {"wait_argument": "_wait_s", "name_argument": "_as"}[switch]
    tool = tool_of(takes())
    assert gone not in own_arguments(tool, mode="auto", **switches)
    assert gone not in json.dumps(show(tool, **switches))


def test_a_sync_tool_has_no_arguments_of_ours() -> None:
    assert own_arguments(tool_of(takes()), mode="sync", wait_argument=True, name_argument=True) == frozenset()


def test_the_arguments_that_are_shown_are_the_ones_that_are_ours() -> None:
    for tool in (tool_of({"type": "object", "oneOf": [takes(a=NUMBER)]}), tool_of(takes(_wait_s=NUMBER))):
        added = (
            show(tool)["inputSchema"].get("properties", {}).keys() - tool["inputSchema"].get("properties", {}).keys()
        )
        assert added == own_arguments(tool, mode="auto", wait_argument=True, name_argument=True)


def test_the_description_says_that_a_token_may_come_and_what_to_do_with_it() -> None:
    description = show(tool_of(takes()))["description"]
    assert description.startswith("Works.\n")
    assert all(word in description for word in ("fut_", "argument", "await_future", "_wait_s", "_as"))


def test_a_tool_without_a_description_gets_the_line_alone() -> None:
    tool = {"name": "work", "inputSchema": takes()}
    assert show(tool)["description"].startswith("If slow")


def test_the_line_goes_first_where_clients_would_cut_the_end_of_a_description() -> None:
    tool = tool_of(takes()) | {"description": "long " * 500}
    assert show(tool)["description"].startswith("If slow")


def test_describe_leaves_the_schema_alone_but_for_our_arguments_and_says_so_in_words() -> None:
    tool = tool_of(takes(a=NUMBER))
    shown = show(tool, schema="describe")
    assert shown["inputSchema"]["properties"]["a"] == NUMBER
    assert "_wait_s" in shown["inputSchema"]["properties"]
    assert "Any argument may be such a token" in shown["description"]


def test_the_output_schema_goes_where_a_token_may_be_the_answer() -> None:
    assert "outputSchema" not in show(tool_of(takes(), outputSchema=ANSWER))


def test_a_structured_output_schema_accepts_the_answer_and_a_token() -> None:
    schema = show(tool_of(takes(), outputSchema=ANSWER), structured=True)["outputSchema"]
    assert (schema["type"], schema["anyOf"][0]) == ("object", ANSWER)
    assert fits(schema, {"answer": 1})
    assert fits(schema, {"token": "fut_work_0000000000", "state": "running"})
    assert not fits(schema, {"answer": "1"})


def test_references_in_a_structured_output_schema_still_lead_somewhere() -> None:
    original = takes(answer={"$ref": "#/$defs/Answer"}) | {"$defs": {"Answer": NUMBER}, "required": ["answer"]}
    schema = show(tool_of(takes(), outputSchema=original), structured=True)["outputSchema"]
    assert fits(schema, {"answer": 1})
    assert not fits(schema, {"answer": "1"})


def test_an_output_schema_whose_references_would_break_goes_even_when_structured() -> None:
    original = takes(answer=NUMBER, again={"$ref": "#/properties/answer"})
    assert "outputSchema" not in show(tool_of(takes(), outputSchema=original), structured=True)


@pytest.mark.parametrize(("name", "tool"), REAL_TOOLS, ids=[name for name, _ in REAL_TOOLS])
@pytest.mark.parametrize("mode", ["auto", "async"])
@pytest.mark.parametrize("schema", ["union", "describe"])
def test_a_real_tool_costs_at_most_70_tokens_more(name: str, tool: dict[str, Any], mode: str, schema: Any) -> None:
    assert cost(show(tool, mode=mode, schema=schema)) - cost(tool) <= ADDED_TOKENS_AT_MOST


@pytest.mark.parametrize(("name", "tool"), REAL_TOOLS, ids=[name for name, _ in REAL_TOOLS])
def test_every_property_of_a_real_tool_takes_a_token(name: str, tool: dict[str, Any]) -> None:
    schema = show(tool)["inputSchema"]
    arguments = dict.fromkeys(tool["inputSchema"].get("properties", {}), "fut_work_0000000000")
    assert fits(schema, arguments)


def test_a_tool_of_many_arguments_spends_what_it_may_on_the_required_ones() -> None:
    many = {f"n{index}": NUMBER for index in range(20)}
    tool = tool_of(takes(**many) | {"required": ["n18", "n19"]})
    properties = show(tool)["inputSchema"]["properties"]
    assert [name for name, each in properties.items() if each == either(NUMBER)] == ["n18", "n19"]
    assert cost(show(tool)) - cost(tool) <= ADDED_TOKENS_AT_MOST


def test_a_list_of_500_tools_is_shown_in_milliseconds() -> None:
    tools = [tool for _, tool in REAL_TOOLS] * 10
    started = time.process_time()
    for tool in tools:
        show(tool)
    # Takes about 10 ms; the room is for a busy machine.
    assert time.process_time() - started < 0.25


@pytest.mark.parametrize(("sent", "wait_s"), [(5, 5.0), (0, 0.0), (0.5, 0.5), ("5", 5.0), (" 2.5 ", 2.5), (None, None)])
def test_a_wait_is_a_number_also_when_it_is_sent_as_text(sent: Any, wait_s: float | None) -> None:
    split = split_arguments({"_wait_s": sent, "a": 1}, frozenset({"_wait_s", "_as"}))
    assert (split.wait_s, split.rest) == (wait_s, {"a": 1})


@pytest.mark.parametrize(
    "sent",
    [-1, "-1", float("nan"), "nan", float("inf"), "5s", "", True, [5], {}, 10**400, 10**5000],
    ids=lambda sent: type(sent).__name__,
)
def test_any_other_wait_is_refused_with_the_argument_the_value_and_what_is_allowed(sent: Any) -> None:
    with pytest.raises(
        BadOwnArgument, match=r"_wait_s cannot be .*: it takes a number of seconds, 0 or more"
    ) as caught:
        split_arguments({"_wait_s": sent}, frozenset({"_wait_s"}))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("sent", "token"), [("report", "fut_report"), ("fut_report", "fut_report"), (None, None)])
def test_a_name_is_taken_with_or_without_its_prefix(sent: Any, token: str | None) -> None:
    assert split_arguments({"_as": sent}, frozenset({"_as"})).token == token


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadOwnArgument, match="_as cannot be 5: it takes a name"):
        split_arguments({"_as": 5}, frozenset({"_as"}))


def test_arguments_that_are_not_ours_go_downstream() -> None:
    split = split_arguments({"_as": "x", "_wait_s": "soon"}, frozenset())
    assert (split.wait_s, split.token, split.rest) == (None, None, {"_as": "x", "_wait_s": "soon"})


def test_the_token_branch_is_written_out() -> None:
    assert show(tool_of(takes(a=NUMBER)))["inputSchema"]["properties"]["a"]["anyOf"][1] == TOKEN
