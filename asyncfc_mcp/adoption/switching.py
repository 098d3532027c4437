"""Taking back all that `init` did, for good (`init --undo`) or for a while (`off`), and making it again (`on`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asyncfc_mcp.adoption.by_command import LeftToRun
from asyncfc_mcp.adoption.changing import is_standing, made_again, take_back, tidy
from asyncfc_mcp.adoption.claude_code import ClaudeRefused
from asyncfc_mcp.adoption.hands import Hands
from asyncfc_mcp.adoption.journal import Change, CommandChange, FileChange
from asyncfc_mcp.errors import GatewayError


class NothingDone(GatewayError):
    """There is nothing that init has changed."""

    def __init__(self) -> None:
        super().__init__("init has changed nothing here, or all of it has been put back; `asyncfc-mcp init` begins")


def undo(hands: Hands) -> list[GatewayError]:
    """Put everything back, the latest change first; what is refused stays noted and can be tried again.

    Raises:
        NothingDone: there is nothing to put back.
    """
    with hands.journal.held():
        return _undo(_noted(hands), hands)


def _undo(changes: Sequence[Change], hands: Hands) -> list[GatewayError]:
    kept: list[Change] = []
    refusals: list[GatewayError] = []
    for at, made in reversed(list(enumerate(changes))):
        if refusals and isinstance(made, FileChange) and made.role == "gateway":
            hands.say(f"{made.title}: {made.path} stays as long as a client may use it")
            kept.insert(0, made)
            continue
        try:
            take_back(made, hands)
            tidy(made, hands)
        except GatewayError as error:
            refusals.append(error)
            kept.insert(0, made)
        hands.journal.note([*changes[:at], *kept])
    return refusals


def switch_off(hands: Hands) -> list[GatewayError]:
    """Put the servers back into every client's file, and remember the gateway.

    Raises:
        NothingDone: there is nothing to switch.
    """
    refusals: list[GatewayError] = []
    with hands.journal.held():
        changes = list(_noted(hands))
        for at, made in reversed(list(enumerate(changes))):  # two may be about one file
            if not made.is_on or not is_of_client(made):
                continue
            try:
                take_back(made, hands)
                tidy(made, hands)
                changes[at] = replace(made, is_on=False)
            except GatewayError as error:
                refusals.append(error)
            hands.journal.note(changes)
    return refusals


def switch_on(hands: Hands) -> list[GatewayError]:
    """Put the gateway back into every client's file.

    Raises:
        NothingDone: there is nothing to switch.
    """
    refusals: list[GatewayError] = []
    with hands.journal.held():
        changes = list(_noted(hands))
        for at, made in enumerate(changes):
            try:
                if not is_of_client(made) or (isinstance(made, FileChange) and is_standing(made)):
                    continue
                changes[at], make = made_again(made, hands)
                hands.journal.note(changes)  # first, so that `undo` knows of it whatever happens
                make()
            except (LeftToRun, ClaudeRefused) as error:  # noted all the same: the user may run it, half of it may stand
                refusals.append(error)
            except GatewayError as error:
                changes[at] = made
                hands.journal.note(changes)
                refusals.append(error)
    return refusals


def is_of_client(made: Change) -> bool:
    """Whether it is about what a client reads, and not about the gateway's own file."""
    return isinstance(made, CommandChange) or made.role == "client"


def _noted(hands: Hands) -> tuple[Change, ...]:
    changes = hands.journal.changes()
    if not changes:
        raise NothingDone
    return changes
