"""How near any rule for waiting can come to the best schedule, for an agent that says nothing.

A game: the agent makes one independent call a step, and nobody but the agent knows after how many of them it will want
the results. The rule knows every duration in advance, and that there are at most `MOST_CALLS`; for each call it decides
how long the call waits for its own result. What it reaches is the fraction of the best schedule in the worst case.
Whatever is measured through the gateway can be no better: it knows less.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import click

from benchmarks.schedule import Job, Plan, Step, best_s

MOST_CALLS = 6
DECODES_S = (1.0, 3.0, 8.0)
TOOLS_S = (0.2, 1.0, 5.0)


def best_fraction(decode_s: float, tool_s: float) -> float:
    """The fraction of the best schedule that the best rule keeps, however many calls there are."""
    best = [best_s(_plan(decode_s, tool_s, calls)) for calls in range(1, MOST_CALLS + 1)]
    # a wait that ends before the call does buys nothing; the half is there to show that
    rules = product((0.0, tool_s / 2, tool_s), repeat=MOST_CALLS)
    return max(
        min(best[n - 1] / taken_s(decode_s, tool_s, rule[:n]) for n in range(1, MOST_CALLS + 1)) for rule in rules
    )


def taken_s(decode_s: float, tool_s: float, waits_s: Sequence[float]) -> float:
    """When the answer has been written after as many calls as there are waits, each of which waits that long."""
    now, ends = 0.0, list[float]()
    for wait_s in waits_s:
        now += decode_s
        ends.append(now + tool_s)
        now += min(wait_s, tool_s)
    if max(ends) > now:
        now = max(now + decode_s, *ends)  # an await, written while the calls run
    return now + decode_s


def _plan(decode_s: float, tool_s: float, calls: int) -> Plan:
    steps = [Step(decode_s, (number,)) for number in range(calls)]
    last = Step(decode_s, (), frozenset(range(calls)))
    return Plan(tuple(Job(tool_s) for _ in range(calls)), (*steps, last), decode_s)


@click.command()
def main() -> None:
    """Print the best fraction for each decode time and tool latency."""
    print("decode_s tool_s  best rule's fraction of the best schedule")
    for decode_s, tool_s in product(DECODES_S, TOOLS_S):
        print(f"{decode_s:8g} {tool_s:6g}  {best_fraction(decode_s, tool_s):.3f}")


if __name__ == "__main__":
    main()
