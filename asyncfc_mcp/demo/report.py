"""What the demonstration measured, and the proof that its runs came to the same end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from asyncfc_mcp.demo.program import TRIP, predecessors
from asyncfc_mcp.demo.record import Run, Timeline, Way
from asyncfc_mcp.demo.schedule import Bound, Work, best_finish_s, critical_path_s
from asyncfc_mcp.errors import GatewayError


class RunsDiffer(GatewayError):
    """Two runs of the same program did not come to the same end."""

    def __init__(self, way: Way, what: str, expected: str | None, found: str | None) -> None:
        super().__init__(
            f"the run {way.value!r} differs from the first one in {what}: expected {expected!r}, found {found!r}; "
            "this is a fault in the gateway: please report it with this text"
        )
        self.way = way
        self.what = what
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True)
class DemoReport:
    """The runs and what they could have been at best."""

    runs: Mapping[Way, Run]
    best_s: float
    """Wall time of the best schedule for the agent of the futures run, with the tool times measured in that run."""
    bound: Bound
    """From the times measured in the synchronous run."""

    def gain(self, over: Way) -> float:
        """How many times faster than another run the futures run was."""
        return self.runs[over].timeline.end_s / self.runs[Way.FUTURES].timeline.end_s


def report(runs: Mapping[Way, Run]) -> DemoReport:
    """The report on three runs that agree; raises RunsDiffer when they do not."""
    for way, run in runs.items():
        check_same(way, runs[Way.SYNCHRONOUS], run)
    synchronous = runs[Way.SYNCHRONOUS].timeline
    tools = works(synchronous)
    bound = Bound(synchronous.thinking_s, sum(work.duration_s for work in tools), critical_path_s(tools))
    return DemoReport(runs=runs, best_s=best_s(runs[Way.FUTURES].timeline), bound=bound)


def check_same(way: Way, expected: Run, found: Run) -> None:
    """Every result and every file, compared word for word."""
    for what, one, other in (("result", expected.results, found.results), ("file", expected.files, found.files)):
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                raise RunsDiffer(way, f"{what} {name}", one.get(name), other.get(name))


def works(timeline: Timeline, written_s: Sequence[float] = (0.0,) * len(TRIP)) -> list[Work]:
    """The calls as a schedule sees them: how long each server worked, and when the agent had written it."""
    before = predecessors(TRIP)
    return [
        Work(call.name, timeline.duration_s(call.tool), before[call.name], ready_s)
        for call, ready_s in zip(TRIP, written_s, strict=True)
    ]


def best_s(timeline: Timeline) -> float:
    """The shortest wall time with the thinking of the futures run: a thought a call, one for the await, the answer."""
    *writing, awaiting, answering = (span.length_s for span in timeline.thinking)
    written_s = [*accumulate(writing)]
    tools_end_s = best_finish_s(works(timeline, written_s))
    return max(sum(writing) + awaiting, tools_end_s) + answering
