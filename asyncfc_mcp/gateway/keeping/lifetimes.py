"""How long settled futures can be asked for: each as long as held when it settled, whatever is configured later."""

from __future__ import annotations


class Lifetimes:
    """All times are on the monotonic clock.

    Args:
        ttl_s: what holds from the start.
    """

    def __init__(self, ttl_s: float) -> None:
        self._since: list[tuple[float, float]] = [(float("-inf"), ttl_s)]
        """When each began to hold; the last one does."""

    @property
    def now_s(self) -> float:
        """Of what settles now."""
        return self._since[-1][1]

    def change(self, ttl_s: float, now: float) -> None:
        """Have another one hold from now on."""
        if ttl_s == self.now_s:
            return
        self._since.append((now, ttl_s))
        while len(self._since) > 1 and self._since[1][0] + self._since[0][1] < now:  # all of that time have expired
            del self._since[0]

    def of(self, settled_at: float) -> float:
        """Of what settled then, in seconds."""
        return next((ttl_s for since, ttl_s in reversed(self._since) if since <= settled_at), self._since[0][1])
