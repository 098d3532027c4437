"""Arguments in which every reference has given way to the value that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, cast

from asyncfc_mcp.core.reference import Place, Reference, find_escapes, in_words, unescape
from asyncfc_mcp.core.size import in_megabytes, size_of
from asyncfc_mcp.core.value import BadSubstitution, Slot, Value, convert_text, select

_IN_TEXT: Slot = frozenset({"string", "null"})


def substitute(
    arguments: Mapping[str, Any],
    references: Iterable[Reference],
    values: Mapping[str, Value],
    slot_of: Callable[[Place], Slot],
    *,
    embed: bool = True,
    most_bytes: int | None = None,
) -> dict[str, Any]:
    """A copy with the values in place of `references`, and with escapes undone where `embed` allows them.

    Raises:
        BadSubstitution: a value is of no use in its place, or makes the arguments larger than `most_bytes`.
    """
    filling = _Filling(values, most_bytes, 0 if most_bytes is None else size_of(arguments))
    by_place: dict[Place, list[Reference]] = {}
    for reference in references:
        by_place.setdefault(reference.at, []).append(reference)
    escaped = find_escapes(arguments) if embed else {}
    replaced: dict[Place, Any] = {at: unescape(text) for at, text in escaped.items()}
    for at, group in by_place.items():
        replaced[at] = filling.replacement(_at(arguments, at), group, slot_of(at))
    filled = _copy(arguments)
    for at, value in replaced.items():
        _at(filled, at[:-1])[at[-1]] = value
    return filled


@dataclass(slots=True)
class _Filling:
    """Counts what the values add, before any longer text is built of them."""

    values: Mapping[str, Value]
    most_bytes: int | None
    size_bytes: int

    def replacement(self, text: str, group: list[Reference], slot: Slot) -> Any:
        """What stands for a string with these references in it."""
        if not group[0].is_embedded:
            return self._value(group[0], slot)
        pieces: list[str] = []
        position = 0
        for reference in sorted(group, key=lambda reference: reference.start):
            value = self._value(reference, _IN_TEXT)
            pieces += [unescape(text[position : reference.start]), "null" if value is None else value]
            position = reference.end
        pieces.append(unescape(text[position:]))
        return convert_text("".join(pieces), slot)

    def _value(self, reference: Reference, slot: Slot) -> Any:
        token, path, argument = reference.token, reference.path, in_words(reference.at)
        value = select(self.values[token], path, slot, token=token, argument=argument)
        if self.most_bytes is not None:
            self.size_bytes += size_of(value, self.most_bytes - self.size_bytes)
            if self.size_bytes > self.most_bytes:
                limit = f"{in_megabytes(self.most_bytes)}, the limit (max_argument_mb)"
                raise BadSubstitution(argument, token, path, f"with this value the arguments are larger than {limit}")
        return value


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
