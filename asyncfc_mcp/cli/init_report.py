"""What `asyncfc-mcp init` shows: what it found, what it would do, and what tools are called from then on.

Entries hold secrets, so none is ever shown but the gateway's own.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asyncfc_mcp.adoption.claude_code import commands_to_move
from asyncfc_mcp.adoption.discovery import FoundFile
from asyncfc_mcp.adoption.hands import Hands
from asyncfc_mcp.adoption.launch import Launch, entry_of_gateway, snippet
from asyncfc_mcp.adoption.planning import GATEWAY_NAMES, Move, Plan, why_not
from asyncfc_mcp.adoption.rules import shown_name
from asyncfc_mcp.adoption.translation import Moved
from asyncfc_mcp.cli.interrupts import run_interruptible
from asyncfc_mcp.clients.places import CLAUDE_CODE, PROJECT_FILE, Surroundings
from asyncfc_mcp.errors import GatewayError

if TYPE_CHECKING:
    from asyncfc_mcp.inspection.servers import ListedServer


def show_found(found: Sequence[FoundFile]) -> None:
    """Each file with its servers, and what can become of them."""
    for one in found:
        say(f"{one.file.client.title} ({one.file.scope}): {one.file.path}")
        if one.fault is not None:
            say(f"  left alone: {one.fault}")
            continue
        for server in one.servers:
            outcome = server.outcome
            reason = why_not(server)
            if server.is_gateway:
                say(f"  {server.name}: this gateway" + (f", before {', '.join(one.behind)}" if one.behind else ""))
            elif reason is not None:
                say(f"  {server.name}: stays, {reason}")
            else:
                say(f"  {server.name}: can move")
            for note in outcome.notes if isinstance(outcome, Moved) else ():
                say(f"    {note}")
        for remark in one.remarks:
            say(f"  {remark}")
        if not one.servers:
            say("  no servers")


def show_by_hand(found: Sequence[FoundFile], launch: Launch, where: Surroundings) -> None:
    """What to paste into files that are not touched."""
    for one in found:
        if one.wants_hands and not any(server.is_gateway for server in one.servers):
            name = GATEWAY_NAMES[one.file.scope]
            entry = entry_of_gateway(launch, one.file, one.config, where.environ)
            if one.fault is not None:
                say(f"\nMend {one.file.path} and run `asyncfc-mcp init` again, or do it by hand.")
            say(f"\nBy hand in {one.file.path}: put its servers into {one.config}, and in their place")
            say(textwrap.indent(snippet(entry, one.file, name), "  "))


def show_plan(plan: Plan, hands: Hands, launch: Launch) -> None:
    """What moves where, and which files change."""
    if plan.moves:
        say("\nBehind the gateway:")
    for move in plan.moves:
        renamed = f" as {move.key}" if move.key != move.name else ""
        say(f"  {move.name} of {move.file.client.title}{renamed}, in {move.config}")
    if len({move.file.client for move in plan.moves}) > 1:
        say("  Each of these clients then sees all servers of the same gateway file.")
    if plan.files or plan.commands:
        say("\nFiles to change:")
    for file in plan.files:
        say(f"  {file.path}" + ("" if file.document is not None else " (new)"))
    for command in plan.commands:
        say("  by Claude Code's own command" + ("" if hands.claude.program else " (not found: run it yourself):"))
        for line in commands_to_move(command.name, None if command.is_there else command.entry, command.servers):
            say(f"    {line}")
    _show_rules(plan)
    if launch.warning is not None and (plan.files or plan.commands):
        say(f"\nWarning: {launch.warning}")


def _show_rules(plan: Plan) -> None:
    for rule in plan.rules:
        lead = "Rules to add" if plan.writes_rules else "Rules that name moved tools (--rewrite-rules adds them)"
        say(f"\n{lead} in {rule.file.path}:")
        for edit in rule.edits:
            for item in edit.items:
                say(f"  {'.'.join(edit.at)}: {item}")
            if not plan.writes_rules and edit.at[-1] == "deny":
                say("  Without them what these rules deny is no longer denied.")


def show_names(plan: Plan, to_start: Sequence[Path]) -> None:
    """Old and new names of the tools, as their servers list them where these may be started."""
    if not plan.moves:
        return
    say("\nTools have new names:")
    listings = {config: _list(config) for config in to_start}
    for move in plan.moves:
        one = next((server for server in listings.get(move.config, ()) if server.key == move.key), None)
        names = [(tool.own_name, tool.name) for tool in one.tools] if one is not None else []
        if one is not None and not names:
            why = one.status.message or "`asyncfc-mcp doctor` says more"
            say(f"  {move.name} of {move.file.client.title} listed no tools: {why}")
            continue
        say(f"  {move.name} of {move.file.client.title}:")
        for old, new in names or [("TOOL", move.renamed.tool("TOOL"))]:
            say(f"    {_shown(move, move.name, old)} -> {_shown(move, move.gateway, new)}")


def _shown(move: Move, server: str, tool: str) -> str:
    return shown_name(move.file.client, server, tool)


def _list(config: Path) -> tuple[ListedServer, ...]:
    # to bring in all of the gateway takes as long as everything else
    from asyncfc_mcp.config.load import load_file
    from asyncfc_mcp.inspection.servers import listed
    from asyncfc_mcp.telemetry.logs import configure_logs

    configure_logs("critical")  # what went wrong is said below
    try:
        return run_interruptible(partial(listed, load_file(config, os.environ).config))
    except GatewayError as error:
        say(f"  {error}")
        return ()


def show_end(plan: Plan, hands: Hands) -> None:
    """What is left to do for the user."""
    titles = sorted({move.file.client.title for move in plan.moves})
    if plan.commands and hands.claude.program is None:
        say("\nNothing has changed for Claude Code before you run the commands above.")
    say(f"\nStart {', '.join(titles) or 'the client'} anew. `asyncfc-mcp doctor` says how the servers do,")
    say("`asyncfc-mcp off` and `on` switch the gateway, `asyncfc-mcp init --undo` puts everything back.")
    if any(move.file.scope == "project" for move in plan.moves):
        say(f"A project's servers are looked at with `asyncfc-mcp doctor --config {PROJECT_FILE}`.")
        say("A project's file now names a program of this machine: mind that before you commit it.")
    if any(move.file.client is CLAUDE_CODE and move.file.scope == "project" for move in plan.moves):
        say("Claude Code asks once more whether to trust the project's server.")


def plain(text: str) -> str:
    """The text without what a terminal would obey: a project's file may be anybody's."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def say(text: str) -> None:
    """Print a line."""
    click.echo(plain(text))
