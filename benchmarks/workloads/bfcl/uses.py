"""Which arguments of a ground-truth call come from earlier results: the package does not say, so it is inferred.

The rules, first match first, for each string or number in the arguments:

1. it stands in what the user has said so far, or in a text that the model itself has written before: known without a
   result;
2. it equals a value at a path of an earlier result: verbatim, and the earliest such result counts. A path that picks
   one of several items of a list needs a look at the value and so is not verbatim;
3. it is part of an earlier result's text, or has a telling part of one in it: not verbatim;
4. a number from nowhere, right after a call of the same turn that gave numbers: computed from them, not verbatim;
5. everything else (`..`, names of doors, texts of the model's own) is the model's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.workloads.pointer import Place, is_same, leaves, pointer
from benchmarks.workloads.program import Use

MIN_PART_LENGTH = 3
"""A shorter text is part of too much to mean anything."""
MIN_TELLING_LENGTH = 6
SELF_EVIDENT = (0, 1)
"""Numbers that need no source: the brake pressed fully, the last line of a file."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an earlier call of the program gave."""

    index: int
    is_of_same_turn: bool
    value: Any

    @property
    def text(self) -> str:
        """All of it as the model sees it."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value)


def uses_of(arguments: Mapping[str, Any], said: str, results: Sequence[Result]) -> tuple[Use, ...]:
    """The uses of one call; `said` is what the user has said up to and in this turn, and the model's own texts."""
    found = (_use(into, value, said, results) for into, value in leaves(arguments))
    return tuple(use for use in found if use)


def _use(into: Place, value: Any, said: str, results: Sequence[Result]) -> Use | None:
    if isinstance(value, bool) or value is None or value == "" or _is_said(value, said):
        return None
    equal = [
        Use(at.index, pointer(path), into, verbatim) for at in results for path, verbatim in _equals(at.value, value)
    ]
    parts = [Use(at.index, "", into, is_verbatim=False) for at in results if _is_part(value, at, said)]
    sources = sorted(equal, key=lambda use: (not use.is_verbatim, use.producer)) + parts
    return sources[0] if sources else _computed(into, value, results)


def _is_said(value: Any, said: str) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in said.lower()
    return _has_number(said, value)


def _has_number(text: str, number: float) -> bool:
    # Thousands are written with commas in speech, and items of lists with a comma and a space.
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    return re.search(rf"(?<![\d.]){re.escape(f'{number:.12g}')}(?!\d|\.\d)", text) is not None


def _equals(held: Any, value: Any) -> Iterator[tuple[Place, bool]]:
    for path, leaf in leaves(held):
        # Where an argument takes text, a number of a result is passed as its JSON.
        if is_same(leaf, value) or (isinstance(value, str) and not isinstance(leaf, str) and json.dumps(leaf) == value):
            yield path, _is_foreseeable(held, path)


def _is_foreseeable(held: Any, path: Place) -> bool:
    """Whether the path can be written without a look at the value: it picks nothing from several."""
    for step in path:
        if isinstance(held, list) and len(cast("list[Any]", held)) > 1:
            return False
        held = cast("Any", held)[step]
    return True


def _is_part(value: Any, result: Result, said: str) -> bool:
    if not isinstance(value, str):
        return value not in SELF_EVIDENT and _has_number(result.text, value)
    if len(value) >= MIN_PART_LENGTH and value.lower() in result.text.lower():
        return True
    return any(_is_telling(leaf, said) and str(leaf).lower() in value.lower() for _, leaf in leaves(result.value))


def _is_telling(leaf: Any, said: str) -> bool:
    if isinstance(leaf, str):
        return len(leaf) >= MIN_TELLING_LENGTH and leaf.lower() not in said.lower()
    return isinstance(leaf, float) and not _has_number(said, leaf)


def _computed(into: Place, value: Any, results: Sequence[Result]) -> Use | None:
    if isinstance(value, str) or value in SELF_EVIDENT or not results:
        return None
    last = results[-1]
    has_numbers = any(isinstance(leaf, (int, float)) and not isinstance(leaf, bool) for _, leaf in leaves(last.value))
    return Use(last.index, "", into, is_verbatim=False) if last.is_of_same_turn and has_numbers else None
