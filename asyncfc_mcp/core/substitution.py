"""Arguments in which every reference has given way to the value that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any, cast

from asyncfc_mcp.core.reference import Place, Reference, find_escapes, in_words, unescape
from asyncfc_mcp.core.value import Slot, Value, convert_text, select

_IN_TEXT: Slot = frozenset({"string", "null"})


def substitute(
    arguments: Mapping[str, Any],
    references: Iterable[Reference],
    values: Mapping[str, Value],
    slot_of: Callable[[Place], Slot],
    *,
    embed: bool = True,
) -> dict[str, Any]:
    """A copy with the values in place of `references`, and with escapes undone where `embed` allows them."""
    by_place: dict[Place, list[Reference]] = {}
    for reference in references:
        by_place.setdefault(reference.at, []).append(reference)
    escaped = find_escapes(arguments) if embed else {}
    replaced: dict[Place, Any] = {at: unescape(text) for at, text in escaped.items()}
    for at, group in by_place.items():
        replaced[at] = _replacement(_at(arguments, at), group, values, slot_of(at))
    filled = _copy(arguments)
    for at, value in replaced.items():
        _at(filled, at[:-1])[at[-1]] = value
    return filled


def _replacement(text: str, group: list[Reference], values: Mapping[str, Value], slot: Slot) -> Any:
    if not group[0].is_embedded:
        return _value(group[0], values, slot)
    pieces: list[str] = []
    position = 0
    for reference in sorted(group, key=lambda reference: reference.start):
        value = _value(reference, values, _IN_TEXT)
        pieces += [unescape(text[position : reference.start]), "null" if value is None else value]
        position = reference.end
    pieces.append(unescape(text[position:]))
    return convert_text("".join(pieces), slot)


def _value(reference: Reference, values: Mapping[str, Value], slot: Slot) -> Any:
    value = values[reference.token]
    return select(value, reference.path, slot, token=reference.token, argument=in_words(reference.at))


def _at(container: Any, place: Place) -> Any:
    for key in place:
        container = container[key]
    return container


def _copy(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Of every container but of no leaf; not recursive, because callers nest as deep as they like."""
    root = dict(arguments)
    pending: list[Any] = [root]
    while pending:
        container = pending.pop()
        for key, item in _members(container):
            if isinstance(item, (dict, list)):
                container[key] = copy(cast("Any", item))
                pending.append(container[key])
    return root


def _members(container: Any) -> Iterable[tuple[Any, Any]]:
    return enumerate(cast("list[Any]", container)) if isinstance(container, list) else container.items()
