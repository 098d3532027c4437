"""Whether a server that keeps failing is still waited for, and when it is tried again: a state of its connection."""

from __future__ import annotations

import time

from asyncfc_mcp.downstream.patience import Patience


class Breaker:
    """Counts failures in a row.

    Closed, calls wait for the next attempt; open, they fail at once, until an attempt that is under way has decided for
    all that have come meanwhile; given up, nothing but a call brings about another attempt.
    """

    def __init__(self, patience: Patience, restart_limit: float) -> None:
        self.failures = 0
        """Since it last was up for a while, of the kind that another attempt may mend."""
        self.is_open = False
        """Whether it has failed too often for calls to wait for it."""
        self.is_lasting = False
        """Whether somebody has to change something before it can be up again."""
        self.next_try_at: float | None = None
        """On the monotonic clock; of one that was given up, for a call."""
        self.restart_limit = restart_limit
        self._patience = patience
        self._called_try_at = 0.0

    @property
    def gives_up(self) -> bool:
        """Whether it has failed so often that it is not tried again by itself."""
        return self.failures >= self.restart_limit and not self.is_lasting

    @property
    def gives_up_now(self) -> bool:
        """Whether the last failure was the one too many."""
        return self.failures == self.restart_limit and not self.is_lasting

    @property
    def retry_in_s(self) -> float | None:
        """How long until the next attempt, or until a call may bring one about; None when one is under way."""
        return None if self.next_try_at is None else max(0.0, self.next_try_at - time.monotonic())

    @property
    def may_try_for_a_call(self) -> bool:
        """Whether a call may bring the next attempt forward; only asked between two attempts."""
        if not self.is_open:
            # Later on every call would cost it an attempt, and so open the breaker within seconds.
            return self.failures <= 1
        return time.monotonic() >= self._called_try_at

    def note_failure(self, *, is_lasting: bool, was_up_s: float) -> bool:
        """An attempt is over, whether or not it was up for a time; whether that has opened the breaker."""
        if was_up_s > self._patience.steady_s:
            self.failures = 0
        if not is_lasting:  # each call costs such a server an attempt, and none of them says that it is hopeless
            self.failures += 1
        self.is_lasting = is_lasting
        now = time.monotonic()
        self.next_try_at = now + self._pause_s
        # Where somebody has to change something first, an attempt is over at once, and who has done so calls next.
        self._called_try_at = now if is_lasting else self.next_try_at
        was_open = self.is_open
        most = min(self._patience.breaker_attempts, self.restart_limit)
        self.is_open = was_open or is_lasting or self.failures >= most
        return self.is_open and not was_open

    def note_ready(self) -> bool:
        """It is up; whether that has closed the breaker."""
        was_open = self.is_open
        self.is_open = self.is_lasting = False
        return was_open

    @property
    def _pause_s(self) -> float:
        if self.gives_up:
            return self._patience.called_try_s
        return self._patience.lasting_delay_s if self.is_lasting else self._patience.delay_s(self.failures)
