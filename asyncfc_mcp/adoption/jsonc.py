"""JSON with comments and trailing commas, read with the place of every member in the text.

Values alone are `config.document`'s business; here the text itself is to be changed, and all the rest of it kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncfc_mcp.errors import GatewayError

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")


class NotJson(GatewayError):
    """The text is none that a client could have read."""

    def __init__(self, text: str, at: int, fact: str) -> None:
        line = text.count("\n", 0, at) + 1
        super().__init__(f"not JSON (line {line}: {fact})")
        self.line = line


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object."""

    key: str
    start: int
    """Where its key begins."""
    node: Node
    comma: int | None
    """Where the comma behind it stands."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list."""

    node: Node
    comma: int | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value, and where it stands."""

    start: int
    end: int
    value: Any
    members: tuple[Member, ...] = ()
    items: tuple[Item, ...] = ()

    def member(self, key: str) -> Member | None:
        """The member of that name, if this is an object that has it."""
        return next((member for member in self.members if member.key == key), None)

    def at(self, path: Sequence[str]) -> Node | None:
        """What stands at the end of a path of keys."""
        node: Node | None = self
        for key in path:
            member = node.member(key) if node is not None else None
            node = member.node if member is not None else None
        return node


def read_jsonc(text: str) -> Node:
    """The whole text.

    Raises:
        NotJson: it cannot be read, or has one key twice in an object, so that clients differ in what they see.
    """
    reader = _Reader(text)
    try:
        node = reader.value(reader.after_space(0))
    except RecursionError:
        raise NotJson(text, 0, "nested too deeply") from None
    end = reader.after_space(node.end)
    if end != len(text):
        raise NotJson(text, end, "more text behind the end")
    return node


def value_of(text: str) -> Any:
    """The value alone: at once where it is plain JSON, as the large files of clients are.

    Raises:
        NotJson: as for `read_jsonc`.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refused)
    except (ValueError, RecursionError):
        return read_jsonc(text).value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError
    return members


def _refused(_: str) -> None:
    raise ValueError


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def after_space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def value(self, at: int) -> Node:
        match self._text[at : at + 1]:
            case "{":
                return self._object(at)
            case "[":
                return self._list(at)
            case '"':
                return self._string(at)
            case _:
                found = _SCALAR.match(self._text, at)
                if found is None:
                    raise NotJson(self._text, at, "a value is expected")
                return Node(at, found.end(), self._scalar(found))

    def _scalar(self, found: re.Match[str]) -> Any:
        try:
            return json.loads(found[0])
        except ValueError:
            raise NotJson(self._text, found.start(), "a number of too many digits") from None

    def _string(self, at: int) -> Node:
        found = _STRING.match(self._text, at)
        if found is None:
            raise NotJson(self._text, at, "a text in double quotes is expected")
        try:
            return Node(at, found.end(), json.loads(found[0]))
        except json.JSONDecodeError:
            raise NotJson(self._text, at, "an escape that JSON does not have") from None

    def _object(self, start: int) -> Node:
        members: list[Member] = []
        at = self.after_space(start + 1)
        while self._text[at : at + 1] != "}":
            key = self._string(at)
            colon = self.after_space(key.end)
            if self._text[colon : colon + 1] != ":":
                raise NotJson(self._text, colon, "a colon is expected")
            node = self.value(self.after_space(colon + 1))
            comma, after = self._comma(node.end, "}")
            members.append(Member(key.value, at, node, comma))
            at = after
        value = {member.key: member.node.value for member in members}
        if len(value) < len(members):
            raise NotJson(self._text, start, "an object with the same key twice")
        return Node(start, at + 1, value, members=tuple(members))

    def _list(self, start: int) -> Node:
        items: list[Item] = []
        at = self.after_space(start + 1)
        while self._text[at : at + 1] != "]":
            node = self.value(at)
            comma, at = self._comma(node.end, "]")
            items.append(Item(node, comma))
        return Node(start, at + 1, [item.node.value for item in items], items=tuple(items))

    def _comma(self, end: int, closing: str) -> tuple[int | None, int]:
        """The comma behind a value, and where the next one or the closing bracket begins."""
        at = self.after_space(end)
        if self._text[at : at + 1] == ",":
            return at, self.after_space(at + 1)
        if self._text[at : at + 1] != closing:
            raise NotJson(self._text, at, f"a comma or {closing} is expected")
        return None, at
