"""`asyncfc-mcp init`, `init --undo`, `off` and `on`: what is shown and asked; the doing is `adoption`'s."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from asyncfc_mcp.adoption.changing import carry_out
from asyncfc_mcp.adoption.claude_code import ClaudeCode
from asyncfc_mcp.adoption.discovery import FoundFile, find
from asyncfc_mcp.adoption.hands import Hands
from asyncfc_mcp.adoption.journal import Journal
from asyncfc_mcp.adoption.launch import Launch, this_gateway
from asyncfc_mcp.adoption.planning import Choice, Plan, UnknownChoice, make_plan
from asyncfc_mcp.adoption.switching import is_of_client, switch_off, switch_on, undo
from asyncfc_mcp.cli.init_report import plain, say, show_by_hand, show_end, show_found, show_names, show_plan
from asyncfc_mcp.clients.places import CLIENTS, Surroundings, platform_of
from asyncfc_mcp.config.load import state_folder
from asyncfc_mcp.errors import GatewayError

_EXIT_WRONG = 1
_SWITCHED_OFF = "the gateway is switched off: `asyncfc-mcp on` brings it back, `asyncfc-mcp init --undo` ends it"
_CLIENTS_ARE_BACK = "Your clients' own files are all put back: start your clients anew."


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    choice: Choice
    does_it: bool = False
    """`--yes`: without asking."""
    starts_servers: bool = True


def run_init(options: Options) -> None:
    """Show what was found and what would be done; do it with `--yes`, or when the user at the terminal agrees.

    Exit code 1: something is left for the user to run.
    """
    where = _surroundings()
    hands = _hands(where)
    with _one_line_errors():
        if any(not change.is_on for change in hands.journal.changes()):
            raise click.ClickException(_SWITCHED_OFF)
        launch = this_gateway(sys.argv[0], sys.executable)
        found = find(where)
        show_found(found)
        show_by_hand(found, launch, where)
        is_asking = sys.stdin.isatty() and not options.does_it
        choice = _asked(found, options.choice, launch, where) if is_asking else options.choice
        plan = make_plan(found, choice, launch, where)
        show_plan(plan, hands, launch)
        if not plan.files and not plan.commands:
            click.echo("\nNothing to do." + ("" if found else _no_client()))
            return
        if not options.does_it and not (is_asking and click.confirm("\nDo all this?")):
            click.echo("\nNothing was changed." + ("" if is_asking else " `--yes` does it."))
            return
        click.echo()
        carry_out(plan, hands)
        show_names(plan, _to_start(plan, options, is_asking=is_asking))
        show_end(plan, hands)
        if plan.commands and hands.claude.program is None:
            sys.exit(_EXIT_WRONG)


def run_undo() -> None:
    """Put everything back."""
    _switch(undo, "Everything that init had changed is put back: start your clients anew.", _CLIENTS_ARE_BACK)


def run_off() -> None:
    """Put the servers back into the clients' files for the time being."""
    _switch(switch_off, "The gateway is off: start your clients anew. `asyncfc-mcp on` brings it back.")


def run_on() -> None:
    """Put the gateway back into the clients' files."""
    _switch(switch_on, "The gateway is on: start your clients anew.")


def _switch(do: Callable[[Hands], list[GatewayError]], all_well: str, clients_well: str = "") -> None:
    hands = _hands(_surroundings())
    with _one_line_errors():
        refusals = do(hands)
    for refusal in refusals:
        click.echo(plain(f"asyncfc-mcp: {refusal}"), err=True)
    if refusals:
        if clients_well and not any(map(is_of_client, hands.journal.changes())):
            click.echo(clients_well)
        sys.exit(_EXIT_WRONG)
    click.echo(all_well)


def _no_client() -> str:
    known = ", ".join(client.title for client in CLIENTS)
    return f" No client's file was found here; looked for those of {known}. Others: 'By hand' in the README."


def _surroundings() -> Surroundings:
    try:
        return Surroundings(Path.home(), os.environ, platform_of(), Path.cwd())
    except FileNotFoundError:
        raise click.ClickException("the folder that you are in is not there any more: go to another one") from None


def _hands(where: Surroundings) -> Hands:
    program = shutil.which("claude", path=where.environ.get("PATH", ""))
    claude = ClaudeCode(program, where.claude_state, where.home, where.environ)
    return Hands(Journal(state_folder(where.environ)), claude, time.strftime("%Y%m%d-%H%M%S"), say)


def _asked(found: Sequence[FoundFile], choice: Choice, launch: Launch, where: Surroundings) -> Choice:
    """The choice as the user at the terminal makes it: file by file, and the rules."""
    moves = make_plan(found, choice, launch, where).moves
    files: list[Path] = []
    for file in dict.fromkeys(move.file for move in moves):
        names = ", ".join(move.name for move in moves if move.file == file)
        if click.confirm(
            plain(f"\nMove {names} of {file.client.title} ({file.scope}) behind the gateway?"), default=True
        ):
            files.append(file.path)
    if moves and not files:
        return replace(choice, servers=(), excepted=tuple(dict.fromkeys(move.name for move in moves)))
    choice = replace(choice, files=tuple(files))
    rules = make_plan(found, choice, launch, where).rules
    if rules and not choice.rewrites_rules:
        count = sum(len(edit.items) for rule in rules for edit in rule.edits)
        if click.confirm(f"Add {count} permission rules under the new names of the tools?", default=True):
            choice = replace(choice, rewrites_rules=True)
    return choice


def _to_start(plan: Plan, options: Options, *, is_asking: bool) -> list[Path]:
    """The gateway's files whose servers may be started to list their tools.

    A project's servers may be anybody's, and their client asks before it starts them: so do we.
    """
    if not options.starts_servers:
        return []
    if is_asking:
        configs = dict.fromkeys(move.config for move in plan.moves)
        return [one for one in configs if click.confirm(f"\nStart the servers of {one} once, to list their tools?")]
    return list(dict.fromkeys(move.config for move in plan.moves if move.file.scope == "user"))


@contextmanager
def _one_line_errors() -> Generator[None]:
    try:
        yield
    except UnknownChoice as error:
        raise click.UsageError(plain(str(error))) from error
    except GatewayError as error:
        raise click.ClickException(plain(str(error))) from error
