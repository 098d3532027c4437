"""Time bounds, also those that the product promises, as tests can hold them on a machine with other things to do."""

from __future__ import annotations

import os
from typing import Any

VALUE_WITHIN_S = 15.0
"""How long a call may take whose value is wanted."""
PAUSE_S = 2.0
"""For how long a busy machine may hold up any process, which what it did the minute before says nothing of."""


def bound_s(seconds: float) -> float:
    """The promised time, stretched by as much as the machine has more to do than cores to do it."""
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # there is no such thing on Windows
        load = 0.0
    return seconds * max(1.0, load / (os.cpu_count() or 1))


def with_wait(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call whose value is wanted: without a wait of its own it is a token on a busy machine."""
    is_ours = tool.removesuffix("s").endswith("_future")
    return arguments if is_ours else {"_wait_s": VALUE_WITHIN_S, **arguments}
