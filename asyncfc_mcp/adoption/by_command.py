"""Changes that Claude Code's own command makes, or the user by its commands where there is none here.

Whether such a change stands is read from the file that the command keeps: nobody else knows what the user has run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncfc_mcp.adoption.claude_code import commands_to_move, commands_to_put_back, is_same
from asyncfc_mcp.adoption.documents import digest
from asyncfc_mcp.adoption.hands import RUN_ANEW, Hands, Refused
from asyncfc_mcp.adoption.journal import CommandChange, UnwritableJournal, write_private
from asyncfc_mcp.errors import GatewayError


class LeftToRun(GatewayError):
    """Only the client's own command can do it, and there is none here."""

    def __init__(self, title: str) -> None:
        super().__init__(
            f"{title} is not changed yet, since there is no `claude` on the PATH: put it there and say this again, or "
            "run the commands above where it is, and then say this again"
        )


@dataclass(frozen=True, slots=True)
class _Left:
    """What there is to put back."""

    servers: Mapping[str, Any]
    """Those that are not there."""
    has_gateway: bool
    """Whether the gateway's entry is to be taken out."""


def make_by_command(made: CommandChange, hands: Hands) -> None:
    """Exchange the servers for the gateway; what is done already is not done again.

    Raises:
        LeftToRun: there is no command; what to run has been said.
        Refused: others have changed the same place since.
        GatewayError: the command refuses.
    """
    present = hands.claude.servers()
    _check_servers(made, present, f"is not what it was{RUN_ANEW}", hands)
    is_missing = bool(made.entry) and made.name not in present
    servers = [name for name in made.servers if name in present]
    if not is_missing and not servers:
        return
    if hands.claude.program is None:
        show_what_to_run(made, hands)
        raise LeftToRun(made.title)
    if is_missing:
        hands.claude.add(made.name, made.entry)
    for name in servers:
        hands.claude.remove(name)
    hands.say(f"{made.title}: {made.name} added, {', '.join(made.servers) or 'nothing'} removed by `claude mcp`")


def show_what_to_run(made: CommandChange, hands: Hands) -> None:
    """Say by which commands the user exchanges the servers for the gateway."""
    _show(made, commands_to_move(made.name, made.entry or None, made.servers), hands)


def put_back_by_command(made: CommandChange, hands: Hands) -> None:
    """Exchange the gateway for the servers again, as far as that is not done already.

    Raises:
        LeftToRun: there is no command; what to run has been said.
        Refused: others have changed the same place since.
        GatewayError: the command refuses.
    """
    present = hands.claude.servers()
    left = _left(made, present)
    if left is not None:
        _check_nothing_else(made, present, hands)
        if hands.claude.program is None:
            _show_what_puts_back(made, left, hands)
            raise LeftToRun(made.title)
        for name, entry in left.servers.items():
            hands.claude.add(name, entry)
        if left.has_gateway:
            hands.claude.remove(made.name)
        added, removed = (", ".join(left.servers) or "nothing"), (made.name if left.has_gateway else "nothing")
        hands.say(f"{made.title}: {added} added, {removed} removed by `claude mcp`")
    for name, entry in made.servers.items():
        _remove(_kept_entry(name, entry, hands))


def _left(made: CommandChange, present: Mapping[str, Any]) -> _Left | None:
    has_gateway = bool(made.entry) and made.name in present
    if made.entry and not has_gateway and not made.was_run:
        return None  # the commands that were shown begin with the gateway, and those of the way back end with it
    missing = {name: entry for name, entry in made.servers.items() if name not in present}
    return _Left(missing, has_gateway) if missing or has_gateway else None


def _check_nothing_else(made: CommandChange, present: Mapping[str, Any], hands: Hands) -> None:
    if made.entry and made.name in present and not is_same(present[made.name], made.entry):
        raise Refused(hands.claude.state, f"{made.name} is not what init had put there")
    _check_servers(made, present, "has come back with something else in it", hands)


def _check_servers(made: CommandChange, present: Mapping[str, Any], fault: str, hands: Hands) -> None:
    for name, entry in made.servers.items():
        if name in present and not is_same(present[name], entry):
            raise Refused(hands.claude.state, f"{name} {fault}")


def _show_what_puts_back(made: CommandChange, left: _Left, hands: Hands) -> None:
    files = {name: _kept_entry(name, entry, hands) for name, entry in left.servers.items()}
    for name, file in files.items():
        write_private(file, json.dumps(left.servers[name]).encode())
    _show(made, commands_to_put_back(made.name if left.has_gateway else None, files), hands)


def _show(made: CommandChange, commands: Iterable[str], hands: Hands) -> None:
    hands.say(f"{made.title}: there is no `claude` on the PATH; run these where there is one:")
    for line in commands:
        hands.say(f"  {line}")


def _kept_entry(name: str, entry: Any, hands: Hands) -> Path:
    """Where an entry stands for the user's command to read."""
    return hands.journal.folder / f"server-{digest(json.dumps([name, entry]).encode())[:12]}.json"


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableJournal(file, error) from error
