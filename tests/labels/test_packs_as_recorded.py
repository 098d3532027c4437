"""The packs against the tool lists of the servers' own packages, recorded from them: names, arguments, annotations.

A recorded list stands in for a server that needs a key, a service or a toolchain to run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.core.label import Template
from asyncfc_mcp.packs.reader import Pack, find_pack, read_packs

RECORDED = Path(__file__).parent / "recorded"
PACKS = {pack.name: pack for pack in read_packs()}

LEFT_TO_THEIR_ANNOTATIONS = {
    "desktop-commander": {"get_usage_stats", "get_recent_tool_calls"},
    "firecrawl": {
        "firecrawl_scrape",
        "firecrawl_search",
        "firecrawl_crawl",
        "firecrawl_agent",
        "firecrawl_interact",
        "firecrawl_interact_stop",
    },
}
"""Tools that no label of a pack would fit: they may click through pages, or tell of calls that only read."""

NOT_BELIEVED = {
    "chrome-devtools": {
        "get_console_message", "get_css_styles", "list_console_messages", "list_network_requests", "list_pages",
        "performance_analyze_insight", "select_page", "wait_for",
    },
    "everything": {
        "get-roots-list", "gzip-file-as-resource", "simulate-research-query", "toggle-simulated-logging",
        "toggle-subscriber-updates", "trigger-elicitation-request", "trigger-elicitation-request-async",
        "trigger-sampling-request", "trigger-sampling-request-async", "trigger-url-elicitation",
    },
    "desktop-commander": {
        "get_more_search_results", "start_search", "read_process_output",
    },
    "kubernetes": {"kubectl_context"},
    "mongodb": {"aggregate", "aggregate-db", "connect", "disconnect", "export"},
    "playwright": set(PACKS["playwright"].tools),
    "sequential-thinking": {"sequentialthinking"},
}  # fmt: skip
"""Tools that their servers call read-only and that change something all the same: what they say next, or much more."""


def recorded(name: str) -> list[dict[str, Any]]:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def properties(tool: dict[str, Any]) -> dict[str, Any]:
    return tool["inputSchema"].get("properties", {})


def hint(tool: dict[str, Any]) -> bool | None:
    return tool.get("annotations", {}).get("readOnlyHint")


def test_every_pack_has_a_recorded_list() -> None:
    assert {file.stem for file in RECORDED.glob("*.json")} == set(PACKS)


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_a_pack_says_which_version_it_was_checked_against(pack: Pack) -> None:
    assert all(len(one.split()) == 2 and one.split()[1][0].isdigit() for one in pack.verified.split(", "))


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_a_server_is_known_by_each_of_its_packages_and_hosts(pack: Pack) -> None:
    tools = [tool["name"] for tool in recorded(pack.name)]
    for package in pack.packages:
        assert find_pack(["npx", "-y", f"{package}@latest"], tools) == pack
    for host in pack.hosts:
        assert find_pack([f"https://{host}/mcp"], tools) == pack
        assert find_pack(["npx", "mcp-remote", f"https://{host}/mcp"], tools) == pack
        assert find_pack([f"https://{host}.example.org/{host}"], tools) is None


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_a_pack_labels_each_tool_of_its_server(pack: Pack) -> None:
    missing = {tool["name"] for tool in recorded(pack.name)} - pack.tools.keys()
    assert missing == LEFT_TO_THEIR_ANNOTATIONS.get(pack.name, set())


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_a_template_names_arguments_that_the_tool_has_and_that_are_texts(pack: Pack) -> None:
    for tool in recorded(pack.name):
        for text in (text for labels in pack.tools.get(tool["name"], ()) for text in labels):
            for field in Template.parse(text).fields:
                argument = properties(tool)[field.name]
                assert "string" in json.dumps(argument), f"{tool['name']}: {field.name}"


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_what_its_server_does_not_call_read_only_is_a_write(pack: Pack) -> None:
    for tool in recorded(pack.name):
        _, writes = pack.tools.get(tool["name"], ((), ("",)))
        if hint(tool) is False:
            assert writes, tool["name"]


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_what_its_server_calls_read_only_writes_nothing_unless_it_is_known_better(pack: Pack) -> None:
    known_better = NOT_BELIEVED.get(pack.name, set())
    for tool in recorded(pack.name):
        _, writes = pack.tools.get(tool["name"], ((), ()))
        if hint(tool) is True and tool["name"] not in known_better:
            assert not writes, tool["name"]


@pytest.mark.parametrize("option", ["--read-only", "--toolsets=repos"])
def test_the_github_server_is_known_whatever_part_of_its_tools_it_lists(option: str) -> None:
    command = ["docker", "run", "-i", "--rm", "ghcr.io/github/github-mcp-server", "stdio", option]
    assert find_pack(command, ["get_file_contents", "search_code"]) == PACKS["github"]
    assert find_pack(command, ["something_else"]) is None


def test_a_url_that_cannot_be_read_gets_no_pack() -> None:
    assert find_pack(["https://[api.githubcopilot.com"], ["get_me"]) is None


@pytest.mark.parametrize("name", sorted(pack.name for pack in PACKS.values() if pack.names_files))
def test_a_pack_that_names_files_does_not_hold_in_a_container(name: str) -> None:
    tools = [tool["name"] for tool in recorded(name)]
    package = min(PACKS[name].packages)
    assert find_pack(["npx", package], tools) is not None
    assert find_pack(["docker", "run", package], tools) is None
