"""The packs on real servers beyond the reference ones: what they list is what was recorded, and the order is kept.

ASYNCFC_TEST_NPM names a folder whose `node_modules` may have them, ASYNCFC_TEST_PYPI one with an environment for each
package, named like it, since several need an older SDK; what is not there is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import anyio
import pytest

from asyncfc_mcp.core.label import Template
from asyncfc_mcp.packs.reader import find_pack
from tests.harness import GatewayClient, running
from tests.labels.test_packs_against_real_servers import list_tools
from tests.labels.test_packs_as_recorded import LEFT_TO_THEIR_ANNOTATIONS, recorded

NPM = os.environ.get("ASYNCFC_TEST_NPM", "")
PYPI = os.environ.get("ASYNCFC_TEST_PYPI", "")
CHROMIUM = shutil.which("chromium") or ""

pytestmark = [pytest.mark.anyio, pytest.mark.real]

KEYS = {
    "BRAVE_API_KEY": "none",
    "CONFLUENCE_API_TOKEN": "none",
    "CONFLUENCE_URL": "https://example.org/wiki",
    "CONFLUENCE_USERNAME": "none",
    "EXA_API_KEY": "none",
    "FIGMA_API_KEY": "none",
    "FIRECRAWL_API_KEY": "fc-none",
    "GITHUB_PERSONAL_ACCESS_TOKEN": "none",
    "GOOGLE_MAPS_API_KEY": "none",
    "JIRA_API_TOKEN": "none",
    "JIRA_URL": "https://example.org",
    "JIRA_USERNAME": "none",
    "MDB_MCP_CONNECTION_STRING": "mongodb://127.0.0.1:1/none",
    "NOTION_TOKEN": "ntn_none",
    "OBSIDIAN_API_KEY": "none",
    "PERPLEXITY_API_KEY": "none",
    "SLACK_BOT_TOKEN": "none",
    "SLACK_TEAM_ID": "none",
    "TAVILY_API_KEY": "none",
    "TOOLSETS": "all",
}
"""Servers that ask for a key or an address at their start list their tools with any."""


@dataclass(frozen=True)
class Server:
    package: str
    arguments: tuple[str, ...] = ()


FROM_NPM: Mapping[str, Server] = {
    "brave-search": Server("@brave/brave-search-mcp-server"),
    "chrome-devtools": Server("chrome-devtools-mcp"),
    "context7": Server("@upstash/context7-mcp"),
    "desktop-commander": Server("@wonderwhy-er/desktop-commander"),
    "exa": Server("exa-mcp-server"),
    "figma": Server("figma-developer-mcp", ("--stdio",)),
    "firecrawl": Server("firecrawl-mcp"),
    "git-cyanheads": Server("@cyanheads/git-mcp-server"),
    "github-npm": Server("@modelcontextprotocol/server-github"),
    "google-maps": Server("@modelcontextprotocol/server-google-maps"),
    "mongodb": Server("mongodb-mcp-server"),
    "notion": Server("@notionhq/notion-mcp-server"),
    "perplexity": Server("@perplexity-ai/mcp-server"),
    "playwright": Server(
        "@playwright/mcp", ("--caps=vision,pdf,tracing,verify,testing,network,storage,devtools,config",)
    ),
    "postgres": Server("@modelcontextprotocol/server-postgres", ("postgresql://127.0.0.1:1/none",)),
    "puppeteer": Server("@modelcontextprotocol/server-puppeteer"),
    "sentry": Server("@sentry/mcp-server", ("--access-token=none",)),
    "sequential-thinking": Server("@modelcontextprotocol/server-sequential-thinking"),
    "slack": Server("@modelcontextprotocol/server-slack"),
    "tavily": Server("tavily-mcp"),
}


FROM_PYPI = {
    "arxiv": "arxiv-mcp-server",
    "atlassian": "mcp-atlassian",
    "duckduckgo": "duckduckgo-mcp-server",
    "markitdown": "markitdown-mcp",
    "obsidian": "mcp-obsidian",
    "redis": "redis-mcp-server",
}


def program_of(package: str) -> str:
    program = Path(PYPI, package, "bin", package)
    if not PYPI or not program.is_file():
        pytest.skip(f"ASYNCFC_TEST_PYPI has no {package}")
    return str(program)


def command_of(package: str, *arguments: str) -> list[str]:
    folder = Path(NPM, "node_modules", package)
    if not NPM or not folder.is_dir():
        pytest.skip(f"ASYNCFC_TEST_NPM has no {package}")
    programs: Any = json.loads((folder / "package.json").read_text(encoding="utf-8"))["bin"]
    script = programs if isinstance(programs, str) else next(iter(programs.values()))
    return ["node", str(folder / script), *arguments]


def entry(package: str, *arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    command, *rest = command_of(package, *arguments)
    return {"command": command, "args": rest, "env": dict(env or {})}


@pytest.fixture
def errors() -> Iterator[TextIO]:
    with Path(os.devnull).open("w") as file:
        yield file


@pytest.mark.parametrize("name", FROM_NPM)
async def test_a_real_server_lists_what_was_recorded_and_its_pack_fits(name: str, errors: TextIO) -> None:
    await check(name, command_of(FROM_NPM[name].package, *FROM_NPM[name].arguments), errors)


@pytest.mark.parametrize("name", FROM_PYPI)
async def test_a_real_python_server_lists_what_was_recorded_and_its_pack_fits(name: str, errors: TextIO) -> None:
    await check(name, [program_of(FROM_PYPI[name])], errors)


async def check(name: str, command: list[str], errors: TextIO) -> None:
    env = [f"{key}={value}" for key, value in KEYS.items()]
    tools = {tool.name: tool for tool in await list_tools(["env", *env, *command], errors)}
    pack = find_pack(command, tools)
    assert pack is not None
    assert pack.name == name
    assert tools.keys() == {tool["name"] for tool in recorded(name)}
    for tool in tools.values():
        labels = pack.tools.get(tool.name)
        assert labels is not None or tool.name in LEFT_TO_THEIR_ANNOTATIONS.get(name, set())
        templates = [Template.parse(text) for texts in labels or () for text in texts]
        fields = {one.name for template in templates for one in template.fields}
        assert fields <= tool.input_schema.get("properties", {}).keys(), tool.name


async def side_by_side(gateway: GatewayClient, *calls: tuple[str, Mapping[str, Any]]) -> list[str]:
    """Send calls at once, in this order, and give their results."""
    texts = [""] * len(calls)

    async def call(number: int, tool: str, arguments: Mapping[str, Any]) -> None:
        texts[number] = await gateway.text(tool, **arguments, _wait_s=60)

    async with anyio.create_task_group() as tasks:
        for number, (tool, arguments) in enumerate(calls):
            tasks.start_soon(call, number, tool, arguments)
    return texts


async def test_thoughts_sent_side_by_side_are_thought_in_order() -> None:
    servers = {"think": entry("@modelcontextprotocol/server-sequential-thinking")}
    thoughts = [
        {"thought": f"step {number}", "thoughtNumber": number, "totalThoughts": 5, "nextThoughtNeeded": True}
        for number in range(1, 6)
    ]
    async with running(servers) as gateway:
        texts = await side_by_side(gateway, *[("think_sequentialthinking", thought) for thought in thoughts])
    assert [json.loads(text)["thoughtHistoryLength"] for text in texts] == [1, 2, 3, 4, 5]


async def test_a_select_sent_with_its_insert_sees_the_row(tmp_path: Path, errors: TextIO) -> None:
    program = program_of("mcp-server-sqlite")
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE goods (name TEXT)")
    database.close()
    command = [program, "--db-path", str(file)]
    assert {tool.name for tool in await list_tools(command, errors)} == {tool["name"] for tool in recorded("sqlite")}
    async with running({"db": {"command": command[0], "args": command[1:]}}) as gateway:
        for round_ in range(1, 6):
            texts = await side_by_side(
                gateway,
                ("db_write_query", {"query": f"INSERT INTO goods VALUES ('tea {round_}')"}),
                ("db_read_query", {"query": "SELECT name FROM goods"}),
            )
            assert texts[1].count("tea") == round_


PAGE = "data:text/html,<title>Counter</title><button onclick=\"this.textContent='pressed'\">press</button>"


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
async def test_a_look_at_a_page_sent_with_the_click_before_it_sees_what_the_click_did(tmp_path: Path) -> None:
    options = ["--headless", "--no-sandbox", "--isolated", "--executable-path", CHROMIUM, "--output-dir", str(tmp_path)]
    async with running({"web": entry("@playwright/mcp", *options)}, lives_s=120) as gateway:
        texts = await side_by_side(
            gateway,
            ("web_browser_navigate", {"url": PAGE}),
            ("web_browser_evaluate", {"function": "() => document.querySelector('button').click()"}),
            ("web_browser_snapshot", {}),
        )
    assert "pressed" in texts[2]


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
async def test_a_script_sent_with_the_navigation_before_it_runs_on_the_new_page() -> None:
    options = json.dumps({"headless": True, "args": ["--no-sandbox"], "executablePath": CHROMIUM})
    env = {"PUPPETEER_LAUNCH_OPTIONS": options, "ALLOW_DANGEROUS": "true"}
    async with running({"web": entry("@modelcontextprotocol/server-puppeteer", env=env)}, lives_s=120) as gateway:
        texts = await side_by_side(
            gateway,
            ("web_puppeteer_navigate", {"url": PAGE}),
            ("web_puppeteer_click", {"selector": "button"}),
            ("web_puppeteer_evaluate", {"script": "document.title + document.querySelector('button').textContent"}),
        )
    assert "Counterpressed" in texts[2]
