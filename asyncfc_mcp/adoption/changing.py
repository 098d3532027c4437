"""Making the changes of a plan, and taking single changes back or making them again."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

from asyncfc_mcp.adoption.by_command import make_by_command, put_back_by_command, show_what_to_run
from asyncfc_mcp.adoption.documents import Document, back_up, content_of, digest, parsed, remove, sweep
from asyncfc_mcp.adoption.documents import replace as replace_document
from asyncfc_mcp.adoption.edits import Add, DoesNotFit, change, taken_back
from asyncfc_mcp.adoption.hands import RUN_ANEW, Hands, Refused
from asyncfc_mcp.adoption.journal import Change, CommandChange, FileChange, Journal
from asyncfc_mcp.adoption.planning import CommandPlan, FilePlan, Plan
from asyncfc_mcp.errors import GatewayError

_EMPTY = b'{\n  "mcpServers": {}\n}\n'


def carry_out(plan: Plan, hands: Hands) -> None:
    """Make all changes, or none: what was done is taken back when one fails.

    Raises:
        GatewayError: one could not be made.
    """
    done: list[Change] = []
    with hands.journal.held():
        for made in hands.journal.changes():
            # noted by a command that was killed then, or put back by hand
            if isinstance(made, FileChange) and not is_standing(made):
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
        LeftToRun: only the client's own command could.
        Refused: others have changed the same place since.
        GatewayError: the file cannot be read or written.
    """
    if not made.is_on:
        return
    if isinstance(made, CommandChange):
        put_back_by_command(made, hands)
    else:
        _put_back(made, hands)


def is_standing(made: FileChange) -> bool:
    """Whether a change is in place: as it is noted, unless its file is again what it was.

    Raises:
        UnreadableDocument: the system does not let us read the file.
    """
    if not made.is_on:
        return False
    content = content_of(made.path)
    return content is None or digest(content) != made.before


def made_again(made: Change, hands: Hands) -> tuple[Change, Callable[[], None]]:
    """A change that was taken back for the time being, as it is to be noted, and what makes it once more.

    Raises:
        Refused: others have changed the same place since.
        GatewayError: the file cannot be read or written.
    """
    if isinstance(made, CommandChange):
        made = replace(made, is_on=True, was_run=made.was_run or hands.claude.program is not None)
        return made, partial(make_by_command, made, hands)
    content = content_of(made.path)
    if content is None:
        raise Refused(made.path, "it is gone")
    if digest(content) == made.after:
        return replace(made, is_on=True), lambda: None
    document = parsed(made.path, made.format, content)
    try:
        after = document.edited(made.edits)
    except DoesNotFit as error:
        raise Refused(made.path, f"{error}{RUN_ANEW}") from error
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
        _remove_made(made, content, hands)
        return
    replace_document(made.path, original, expected=content)
    hands.say(f"{made.title}: {made.path} is what it was, byte for byte")


def _remove_made(made: FileChange, content: bytes, hands: Hands) -> None:
    remove(made.path, expected=content)
    with suppress(OSError):  # a folder that holds anything else stays
        made.path.parent.rmdir()
    hands.say(f"{made.title}: {made.path} is removed, init had made it")


def _put_back_what_is_ours(made: FileChange, content: bytes, original: bytes | None, hands: Hands) -> None:
    document = parsed(made.path, made.format, content)
    try:
        edits = taken_back(document.value, made.edits)
        after = document.edited(edits, original)
    except DoesNotFit as error:
        if made.role == "gateway":
            _clear(made, document, hands)
            return
        raise Refused(made.path, str(error), _difference(made, document.value)) from error
    if made.role == "gateway" and _is_used_up(made, after):
        _clear(made, document, hands)
    elif edits:
        replace_document(made.path, after, expected=content)
        hands.say(f"{made.title}: {made.path} has changed since; only what init had put there was taken back")


def _clear(made: FileChange, document: Document, hands: Hands) -> None:
    """Take init's entries out of the gateway's own file as they are now: no client needs what was written into them.

    All of it as it was is kept in a copy, for the labels in it.
    """
    try:
        edits = taken_back(document.value, made.edits, takes_changed=True)
        after = document.edited(edits)
    except DoesNotFit as error:
        way_out = f"{error}; delete it if nothing needs it any more, and try again"
        raise Refused(made.path, way_out, _difference(made, document.value)) from error
    if hands.left.get(made.path) != document.sha256:
        copy = back_up(document, hands.moment)
        hands.say(f"{made.title}: {made.path} as it was, with what was written into it since init, is kept: {copy}")
    if _is_used_up(made, after):
        _remove_made(made, document.content, hands)
        return
    replace_document(made.path, after, expected=document.content)
    hands.left[made.path] = digest(after)
    hands.say(f"{made.title}: what init had put into {made.path} was taken back")


def _is_used_up(made: FileChange, after: bytes) -> bool:
    """Whether init made the file, and no server is left in it."""
    return made.before is None and not parsed(made.path, made.format, after).value.get("mcpServers")


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
    return made, partial(make_by_command if was_run else show_what_to_run, made, hands)
