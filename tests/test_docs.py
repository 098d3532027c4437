"""What the documentation says: it is short where it must be, its snippets work, its links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from asyncfc_mcp.cli.main import main
from asyncfc_mcp.config.dialects import runs_gateway
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.core.future import mermaid_diagram
from asyncfc_mcp.server.instructions import RULES
from asyncfc_mcp.server.tools import own_tools

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def text_of(name: str) -> str:
    return ROOT.joinpath(name).read_text(encoding="utf-8")


def json_snippets(pages: list[Path]) -> list[Any]:
    found = [(page, match) for page in pages for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    snippets = [(page, match[2]) for page, match in found if match[1] == "json"]
    return [pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}") for number, (page, text) in enumerate(snippets)]


def servers_of(snippet: str) -> dict[str, dict[str, Any]]:
    document: Any = json.loads(snippet)
    return document.get("mcpServers") or document.get("servers") or {}


def is_the_gateway(entry: dict[str, Any]) -> bool:
    return "command" in entry and runs_gateway(entry["command"], entry.get("args", []))


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", BLOCK.sub("", text))


def commands_of(pages: list[Path]) -> list[Any]:
    """Each line of a shell snippet that runs us, as the words after our name."""
    blocks = [(page, block) for page in pages for block in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    joined = [(page, block[2].replace("\\\n", " ")) for page, block in blocks if block[1] == "sh"]
    lines = [(page, line) for page, text in joined for line in text.splitlines()]
    return [
        pytest.param(words[at + 1 :], id=f"{page.relative_to(ROOT)}: {' '.join(words[at + 1 :])}")
        for page, line in lines
        for words in [shlex.split(line, comments=True)]
        for at in [next((i for i, word in enumerate(words) if Path(word).name == "asyncfc-mcp"), None)]
        if at is not None and at + 1 < len(words)
    ]


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_has_fewer_than_150_lines() -> None:
    assert len(text_of("README.md").splitlines()) < 150


@pytest.mark.parametrize("snippet", json_snippets(PAGES))
def test_a_json_snippet_with_servers_is_a_configuration_that_loads(snippet: str, tmp_path: Path) -> None:
    servers = servers_of(snippet)
    behind = [key for key, entry in servers.items() if not is_the_gateway(entry)]
    if not behind:  # a client's file with nothing in it but the gateway, or no file of servers at all
        return
    file = tmp_path / "config.json"
    file.write_text(snippet, encoding="utf-8")
    loaded = load_file(file, os.environ)
    assert [entry.key for entry in loaded.config.servers] == behind


@pytest.mark.parametrize("snippet", json_snippets([ROOT / "README.md"]))
def test_a_client_snippet_of_the_readme_starts_the_gateway_with_absolute_paths(snippet: str, tmp_path: Path) -> None:
    for entry in filter(is_the_gateway, servers_of(snippet).values()):
        serve, option, file = entry["args"]
        assert Path(entry["command"]).is_absolute()
        assert Path(file).is_absolute()
        missing = CliRunner().invoke(main, [serve, option, str(tmp_path / "missing.json")])
        assert missing.exit_code == 2
        assert "missing.json" in missing.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_to_files_and_headings_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in LINK.findall(without_code(text)):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("words", commands_of(PAGES))
def test_a_command_of_a_shell_snippet_exists_with_its_options(words: list[str]) -> None:
    command: click.Command = main
    for word in words:
        if word == "--":
            return
        if isinstance(command, click.Group) and word in command.commands:
            command = command.commands[word]
        elif word.startswith("-"):
            known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            assert word.partition("=")[0] in {*known, "-h", "--help"}
    assert command is not main


def test_every_decision_is_linked_from_the_architecture() -> None:
    page = text_of("docs/architecture.md")
    decisions = sorted(file.name for file in ROOT.joinpath("docs", "decisions").glob("*.md"))
    assert decisions
    assert [name for name in decisions if f"(decisions/{name})" not in page] == []


def test_the_state_diagram_is_printed_from_the_table_of_moves() -> None:
    assert f"```mermaid\n{mermaid_diagram()}\n```" in text_of("docs/architecture.md")


def test_the_wording_page_quotes_the_rules_and_the_tools_as_they_are() -> None:
    page = text_of("docs/wording.md")
    assert f"```text\n{RULES}\n```" in page
    for tool in own_tools():
        assert f"| `{tool['name']}` | {tool['description']} |" in page


@pytest.mark.parametrize("command", ["./dev demo", "./dev test"])
def test_a_command_of_the_readme_is_one_that_dev_knows(command: str) -> None:
    assert f"\n{command} " in text_of("README.md")
    assert os.access(ROOT / "dev", os.X_OK)
    assert re.search(rf"^    {command.split()[1]}\) ", text_of("dev"), re.MULTILINE)


def test_the_ci_runs_the_test_command_of_the_readme() -> None:
    assert "\n./dev test\n" in text_of(".ci/run")
