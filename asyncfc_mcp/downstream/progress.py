"""What a server says of the progress of a call, as far as it can be used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class ProgressSaid(NamedTuple):
    """The arguments of whoever listens to the progress of a call."""

    done: float
    total: float | None
    message: str | None


def progress_said(params: Mapping[str, Any]) -> ProgressSaid | None:
    """What `notifications/progress` says; None without a number that says how far it is."""
    done, message = finite(params.get("progress")), params.get("message")
    if done is None:
        return None
    return ProgressSaid(done, finite(params.get("total")), message if isinstance(message, str) else None)


def finite(value: object) -> float | None:
    """The number that it is; None for anything else, and for what no float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
