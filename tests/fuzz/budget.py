"""How much the properties of this folder try: little in every run of the tests, more where somebody has the time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EFFORT = int(os.environ.get("ASYNCFC_FUZZ_EFFORT", "1"))
"""How many times the small budget."""
LIVES_S = 60.0 * EFFORT
"""The bound of a gateway that many tries share."""


def examples(count: int) -> settings:
    """For properties that cost about as much each time, however long that is."""
    too_slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=count * EFFORT, suppress_health_check=too_slow)
