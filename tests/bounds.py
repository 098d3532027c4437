"""Time bounds, also those that the product promises, as tests can hold them on a machine with other things to do."""

from __future__ import annotations

import os


def bound_s(seconds: float) -> float:
    """The promised time, stretched by as much as the machine has more to do than cores to do it."""
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # there is no such thing on Windows
        load = 0.0
    return seconds * max(1.0, load / (os.cpu_count() or 1))
