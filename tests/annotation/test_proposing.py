"""What is proposed for tools that nobody has labelled: measured on servers with packs, and on tools made to mislead."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.annotation import vocabulary
from asyncfc_mcp.annotation.proposing import Proposal, propose
from asyncfc_mcp.core.label import Template
from asyncfc_mcp.packs.reader import Pack, read_packs
from tests.annotation.quality import Verdict, all_judged, judged

READ_ONLY = {"annotations": {"readOnlyHint": True}}


def tool(name: str, *arguments: str, **more: Any) -> dict[str, Any]:
    properties = {argument: {"type": "string"} for argument in arguments}
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}} | more


def proposed(*tools: dict[str, Any], name: str = "notes", known: tuple[str, ...] = ()) -> Proposal:
    """What is proposed for the first of these."""
    return propose(name, tools, known)[0]


@pytest.mark.parametrize("pack", read_packs(), ids=lambda pack: pack.name)
def test_no_proposal_is_narrower_than_the_pack_of_the_same_server(pack: Pack) -> None:
    assert [one.tool for one in judged(pack) if one.verdict is Verdict.NARROWER] == []


def test_the_page_has_the_figures_as_they_are() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "annotate.md").read_text(encoding="utf-8")
    found = all_judged()
    counts = Counter(one.verdict for one in found)
    assert f"| of {len(found)} tools | |\n" in page
    assert f"| narrower than the pack | {counts[Verdict.NARROWER]} |\n" in page
    for words, verdict in (("the same", Verdict.SAME), ("never less", Verdict.WIDER), ("the root", Verdict.ROOT)):
        assert f"{words} | {counts[verdict]} ({counts[verdict] / len(found):.0%} |".replace("%", " %)") in page


def test_most_tools_of_well_known_servers_get_a_proposal() -> None:
    found = all_judged()
    assert sum(one.proposal.is_sure for one in found) > len(found) / 2


def test_a_reading_tool_reads_what_its_server_keeps() -> None:
    found = proposed(tool("list_notes"))
    assert (found.is_sure, found.reads, found.writes) == (True, ("notes",), ())


def test_a_changing_tool_writes_what_its_server_keeps() -> None:
    found = proposed(tool("createNote", "title"))
    assert (found.is_sure, found.reads, found.writes) == (True, (), ("notes",))


@pytest.mark.parametrize("name", ["search_and_replace", "get_or_create_note", "find_note_delete"])
def test_a_word_that_changes_something_counts_wherever_it_stands(name: str) -> None:
    assert proposed(tool(name)).writes == ("notes",)


def test_every_proposal_says_why() -> None:
    found = proposed(tool("get_note", "note_id", **READ_ONLY))
    assert found.reasons[:2] == ("its name says `get`", "its server calls it read-only")
    assert found.narrower == ("note_id",)


def test_what_a_looking_tool_is_about_is_not_taken_for_what_its_description_says_it_does() -> None:
    assert proposed(tool("list_books", description="Lists all books")).reads == ("notes",)
    assert not proposed(tool("list_books", description="Lists all books and marks them")).is_sure


@pytest.mark.parametrize(
    "doubtful",
    [
        tool("frobnicate"),
        tool("run_report"),
        tool("deploy_site"),
        tool("get_next_message"),
        tool("read_messages", "subscription_id"),
        tool("list_sessions_of_terminal"),
        tool("status_set"),
        tool("list_add", "item"),
        tool("check_out_book"),
        tool("create_and_run_job"),
        tool("show_notification"),
        tool("get_ticket", description="Reserves the next ticket"),
        {"name": "get_mail", "inputSchema": {"properties": {"mark_as_read": {"type": "boolean"}}}},
        tool("set_config_value", "key"),
        tool("getAndIncrementCounter"),
        tool("check_spelling_fix"),
        tool("read_and_forget"),
        tool("list_drain"),
        tool("get_otp"),
        tool("get_new_id"),
        tool("git_fetch"),
        tool("fetch_all_branches"),
        tool("set_proxy", "host"),
        tool("lire_et_supprimer"),
        tool("search_notes", description="Searches notes. As a side effect, archives the oldest."),
        tool("list_things", description="Lists things and wipes the disk"),
        tool("get_rows", "sql"),
        tool("find_rows", "query", description="Runs a query against the database"),
        tool("get_page", "output_path"),
        tool("fetch_notes", description="Fetches notes and marks them as read"),
        tool("list_notes", annotations={"readOnlyHint": False}),
        tool("add_note", **READ_ONLY),
        {"name": "notes_read", "inputSchema": {"properties": {"action": {"enum": ["list", "delete_all"]}}}},
        {"name": "get_all", "inputSchema": {"properties": {"filter": {"properties": {"script": {"type": "string"}}}}}},
    ],
    ids=lambda one: one["name"],
)
def test_what_cannot_be_told_from_outside_stays_at_the_root(doubtful: dict[str, Any]) -> None:
    found = proposed(doubtful)
    assert (found.is_sure, found.reads, found.writes) == (False, (), ("",))
    assert found.reasons


@pytest.mark.parametrize(
    ("claimed", "contradicts"),
    [
        ({"name": "aggregate", "inputSchema": {"properties": {"pipeline": {"type": "array"}}}}, True),
        ({"name": "context", "inputSchema": {"properties": {"operation": {"enum": ["get", "set"]}}}}, True),
        (tool("delete_note"), True),
        (tool("frobnicate"), False),
        (tool("pull_request_read"), False),
        (tool("get_create_fields"), False),
    ],
)
def test_a_server_that_calls_a_tool_read_only_is_contradicted_only_with_reason(
    claimed: dict[str, Any], contradicts: bool
) -> None:
    found = proposed(claimed | READ_ONLY)
    assert not found.is_sure
    assert found.contradicts_hint is contradicts


@pytest.mark.parametrize("name", ["show_board", "query_docs", "git_log", "list_starred_or_starring"])
def test_words_that_say_little_alone_are_believed_of_a_read_only_tool(name: str) -> None:
    assert not proposed(tool(name)).is_sure
    assert proposed(tool(name, **READ_ONLY)).is_sure is ("_or_" not in name)


def test_where_one_tool_is_about_files_all_of_its_server_may_be() -> None:
    assert proposed(tool("get_recent_changes"), tool("append_content", "filepath")).reads == ("notes", "fs")


def test_where_one_tool_takes_a_url_all_of_its_server_may_read_the_web() -> None:
    assert proposed(tool("search"), tool("get_page", "url")).reads == ("notes", "web")


def test_a_tool_that_takes_a_url_reads_everything() -> None:
    assert proposed(tool("get_page", "url")).reads == ("",)
    found = proposed(tool("save_page", "url"))
    assert (found.reads, found.writes) == (("",), ("notes", "web"))


@pytest.mark.parametrize("service", ["docker", "k8s"])
def test_a_change_where_programs_run_stays_at_the_root(service: str) -> None:
    assert proposed(tool("namespaces_delete", "name"), name=service).writes == ("",)
    assert proposed(tool("namespaces_list"), name=service).reads == ("",)


def test_nothing_of_a_server_that_steers_a_browser_is_taken_for_sure() -> None:
    found = propose("pages", [tool("page_click"), tool("page_navigate", "url"), tool("list_tabs")])
    assert not any(one.is_sure for one in found)


def test_a_server_before_a_known_service_shares_the_name_that_packs_have_for_it() -> None:
    assert proposed(tool("list_issues"), name="my-github-tools").reads == ("github",)
    assert proposed(tool("jira_get_issue"), tool("jira_get_board"), name="work").reads == ("atlassian",)


def test_every_word_of_the_vocabulary_can_be_met_in_a_name() -> None:
    words: list[str] = [*vocabulary.SERVICES]
    for one in vars(vocabulary).values():
        if isinstance(one, frozenset):
            words += cast("frozenset[str]", one)
    assert "delete" in words
    assert [word for word in words if vocabulary.words_of(word) != (word,)] == []


def test_a_server_that_has_labels_already_keeps_their_namespace() -> None:
    assert proposed(tool("list_notes"), known=("shared/{book}", "fs/{path:path}")).reads == ("shared",)


NAMES = st.sampled_from(["get", "list", "set", "delete", "url", "path", "run", "sql", "id", "{x}", "", "é", "A"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["properties", "items", "anyOf", "enum", "type", "description"]) | NAMES, inner
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(st.builds(lambda *name: "_".join(name), NAMES, NAMES), min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(["inputSchema", "annotations", "description"]), JSON),
    NAMES,
)
def test_whatever_a_server_lists_there_is_a_proposal_that_can_be_read(
    names: list[str], more: dict[str, Any], server: str
) -> None:
    for found in propose(server, [{"name": name} | more for name in names]):
        templates = [Template.parse(text) for text in (*found.reads, *found.writes)]
        assert not any(one.fields for one in templates), "a namespace, and nothing narrower"
        assert found.is_sure or found.writes == ("",)
        assert found.reasons
