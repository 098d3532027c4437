"""Claude Code's user scope, changed by the real `claude` in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.adoption.by_command import LeftToRun
from asyncfc_mcp.adoption.changing import carry_out
from asyncfc_mcp.adoption.claude_code import ClaudeCode, ClaudeRefused
from asyncfc_mcp.adoption.hands import Hands, Refused
from asyncfc_mcp.adoption.switching import switch_off, switch_on, undo
from tests.adoption.people import Person, stranger
from tests.clients.programs import NPM, WITHOUT_NPM, npm_program

SERVERS: dict[str, Any] = {
    "fetch": {"type": "stdio", "command": "uvx", "args": ["mcp-server-fetch"], "env": {"PROXY": "S3CRET"}},
    "notes": {"command": "notes"},
    "api": {"type": "http", "url": "https://api.example.com/mcp", "headers": {"Authorization": "Bearer S3CRET"}},
    "sentry": {"type": "http", "url": "https://mcp.sentry.dev/mcp"},
}
needs_npm = pytest.mark.skipif(not NPM, reason=WITHOUT_NPM)


def user(home: Path) -> Person:
    one = stranger(home)
    (home / ".claude.json").write_text(json.dumps({"numStartups": 7, "mcpServers": SERVERS}))
    return one


def with_claude(one: Person) -> Hands:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(one.where.home),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    claude = ClaudeCode(npm_program("claude"), one.where.claude_state, one.where.home, environ)
    return replace(one.hands, claude=claude)


def kept(one: Person) -> dict[str, Any]:
    return json.loads(one.where.claude_state.read_text())


def same(servers: dict[str, Any]) -> dict[str, Any]:
    """As the command writes them: an entry may gain a type and an empty list."""
    return {name: {"type": "stdio", "args": [], **entry} for name, entry in servers.items()}


@pytest.fixture
def one(tmp_path: Path) -> Person:
    return user(tmp_path)


@pytest.mark.real
@needs_npm
def test_servers_move_and_come_back(one: Person) -> None:
    hands = with_claude(one)
    carry_out(one.plan(), hands)
    assert list(kept(one)["mcpServers"]) == ["sentry", "asyncfc"]
    assert kept(one)["mcpServers"]["asyncfc"]["args"] == ["serve", "--config", str(one.servers_file)]
    assert kept(one)["numStartups"] == 7
    assert one.plan().moves == ()
    assert undo(hands) == []
    assert same(kept(one)["mcpServers"]) == same(SERVERS)
    assert not one.servers_file.exists()


@pytest.mark.real
@needs_npm
def test_off_and_on(one: Person) -> None:
    hands = with_claude(one)
    carry_out(one.plan(), hands)
    assert switch_off(hands) == []
    assert same(kept(one)["mcpServers"]) == same(SERVERS)
    assert switch_on(hands) == []
    assert list(kept(one)["mcpServers"]) == ["sentry", "asyncfc"]
    assert undo(hands) == []
    assert same(kept(one)["mcpServers"]) == same(SERVERS)


@pytest.mark.real
@needs_npm
def test_an_entry_that_somebody_changed_is_left_alone(one: Person) -> None:
    hands = with_claude(one)
    carry_out(one.plan(), hands)
    changed = kept(one)
    changed["mcpServers"]["asyncfc"]["args"] = ["serve", "--config", "other.json"]
    one.where.claude_state.write_text(json.dumps(changed))
    (refusal,) = undo(hands)
    assert isinstance(refusal, Refused)
    assert list(kept(one)["mcpServers"]) == ["sentry", "asyncfc"]
    assert one.servers_file.exists()


@pytest.mark.real
@needs_npm
def test_what_the_command_refuses_is_said_and_nothing_is_half_done(one: Person) -> None:
    hands = with_claude(one)
    plan = one.plan()
    refused = replace(plan.commands[0], name="no good name!")
    with pytest.raises(ClaudeRefused, match=r"`claude mcp add-json no good name!` failed: .+"):
        carry_out(replace(plan, commands=(refused,)), hands)
    assert kept(one)["mcpServers"] == SERVERS
    assert not one.servers_file.exists()


@pytest.mark.real
@needs_npm
@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in the way")
def test_a_command_that_fails_half_way_is_taken_back(one: Person) -> None:
    hands = with_claude(one)
    lame = one.where.home / "lame-claude"
    lame.write_text(
        f'#!/bin/sh\ncase "$*" in *"remove"*notes*) echo no >&2; exit 1;; esac\nexec {hands.claude.program} "$@"\n'
    )
    lame.chmod(0o755)
    with pytest.raises(ClaudeRefused, match="`claude mcp remove notes` failed: no"):
        carry_out(one.plan(), replace(hands, claude=replace(hands.claude, program=str(lame))))
    assert same(kept(one)["mcpServers"]) == same(SERVERS)
    assert not one.servers_file.exists()
    assert hands.journal.changes() == ()


@pytest.mark.real
@needs_npm
def test_the_commands_that_are_shown_to_those_without_it_do_the_same(one: Person) -> None:
    carry_out(one.plan(), one.hands)
    assert kept(one)["mcpServers"] == SERVERS
    run_as_shown(one)
    assert list(kept(one)["mcpServers"]) == ["sentry", "asyncfc"]
    one.said.clear()
    (refusal,) = undo(one.hands)
    assert isinstance(refusal, LeftToRun)
    run_as_shown(one)
    assert same(kept(one)["mcpServers"]) == same(SERVERS)
    assert undo(one.hands) == []
    assert list((one.where.home / "state").rglob("*.json")) == []


@pytest.mark.real
@needs_npm
def test_an_undo_where_the_command_has_gone_is_finished_when_it_is_back(one: Person) -> None:
    hands = with_claude(one)
    carry_out(one.plan(), hands)
    (refusal,) = undo(one.hands)
    assert isinstance(refusal, LeftToRun)
    assert list(kept(one)["mcpServers"]) == ["sentry", "asyncfc"]
    assert one.servers_file.exists()
    assert undo(hands) == []
    assert same(kept(one)["mcpServers"]) == same(SERVERS)
    assert not one.servers_file.exists()
    assert list((one.where.home / "state").rglob("*.json")) == []


@pytest.mark.real
@needs_npm
def test_an_off_where_the_command_has_gone_is_finished_when_it_is_back(one: Person) -> None:
    hands = with_claude(one)
    carry_out(one.plan(), hands)
    (refusal,) = switch_off(one.hands)
    assert isinstance(refusal, LeftToRun)
    assert switch_off(hands) == []
    assert same(kept(one)["mcpServers"]) == same(SERVERS)
    (refusal,) = switch_on(one.hands)
    assert isinstance(refusal, LeftToRun)
    assert switch_on(hands) == []
    assert list(kept(one)["mcpServers"]) == ["sentry", "asyncfc"]
    assert undo(hands) == []
    assert same(kept(one)["mcpServers"]) == same(SERVERS)


def run_as_shown(one: Person) -> None:
    """Do what the user is told to."""
    environ = dict(with_claude(one).claude.environ)
    folder = str(Path(npm_program("claude")).parent)
    environ["PATH"] = f"{folder}{os.pathsep}{environ['PATH']}"
    commands = [line.strip() for line in one.said if line.startswith("  claude ")]
    assert commands
    for command in commands:
        subprocess.run(
            ["sh", "-c", command], env=environ, cwd=one.where.home, check=True, capture_output=True, timeout=60
        )


def test_without_the_command_the_user_is_told_what_to_run_and_no_secret(one: Person) -> None:
    plan = one.plan()
    carry_out(plan, one.hands)
    assert kept(one)["mcpServers"] == SERVERS
    servers_are(one, {"sentry": SERVERS["sentry"], "asyncfc": plan.commands[0].entry})  # as by the commands
    (refusal,) = undo(one.hands)
    assert isinstance(refusal, LeftToRun)
    said = "\n".join(one.said)
    assert "there is no `claude` on the PATH" in said
    assert "claude mcp remove --scope user -- fetch" in said
    assert "claude mcp add-json --scope user -- fetch - < " in said
    assert "S3CRET" not in said


def test_what_is_left_to_run_stays_noted_until_the_user_has_run_it(one: Person) -> None:
    plan = one.plan()
    carry_out(plan, one.hands)
    servers_are(one, {"sentry": SERVERS["sentry"], "asyncfc": plan.commands[0].entry})
    for _ in range(2):
        (refusal,) = undo(one.hands)
        assert isinstance(refusal, LeftToRun)
    assert one.servers_file.exists()
    servers_are(one, SERVERS)
    assert undo(one.hands) == []
    assert not one.servers_file.exists()
    assert one.hands.journal.changes() == ()


def test_only_what_is_left_of_the_way_back_is_shown(one: Person) -> None:
    plan = one.plan()
    carry_out(plan, one.hands)
    servers_are(one, {"fetch": SERVERS["fetch"], "asyncfc": plan.commands[0].entry})
    one.said.clear()
    undo(one.hands)
    said = "\n".join(one.said)
    assert "-- fetch" not in said
    assert "claude mcp add-json --scope user -- notes - < " in said
    assert "claude mcp remove --scope user -- asyncfc" in said


def test_commands_that_were_never_run_need_no_way_back(one: Person) -> None:
    carry_out(one.plan(), one.hands)
    one.said.clear()
    assert undo(one.hands) == []
    assert not any("claude mcp" in line for line in one.said)
    assert kept(one)["mcpServers"] == SERVERS


def test_entries_of_two_inits_are_kept_apart_for_the_way_back(one: Person) -> None:
    first = one.plan(servers=("fetch",))
    carry_out(first, one.hands)
    without_fetch = {name: entry for name, entry in SERVERS.items() if name != "fetch"}
    servers_are(one, {**without_fetch, "asyncfc": first.commands[0].entry})
    carry_out(one.plan(servers=("notes",)), one.hands)
    servers_are(one, {"asyncfc": first.commands[0].entry})
    one.said.clear()
    undo(one.hands)
    shown = {line.split()[6]: Path(line.split()[-1]) for line in one.said if "add-json" in line}
    assert {name: json.loads(file.read_bytes()) for name, file in shown.items()} == {
        name: SERVERS[name] for name in ("fetch", "notes")
    }


def servers_are(one: Person, servers: dict[str, Any]) -> None:
    """What the user has made of them, by the commands that were shown."""
    one.where.claude_state.write_text(json.dumps({"numStartups": 7, "mcpServers": servers}))
