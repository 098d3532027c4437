"""How long a server is waited for, and when it is asked whether it is still there; tests are less patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from asyncfc_mcp.downstream.links.keep_alive import KeepAlive
from asyncfc_mcp.downstream.retrying import LONGEST_DELAY_S, delay_s


@dataclass(frozen=True, slots=True)
class Patience:
    """With one server that does not come up, does not stay up, or does not answer."""

    breaker_attempts: int = 5
    """Failures in a row after which calls fail at once instead of waiting for the next try.

    The first four tries are over within ten seconds: as long as a server that is merely restarted takes to come back.
    """
    delay_s: Callable[[int], float] = delay_s
    """The pause after so many failures in a row."""
    lasting_delay_s: float = LONGEST_DELAY_S
    """The pause where somebody has to change something first."""
    called_try_s: float = LONGEST_DELAY_S
    """A server that was given up is tried for a call, once in so long: a start may be dear, and calls come often."""
    steady_s: float = 10.0
    """A server that was up for so long starts again without the delay of earlier failures."""

    keep_alive: KeepAlive = field(default_factory=KeepAlive)
    """For servers at an address."""

    first_quiet_s: float = 2.0
    """When a child is first asked: early, because only one that has answered is judged by its answers later.

    After its start is over, so that it is not asked in the middle of that.
    """
    quiet_s: float = 30.0
    """After so long without a word a child is asked again: two short lines, and no frozen one stays for minutes."""
    answer_limit_s: float = 5.0
    """How long it may take to answer until it counts as unresponsive; collecting garbage takes no longer."""
    replace_after_s: float = 20.0
    """How long one that had nothing to do stays unresponsive before it is replaced: some work without being called."""


DEFAULT_PATIENCE = Patience()
