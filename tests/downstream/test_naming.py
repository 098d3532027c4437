from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.downstream.naming import (
    MAX_NAME_LENGTH,
    RESERVED_NAMES,
    ListedTool,
    NameCollision,
    ReservedName,
    exposed_names,
)

NAMES = st.text(st.sampled_from("ab_./é-"), max_size=45)
TOOLS = st.lists(
    st.tuples(st.sampled_from(["s", "t.t", "ü"]), NAMES).map(lambda pair: ListedTool(pair[0], pair[0], pair[1])),
    unique=True,
    max_size=30,
)


@given(TOOLS)
def test_names_are_injective_and_fit_every_client(tools: list[ListedTool]) -> None:
    names = exposed_names(tools)
    assert len(set(names.values())) == len(tools) == len(names)
    assert all(re.fullmatch(rf"[a-zA-Z0-9_-]{{1,{MAX_NAME_LENGTH}}}", name) for name in names.values())
    assert RESERVED_NAMES.isdisjoint(names.values())


@given(TOOLS, TOOLS)
def test_names_do_not_change_when_others_appear(some: list[ListedTool], more: list[ListedTool]) -> None:
    alone, together = exposed_names(some), exposed_names([*more, *some])
    assert {key: together[key] for key in alone} == alone


def test_a_plain_short_name_has_no_suffix() -> None:
    assert exposed_names([ListedTool("fs", "fs", "read_file")]) == {("fs", "read_file"): "fs_read_file"}


def test_an_empty_prefix_leaves_the_bare_name() -> None:
    assert exposed_names([ListedTool("fs", "", "read_file")]) == {("fs", "read_file"): "read_file"}


def test_names_that_sanitise_alike_stay_apart() -> None:
    names = exposed_names([ListedTool("s", "s", "a.b"), ListedTool("s", "s", "a/b"), ListedTool("s", "s", "a_b")])
    assert names["s", "a_b"] == "s_a_b"
    assert len(set(names.values())) == 3


def test_a_tool_named_like_one_of_ours_gets_a_suffix() -> None:
    assert re.fullmatch(
        r"get_future_[0-9a-f]{6}", exposed_names([ListedTool("s", "", "get_future")])["s", "get_future"]
    )


def test_a_tool_of_the_same_server_cannot_take_a_suffixed_name() -> None:
    victim = ListedTool("s", "", "a.b")
    taken = exposed_names([victim])["s", "a.b"]
    names = exposed_names([victim, ListedTool("s", "", taken)])
    assert names["s", taken] == taken
    assert names["s", "a.b"] != taken


def test_a_chosen_name_is_used_as_it_is() -> None:
    assert exposed_names([ListedTool("s", "s", "a.b", chosen="mine")]) == {("s", "a.b"): "mine"}


@pytest.mark.parametrize(
    "tools",
    [
        [ListedTool("one", "", "read"), ListedTool("two", "", "read")],
        [ListedTool("a", "a", "b_c"), ListedTool("a_b", "a_b", "c")],
        [ListedTool("one", "one", "read", chosen="two_read"), ListedTool("two", "two", "read")],
    ],
)
def test_a_collision_that_the_user_caused_names_both(tools: list[ListedTool]) -> None:
    with pytest.raises(NameCollision) as raised:
        exposed_names(tools)
    assert all(repr(tool.server) in str(raised.value) for tool in tools)
    assert "prefix" in str(raised.value)


def test_a_chosen_name_of_ours_is_refused() -> None:
    with pytest.raises(ReservedName, match="await_future"):
        exposed_names([ListedTool("s", "s", "x", chosen="await_future")])
