"""What a program hands over, as JSON has it: the arguments of calls, and configurations."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, cast

from asyncfc_mcp.errors import GatewayError


class NotJson(GatewayError):
    """The arguments of a call hold something that no server could be sent."""

    def __init__(self, fact: str) -> None:
        super().__init__(
            f"the arguments cannot be sent: {fact}. They are a dictionary of what JSON has: text, finite numbers, "
            "booleans, None, lists and dictionaries with text for keys; futures and paths may stand for text"
        )
        self.fact = fact


def plain(value: object, of_ours: Callable[[object], object] = lambda odd: odd) -> Any:
    """A copy of the value, as it would come out of a JSON file; paths are written as text.

    Args:
        value: what the program has.
        of_ours: gives what to write for what JSON has nothing for; other things as they are.

    Raises:
        ValueError: it cannot be written; the text says what stands in the way.
    """

    def other(odd: object) -> Any:
        if isinstance(odd, Mapping):
            return dict(cast("Mapping[Any, Any]", odd))
        if isinstance(odd, os.PathLike):
            return os.fsdecode(cast("os.PathLike[str]", odd))
        if (written := of_ours(odd)) is odd:
            raise TypeError(f"JSON has nothing for {type(odd).__name__}")
        return written

    try:
        return json.loads(json.dumps(value, default=other, allow_nan=False))
    except RecursionError:
        raise ValueError("it nests too deep, or holds itself") from None
    except TypeError as odd:
        raise ValueError(str(odd)) from None
