"""Edits made in the text of a JSON file, so that comments, order, indentation and line ends stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncfc_mcp.adoption.edits import Add, Append, DoesNotFit, Drop, Edit, Remove, change
from asyncfc_mcp.adoption.jsonc import Node, NotJson, read_jsonc

_COMMENT_TO_LINE_END = re.compile(r"[ \t]*(?://[^\r\n]*|/\*(?:(?!\*/)[^\r\n])*\*/[ \t]*)?(?=\r?\n)")
_LINE_END = re.compile(r"\r?\n")
_BLANKS = re.compile(r"[ \t]*")


@dataclass(frozen=True, slots=True)
class _Slot:
    """A member of an object or an item of a list, as a piece of text."""

    start: int
    end: int
    comma: int | None


def edited_json(text: str, edits: Sequence[Edit], original: str | None = None) -> str:
    """The text after the edits; what `original` has of a member that comes back is taken from there as it was written.

    Raises:
        DoesNotFit: the text is not as the edits need it, or something else in it would change.
    """
    try:
        expected = change(read_jsonc(text).value, edits)
        model = read_jsonc(original) if original is not None else None
        for edit in edits:
            text = _edited(text, edit, original, model)
        fits = read_jsonc(text).value == expected
    except NotJson:
        fits = False
    if not fits:
        raise DoesNotFit("it cannot be edited without changing something else in the file")
    return text


def _edited(text: str, edit: Edit, original: str | None, model: Node | None) -> str:
    root = read_jsonc(text)
    holder = root.at(edit.at)
    if holder is None:
        return _edited(text, _making_the_way(edit), None, None)
    match edit:
        case Add(at, name, value):
            was = model.at(at) if model is not None else None
            member = was.member(name) if was is not None else None
            if original is None or was is None or member is None or member.node.value != value:
                return _with_slot(text, holder, None, value, name=name)
            later = [other.key for other in was.members[was.members.index(member) + 1 :]]
            before = next((at for at, one in enumerate(holder.members) if one.key in later), None)
            return _with_slot(text, holder, before, original[member.start : member.node.end])
        case Remove(_, name, _):
            return _without_slot(text, holder, [member.key for member in holder.members].index(name))
        case Append(_, items):
            for item in items:
                text = _with_slot(text, _node(text, edit), None, item)
            return text
        case Drop(_, items):
            for item in items:
                node = _node(text, edit)
                if item in node.value:
                    text = _without_slot(text, node, node.value.index(item))
            return text


def _making_the_way(edit: Edit) -> Edit:
    """The edit, for a document in which the object that it is about is missing."""
    if not isinstance(edit, Add):
        raise DoesNotFit(f"{'.'.join(edit.at)} is not there any more")
    name, value = edit.name, edit.value
    for missing in reversed(edit.at[1:]):
        name, value = missing, {name: value}
    return Add((), edit.at[0], {name: value})


def _node(text: str, edit: Edit) -> Node:
    node = read_jsonc(text).at(edit.at)
    if node is None:
        raise DoesNotFit(f"{'.'.join(edit.at)} is not there any more")
    return node


def _slots(node: Node) -> list[_Slot]:
    members = [_Slot(member.start, member.node.end, member.comma) for member in node.members]
    return members or [_Slot(item.node.start, item.node.end, item.comma) for item in node.items]


def _with_slot(text: str, holder: Node, before: int | None, written: Any, *, name: str | None = None) -> str:
    """The text with one more member or item: in front of another one, or behind the last.

    `written` is a value of the member `name` or of a list, or else the text of a member as it was.
    """
    slots = _slots(holder)
    newline = "\r\n" if "\r\n" in text else "\n"
    is_spread = not slots or "\n" in text[holder.start : slots[0].start]
    indent = _indent(text, slots[0].start) if slots else _indent(text, holder.start) + _unit(text)
    is_text = name is None and text[holder.start] == "{"
    new = written if is_text else _rendered(written, name, _unit(text), newline + indent if is_spread else None)
    gap = newline + indent if is_spread else " "
    if not slots:
        inner = text[holder.start + 1 : holder.end - 1].rstrip()
        closing = newline + _indent(text, holder.start)
        return f"{text[: holder.start + 1]}{inner}{gap}{new}{closing}{text[holder.end - 1 :]}"
    if before is not None:
        at = slots[before].start
        return f"{text[:at]}{new},{gap}{text[at:]}"
    last = slots[-1]
    end = last.end if last.comma is None else last.comma + 1
    comment = _COMMENT_TO_LINE_END.match(text, end) if is_spread else None
    at = comment.end() if comment is not None else end
    if last.comma is None:
        return f"{text[:end]},{text[end:at]}{gap}{new}{text[at:]}"
    return f"{text[:at]}{gap}{new},{text[at:]}"


def _without_slot(text: str, holder: Node, index: int) -> str:
    slots = _slots(holder)
    slot = slots[index]
    end = slot.end if slot.comma is None else slot.comma + 1
    line_start = text.rfind("\n", 0, slot.start) + 1
    comment = _COMMENT_TO_LINE_END.match(text, end)
    if not text[line_start : slot.start].strip() and comment is not None:
        line_end = _LINE_END.match(text, comment.end())
        text = text[:line_start] + text[line_end.end() if line_end else comment.end() :]
    elif slot.comma is not None:
        blanks = _BLANKS.match(text, end)
        text = text[: slot.start] + text[blanks.end() if blanks else end :]
    else:
        start = slot.start if index == 0 else len(text[: slot.start].rstrip(" \t"))
        text = text[:start] + text[end:]
    comma = slots[index - 1].comma if index > 0 else None
    if slot.comma is None and comma is not None:
        text = text[:comma] + text[comma + 1 :]
    return text


def _rendered(value: Any, name: str | None, unit: str, break_: str | None) -> str:
    rendered = json.dumps(value, indent=unit if break_ else None, ensure_ascii=not _can_be_encoded(value))
    if break_:
        rendered = rendered.replace("\n", break_)
    return rendered if name is None else f"{json.dumps(name, ensure_ascii=False)}: {rendered}"


def _can_be_encoded(value: Any) -> bool:
    """Whether no text in it has half a character, as JSON's escapes allow."""
    return not any("\ud800" <= one <= "\udfff" for one in json.dumps(value, ensure_ascii=False))


def _indent(text: str, at: int) -> str:
    """The white space at the beginning of the line that something stands in."""
    line_start = text.rfind("\n", 0, at) + 1
    blanks = _BLANKS.match(text, line_start)
    return blanks[0] if blanks else ""


def _unit(text: str) -> str:
    """One step of indentation, as the file has it."""
    found = re.search(r"\{\r?\n([ \t]+)\S", text)
    return found[1] if found else "  "
