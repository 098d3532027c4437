"""Making the changes of a plan, and taking single changes back or making them again."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from asyncfc_mcp.adoption.claude_code import ClaudeCode, commands_to_move, commands_to_put_back, is_same
from asyncfc_mcp.adoption.documents import back_up, content_of, digest, parsed, remove, sweep
from asyncfc_mcp.adoption.documents import replace as replace_document
from asyncfc_mcp.adoption.edits import Add, DoesNotFit, change, taken_back
from asyncfc_mcp.adoption.journal import Change, CommandChange, FileChange, Journal, write_private
from asyncfc_mcp.adoption.planning import CommandPlan, FilePlan, Plan
from asyncfc_mcp.errors import GatewayError

Say = Callable[[str], None]

_AGAIN = " (run `asyncfc-mcp init --undo`, then `asyncfc-mcp init`)"
_EMPTY = b'{\n  "mcpServers": {}\n}\n'


class Refused(GatewayError):
    """A change that is left as it is, because others have changed the same place since."""

    def __init__(self, path: Path, fact: str, difference: Sequence[str] = ()) -> None:
        super().__init__(f"{path}: {fact}; it is left as it is" + "".join(f"\n    {line}" for line in difference))
        self.path = path


@dataclass(frozen=True, slots=True)
class Hands:
    """What changes are made with."""

    journal: Journal
    claude: ClaudeCode
    moment: str
    """Of the names of backups."""
    say: Say


def carry_out(plan: Plan, hands: Hands) -> None:
    """Make all changes, or none: what was done is taken back when one fails.

    Raises:
        GatewayError: one could not be made.
    """
    done: list[Change] = []
    with hands.journal.held():
        for made in hands.journal.changes():
            if not is_standing(made):  # noted by a command that was killed then, or put back by hand
                tidy(made, hands)
                _forget(hands.journal, made)
        try:
            for file in plan.files:
                _keep(hands, done, _prepared(file, hands))
            for command in plan.commands:
                _keep(hands, done, _run(command, hands))
        except BaseException:
            for made in reversed(done):
                _take_back_half(made, hands)
            raise


def _take_back_half(made: Change, hands: Hands) -> None:
    try:
        take_back(made, hands)
        tidy(made, hands)
        _forget(hands.journal, made)
    except GatewayError as error:
        hands.say(f"{made.title}: {error}; `asyncfc-mcp init --undo` tries it again")


def take_back(made: Change, hands: Hands) -> None:
    """Put back what was there: byte for byte if nobody else has written since, else only what is ours.

    Raises:
        Refused: others have changed the same place since.
        GatewayError: the file cannot be read or written.
    """
    if not made.is_on:
        return
    if isinstance(made, CommandChange):
        _put_back_by_command(made, hands)
    else:
        _put_back(made, hands)


def is_standing(made: Change) -> bool:
    """Whether a change is in place: as it is noted, unless its file is again what it was.

    Raises:
        UnreadableDocument: the system does not let us read the file.
    """
    if isinstance(made, CommandChange) or not made.is_on:
        return made.is_on
    content = content_of(made.path)
    return content is None or digest(content) != made.before


def made_again(made: Change, hands: Hands) -> tuple[Change, Callable[[], None]]:
    """A change that was taken back for the time being, as it is to be noted, and what makes it once more.

    Raises:
        Refused: others have changed the same place since.
        GatewayError: the file cannot be read or written.
    """
    if isinstance(made, CommandChange):
        return replace(made, is_on=True), lambda: _exchange(_command_plan(made), hands)
    content = content_of(made.path)
    if content is None:
        raise Refused(made.path, "it is gone")
    if digest(content) == made.after:
        return replace(made, is_on=True), lambda: None
    document = parsed(made.path, made.format, content)
    try:
        after = document.edited(made.edits)
    except DoesNotFit as error:
        raise Refused(made.path, f"{error}{_AGAIN}") from error
    backup = made.backup
    if made.before != digest(content) or backup is None or not backup.exists():
        backup = back_up(document, hands.moment)

    def write() -> None:
        try:
            replace_document(made.path, after, expected=content)
        except GatewayError:
            if backup != made.backup:
                backup.unlink(missing_ok=True)
            raise
        hands.say(f"{made.title}: the gateway is back in {made.path}")

    return replace(made, before=digest(content), after=digest(after), backup=backup, is_on=True), write


def tidy(made: Change, hands: Hands) -> None:
    """Remove the copy of a file that is again what the copy is, and what a killed writer left."""
    if not isinstance(made, FileChange):
        return
    sweep(made.path)
    if made.backup is None:
        return
    backup = content_of(made.backup)
    if backup is None:
        return
    if content_of(made.path) == backup:
        remove(made.backup, expected=backup)
    else:
        hands.say(f"{made.title}: {made.path} as it was before init is kept: {made.backup}")


def _keep(hands: Hands, done: list[Change], made: tuple[Change, Callable[[], None]]) -> None:
    """Note a change before it is made: one that was noted and not made is harmless, the other way round is not."""
    noted, make = made
    done.append(noted)
    try:
        hands.journal.note([*hands.journal.changes(), noted])
        make()
    except GatewayError:
        if isinstance(noted, FileChange):  # which is as it was
            done.remove(noted)
            with suppress(GatewayError):  # what is still noted of it is harmless
                _forget(hands.journal, noted)
            if noted.backup is not None:
                with suppress(OSError):
                    noted.backup.unlink(missing_ok=True)
        raise


def _forget(journal: Journal, made: Change) -> None:
    journal.note([one for one in journal.changes() if one != made])


def _prepared(plan: FilePlan, hands: Hands) -> tuple[FileChange, Callable[[], None]]:
    document = plan.document
    start = document if document is not None else parsed(plan.path, plan.format, _EMPTY)
    try:
        after = start.edited(plan.edits)
    except DoesNotFit as error:
        raise Refused(plan.path, str(error)) from error
    backup = back_up(document, hands.moment) if document is not None else None
    expected = document.content if document is not None else None
    before = document.sha256 if document is not None else None
    made = FileChange(plan.role, plan.title, plan.path, plan.format, plan.edits, before, digest(after), backup)

    def write() -> None:
        replace_document(plan.path, after, expected=expected)
        hands.say(f"{plan.title}: {plan.path} is " + (f"changed; as it was: {backup}" if backup else "made"))

    return made, write


def _put_back(made: FileChange, hands: Hands) -> None:
    content = content_of(made.path)
    if content is None:
        if made.before is not None:
            raise Refused(made.path, f"it is gone: put {_least(made)} there and try again")
        return
    original = content_of(made.backup) if made.backup is not None else None
    if original is not None and digest(original) != made.before:
        original = None
    if digest(content) == made.after and (made.before is None or original is not None):
        _restore(made, content, original, hands)
    elif digest(content) != made.before:
        _put_back_what_is_ours(made, content, original, hands)


def _least(made: FileChange) -> str:
    """What has to be there for a change to be taken back."""
    empty = "an empty file" if made.format == "toml" else "a file with nothing but {} in it"
    return f"{made.backup} or {empty}" if made.backup is not None and made.backup.exists() else empty


def _restore(made: FileChange, content: bytes, original: bytes | None, hands: Hands) -> None:
    if original is None:
        remove(made.path, expected=content)
        with suppress(OSError):  # a folder that holds anything else stays
            made.path.parent.rmdir()
        hands.say(f"{made.title}: {made.path} is removed, init had made it")
        return
    replace_document(made.path, original, expected=content)
    hands.say(f"{made.title}: {made.path} is what it was, byte for byte")


def _put_back_what_is_ours(made: FileChange, content: bytes, original: bytes | None, hands: Hands) -> None:
    document = parsed(made.path, made.format, content)
    try:
        edits = taken_back(document.value, made.edits)
        after = document.edited(edits, original)
    except DoesNotFit as error:
        way_out = "; delete the file if nothing needs it any more, and try again" if made.before is None else ""
        raise Refused(made.path, f"{error}{way_out}", _difference(made, document.value)) from error
    if edits:
        replace_document(made.path, after, expected=content)
        hands.say(f"{made.title}: {made.path} has changed since; only what init had put there was taken back")


def _difference(made: FileChange, now: Any) -> list[str]:
    """What stands there against what init had left, of the keys that init touched, with every value hidden."""
    try:
        left: Any = change({}, [edit for edit in made.edits if isinstance(edit, Add)])
    except DoesNotFit:
        left = {}
    names = {(edit.at, edit.name) for edit in made.edits if isinstance(edit, Add)}
    before, after = (json.dumps(_hidden(_only(one, names)), indent=2).splitlines() for one in (left, now))
    return list(difflib.unified_diff(before, after, "as init left it", "now", lineterm="", n=2))


def _only(document: Any, names: set[tuple[tuple[str, ...], str]]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for at, name in sorted(names):
        holder = document
        for key in at:
            holder = cast("dict[str, Any]", holder).get(key) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and name in holder:
            kept[".".join((*at, name))] = holder[name]
    return kept


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_hidden(inner) for inner in cast("list[Any]", value)]
    return f"(hidden {digest(json.dumps(value).encode())[:6]})"


def _run(plan: CommandPlan, hands: Hands) -> tuple[CommandChange, Callable[[], None]]:
    was_run = hands.claude.program is not None
    made = CommandChange(plan.title, plan.name, {} if plan.is_there else plan.entry, plan.servers, was_run)
    return made, lambda: _exchange(plan, hands)


def _command_plan(made: CommandChange) -> CommandPlan:
    return CommandPlan(made.title, made.name, made.entry, not made.entry, made.servers)


def _exchange(plan: CommandPlan, hands: Hands) -> None:
    if hands.claude.program is None:
        hands.say(f"{plan.title}: there is no `claude` on the PATH; run these where there is one:")
        for line in commands_to_move(plan.name, None if plan.is_there else plan.entry, plan.servers):
            hands.say(f"  {line}")
        return
    present = hands.claude.servers()
    for name, entry in plan.servers.items():
        if name in present and not is_same(present[name], entry):
            raise Refused(hands.claude.state, f"{name} is not what it was{_AGAIN}")
    if not plan.is_there and plan.name not in present:
        hands.claude.add(plan.name, plan.entry)
    for name in plan.servers:
        if name in present:
            hands.claude.remove(name)
    hands.say(f"{plan.title}: {plan.name} added, {', '.join(plan.servers) or 'nothing'} removed by `claude mcp`")


def _put_back_by_command(made: CommandChange, hands: Hands) -> None:
    if not made.was_run or hands.claude.program is None:
        files = {name: hands.journal.folder / f"server-{at}.json" for at, name in enumerate(made.servers, 1)}
        for name, file in files.items():
            write_private(file, json.dumps(made.servers[name]).encode())
        hands.say(f"{made.title}: run these if you ran the others:")
        for line in commands_to_put_back(made.name if made.entry else None, files):
            hands.say(f"  {line}")
        return
    present = hands.claude.servers()
    if made.entry and made.name in present and not is_same(present[made.name], made.entry):
        raise Refused(hands.claude.state, f"{made.name} is not what init had put there")
    for name, entry in made.servers.items():
        if name in present and not is_same(present[name], entry):
            raise Refused(hands.claude.state, f"{name} has come back with something else in it")
    missing = [name for name in made.servers if name not in present]
    for name in missing:
        hands.claude.add(name, made.servers[name])
    if made.entry and made.name in present:
        hands.claude.remove(made.name)
        hands.say(f"{made.title}: {', '.join(missing) or 'nothing'} added, {made.name} removed by `claude mcp`")
