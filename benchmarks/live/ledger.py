"""What a model has been told in a conversation, and what it did wrong with what it had not.

It sees what the model sees, in the same order: `wrote` each text of the model, `called` each call of a message before
any of them is sent, `answered` each result. Futures are known by the gateway's `_meta`; its own tools say in their
texts which of the futures that were asked for have settled. A future is *told* when its value or its failure stood in a
result; the line "is ready; read it with get_future" shows neither, so here it does not count.

- *made up*: a text or an argument holds something in the form of the task's facts (random codes and numbers, which
  cannot be guessed) that nothing the model was shown holds, and that does not follow from facts all of which it was
  shown. Each such value counts once.
- *fabricated*: made up while at least one future handed out was not told: a value in the place of a pending one.
- *useless poll*: an await_future or get_future all of whose futures had been told (or, without any, while none was
  untold), unless it asks for a part that was not asked for before; or a get_future, list_futures or await_future of
  less than a second that says the same as the last time the same was asked.
- *unread*: handed out and not told by the end. *Forgotten*: unread and not passed on to a later call either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mcp_types import CallToolResult, TextContent

from asyncfc_mcp.core.future import SETTLED
from asyncfc_mcp.core.token import TOKEN_PATTERN, normalise

OWN_TOOLS = frozenset({"await_future", "get_future", "cancel_future", "list_futures"})
SHORT_WAIT_S = 1.0
"""An await of less than this is a poll."""
_ASKING = ("await_future", "get_future")
_TOKEN = re.compile(TOKEN_PATTERN)
_GROUPED = re.compile(r"(?<=\d)[,_'\u00a0\u202f](?=\d{3}(?!\d))")
_SETTLED = "|".join(SETTLED)
_NOT_TOLD = ("Still unsettled after ", "Nothing is unsettled.", "await_future: ")
_LONG_RESULT = re.compile(rf'^\[To pass this result on, write "({TOKEN_PATTERN})"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Facts:
    """How the facts of a task look, and what follows from them."""

    forms: tuple[str, ...]
    """Regular expressions of what nobody can guess."""
    derived: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """A value, and the facts that it follows from."""

    def found_in(self, text: str) -> set[str]:
        """What has the form of a fact."""
        plain = plain_numbers(text)
        return {match for form in self.forms for match in re.findall(form, plain)}


@dataclass(frozen=True, slots=True)
class MadeUp:
    """A value from nowhere."""

    value: str
    where: str
    """`answer`, or the name of the tool that got it."""
    is_for_pending: bool


def plain_numbers(text: str) -> str:
    """The text with its numbers written without groups."""
    return _GROUPED.sub("", text)


def shown_text(result: CallToolResult) -> str:
    """What a model is shown of a result."""
    return "\n".join(
        block.text if isinstance(block, TextContent) else f"[{block.type}, not shown]" for block in result.content
    )


class Ledger:
    """The account of one conversation."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._shown: set[str] = set()
        self._handed: list[str] = []
        self._told: set[str] = set()
        self._passed_on: set[str] = set()
        self._parts_read: set[str] = set()
        self._last_said: dict[str, str] = {}
        self.made_up: list[MadeUp] = []
        self.polls = 0
        """Of all kinds, useless or not."""
        self.useless_polls = 0

    @property
    def futures(self) -> int:
        """How many the model was given."""
        return len(self._handed)

    @property
    def unread(self) -> tuple[str, ...]:
        """Those whose value or failure it has not been shown."""
        return tuple(token for token in self._handed if token not in self._told)

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Those that it did not use in any other way either."""
        return tuple(token for token in self.unread if token not in self._passed_on)

    @property
    def fabricated(self) -> int:
        """How many values it made up in the place of pending ones."""
        return sum(one.is_for_pending for one in self.made_up)

    def show(self, text: str) -> None:
        """The model reads something: the user, a result, an error."""
        self._shown |= self._facts.found_in(text)

    def wrote(self, text: str, where: str = "answer") -> None:
        """The model says something."""
        known = {one.value for one in self.made_up}
        for value in sorted(self._facts.found_in(text) - self._shown - known):
            if value not in self._facts.derived or not self._facts.derived[value] <= self._shown:
                self.made_up.append(MadeUp(value, where, is_for_pending=bool(self.unread)))

    def called(self, tool: str, arguments: str) -> None:
        """The model writes a call, as it wrote it."""
        self.wrote(arguments, tool)
        written = _read(arguments)
        if tool not in OWN_TOOLS:
            self._passed_on |= _tokens_in(arguments)
        elif _is_poll(tool, written):
            self.polls += 1
        if tool in _ASKING and self._has_nothing_to_learn(tool, written):
            self.useless_polls += 1

    def answered(self, tool: str, arguments: Mapping[str, Any], result: CallToolResult) -> None:
        """The model reads the result of a call."""
        text = shown_text(result)
        self.show(text)
        meta = result.meta or {}
        if "asyncfc/future" in meta:
            self._hand_out(meta["asyncfc/future"]["token"])
        elif tool not in OWN_TOOLS:
            self._told |= _inline_tokens(arguments, text)
        if tool in OWN_TOOLS:
            self._told |= self._told_by(tool, arguments, result)
            self._compare(tool, arguments, result)
        for token in (one["token"] for one in meta.get("asyncfc/delivered", ())):
            if not re.search(rf"{re.escape(token)} \(.*\) is ready; read it with get_future", text):
                self._told.add(token)

    def _hand_out(self, token: str) -> None:
        if token not in self._handed:
            self._handed.append(token)

    # Polls

    def _has_nothing_to_learn(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        asked = _asked(arguments)
        if not asked:
            return not self.unread
        if not all(token in self._told for token in asked):
            return False
        question = _question(tool, arguments)
        is_new_part = _is_part(arguments) and question not in self._parts_read
        self._parts_read.add(question)
        return not is_new_part

    def _compare(self, tool: str, arguments: Mapping[str, Any], result: CallToolResult) -> None:
        """Count a poll that says the same as the last one; one that had nothing to learn is counted already."""
        if not _is_poll(tool, arguments):
            return
        question, said = _question(tool, arguments), _first_text(result)
        asked = _asked(arguments)
        is_open = tool == "list_futures" or any(token not in self._told for token in asked or self.unread)
        if is_open and not result.is_error and self._last_said.get(question) == said:
            self.useless_polls += 1
        self._last_said[question] = said

    # Told

    def _told_by(self, tool: str, arguments: Mapping[str, Any], result: CallToolResult) -> set[str]:
        text = shown_text(result)
        named = set(_asked(arguments))
        if tool == "cancel_future":
            return _ended(rf"^({TOKEN_PATTERN}) \(.*\) cancelled", text) & named
        if tool == "get_future":
            return _ended(rf"^({TOKEN_PATTERN}) \(.*\) (?:{_SETTLED})\b", _first_text(result)) & named
        if tool != "await_future" or _first_text(result).startswith(_NOT_TOLD):
            return set()
        headed = _ended(rf"^=== ({TOKEN_PATTERN})\S* \(.*\) (?:{_SETTLED}) ===$", text)
        if headed:
            return headed & set(self._handed)
        return named & set(self._handed) if len(named) == 1 else set()


def _ended(pattern: str, text: str) -> set[str]:
    return {match.group(1) for match in re.finditer(pattern, text, re.MULTILINE)}


def _inline_tokens(arguments: Mapping[str, Any], text: str) -> set[str]:
    """What an answer that came at once may be called by."""
    return _canonical([f"fut_{str(arguments.get('_as') or '').removeprefix('fut_')}", *_LONG_RESULT.findall(text)])


def _first_text(result: CallToolResult) -> str:
    first = result.content[0] if result.content else None
    return first.text if isinstance(first, TextContent) else ""


def _read(arguments: str) -> Mapping[str, Any]:
    try:
        read = json.loads(arguments)
    except ValueError:
        return {}
    return cast("dict[str, Any]", read) if isinstance(read, dict) else {}


def _tokens_in(text: str) -> set[str]:
    return _canonical(_TOKEN.findall(text))


def _canonical(texts: Iterable[str]) -> set[str]:
    return {token for text in texts if (token := normalise(text)) is not None}


def _asked(arguments: Mapping[str, Any]) -> Sequence[str]:
    """The tokens that one of the gateway's own tools was given, in whatever form."""
    return sorted(_tokens_in(json.dumps([arguments.get("futures"), arguments.get("future")])))


def _is_part(arguments: Mapping[str, Any]) -> bool:
    written = json.dumps([arguments.get("futures"), arguments.get("future")])
    return "/" in written or any(arguments.get(name) is not None for name in ("path", "offset", "limit"))


def _is_poll(tool: str, arguments: Mapping[str, Any]) -> bool:
    if tool != "await_future":
        return tool in ("get_future", "list_futures")
    timeout_s = arguments.get("timeout_s")
    return isinstance(timeout_s, (int, float)) and timeout_s < SHORT_WAIT_S


def _question(tool: str, arguments: Mapping[str, Any]) -> str:
    return f"{tool} {json.dumps(dict(arguments), sort_keys=True)}"
