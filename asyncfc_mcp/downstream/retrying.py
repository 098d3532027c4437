"""How long to wait before the next try."""

from __future__ import annotations

import tenacity

LONGEST_DELAY_S = 60.0

_BACK_OFF = tenacity.wait_exponential(multiplier=0.5, max=LONGEST_DELAY_S - 0.5) + tenacity.wait_random(0, 0.5)


def delay_s(attempt: int) -> float:
    """The pause after the `attempt`-th failure in a row: doubling, with jitter, up to the longest."""
    state = tenacity.RetryCallState(tenacity.Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt
    return _BACK_OFF(state)
