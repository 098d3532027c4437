"""How TCP is told to notice a peer that is gone: a machine that was cut off says nothing, and so would we for hours.

Nothing of this is seen by the server's program, and its silence while it works is no reason to end anything.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """When a silent peer's machine is asked whether it is there, and when the connection is over.

    A minute in all: as long as the shortest time-outs of clients, and no load worth mentioning.
    """

    idle_s: int = 30
    interval_s: int = 10
    probes: int = 3
    """How many questions may go unanswered."""

    @property
    def in_all_s(self) -> int:
        """How long a peer may be gone unnoticed; so long may what we have sent stay unconfirmed as well."""
        return self.idle_s + self.interval_s * self.probes

    def socket_options(self) -> list[tuple[int, int, int]]:
        """What to set on a socket; each option is left out where the platform does not know it."""
        wanted = {
            "TCP_KEEPIDLE": self.idle_s,
            "TCP_KEEPALIVE": self.idle_s,  # the same, as macOS calls it
            "TCP_KEEPINTVL": self.interval_s,
            "TCP_KEEPCNT": self.probes,
            "TCP_USER_TIMEOUT": self.in_all_s * 1000,
        }
        known = [(getattr(socket, name), value) for name, value in wanted.items() if hasattr(socket, name)]
        of_tcp = [(socket.IPPROTO_TCP, option, value) for option, value in known]
        return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *of_tcp]
