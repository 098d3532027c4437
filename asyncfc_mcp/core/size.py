"""About how many bytes JSON takes, in memory or on the wire, without writing it down."""

from __future__ import annotations

from typing import Any, cast

_ITEM_BYTES = 8
"""What a number, a bracket or a pair of quotes may come to."""


def size_of(value: Any, most: int | None = None) -> int:
    """The size of a JSON value; counted no further than it takes to see that it is over `most`.

    Not recursive: clients and servers nest as deep as they like.
    """
    size = 0
    waiting: list[Any] = [value]
    while waiting and (most is None or size <= most):
        item = waiting.pop()
        size += _ITEM_BYTES
        if isinstance(item, str):
            size += _text_bytes(item)
        elif isinstance(item, dict):
            members = cast("dict[str, Any]", item)
            size += sum(map(_text_bytes, members))
            waiting.extend(members.values())
        elif isinstance(item, list):
            waiting.extend(cast("list[Any]", item))
    return size


def in_megabytes(size_bytes: int) -> str:
    """As settings have it: `16 MB`."""
    return f"{round(size_bytes / 2**20, 3):g} MB"


def _text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
