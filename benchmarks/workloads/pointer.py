"""Places in JSON: their leaves, their pointers, and equality that tells `1` from `true` and from `1.0`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

Place = tuple[str | int, ...]


def leaves(value: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Everything in a value that is neither an object nor a list, with where it stands."""
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[str, Any]", value).items():
            yield from leaves(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from leaves(item, (*at, index))
    else:
        yield at, value


def pointer(place: Place) -> str:
    """The JSON Pointer of a place."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in place)


def at_pointer(value: Any, path: str) -> Any:
    """What a JSON Pointer leads to."""
    for written in path.split("/")[1:]:
        step = written.replace("~1", "/").replace("~0", "~")
        key = int(step) if isinstance(value, list) else step
        value = cast("Any", value)[key]
    return value


def is_same(one: Any, other: Any) -> bool:
    """Whether two leaves are the same JSON."""
    return type(one) is type(other) and one == other
