"""How long a step of the model takes, as far as can be seen from here, and so how long a call is worth waiting for.

A token that the model has to come back for costs it a step of its own, while waiting costs what the call takes: the
ski-rental problem. Waiting about as long as a step takes is never much worse than twice the best choice, whatever the
call does (Karlin, Manasse, Rudolph, Sleator, "Competitive snoopy caching", 1988).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FIRST_STEP_S = 3.0
"""What a step is taken to last before one was seen: with 1 s the first call of a slow model costs it a step more."""
WORTH = 0.75
"""The part of a step that is waited; it has the least regret in `benchmarks.end_to_end --inline-wait`."""
SHORTEST_WAIT_S = 0.3
"""However fast a model seems: to come back for a value it has to write an await, and to be asked once more."""
LONGEST_WAIT_S = 10.0
"""However slow a model seems: its user may have been thinking meanwhile."""
REMEMBERED = 8


@dataclass(slots=True)
class Pace:
    """The last steps of one model, each from an answer to the first call that was written after reading it."""

    seen_s: deque[float] = field(default_factory=lambda: deque[float](maxlen=REMEMBERED))

    def note(self, step_s: float) -> None:
        """One more step."""
        self.seen_s.append(step_s)

    @property
    def worth_s(self) -> float:
        """How long a call that begins now is worth waiting for, in seconds.

        By the lower quartile of the steps: longer ones hold a pause of the user's.
        """
        step_s = sorted(self.seen_s)[len(self.seen_s) // 4] if self.seen_s else FIRST_STEP_S
        return min(max(WORTH * step_s, SHORTEST_WAIT_S), LONGEST_WAIT_S)
