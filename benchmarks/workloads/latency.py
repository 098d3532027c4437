"""Log-normal tool latency that is a pure function of the call, so that a solver and a server draw the same."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist

from benchmarks.workloads.canonical import canonical
from benchmarks.workloads.program import Program
from benchmarks.workloads.world import JsonObject, Latency

SIGMA = 0.5


@dataclass(frozen=True, slots=True)
class LogNormalLatency:
    """Latency with the given mean; a mean of 0 is a call that takes no time."""

    mean_s: float
    seed: int
    sigma: float = SIGMA

    def seconds(self, server: str, tool: str, arguments: JsonObject, occurrence: int) -> float:
        """The duration of one call."""
        if self.mean_s == 0:
            return 0.0
        call = f"{self.seed}\n{server}\n{tool}\n{canonical(arguments)}\n{occurrence}"
        uniform = (int.from_bytes(hashlib.blake2b(call.encode(), digest_size=6).digest()) + 0.5) / 2**48
        return self.mean_s * math.exp(self.sigma * NormalDist().inv_cdf(uniform) - self.sigma**2 / 2)


def durations_s(program: Program, latency: Latency) -> tuple[float, ...]:
    """What each call of a program takes, in program order, when it is called with its true arguments."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found: list[float] = []
    for call in program.calls:
        key = (call.server, call.tool, canonical(call.arguments))
        found.append(latency.seconds(call.server, call.tool, call.arguments, seen[key]))
        seen[key] += 1
    return tuple(found)
