"""All workloads by name."""

from __future__ import annotations

from functools import cache
from typing import Any

from asyncfc_mcp.errors import GatewayError
from benchmarks.workloads import coding, fanout
from benchmarks.workloads.bfcl import programs as bfcl
from benchmarks.workloads.labels import Policy, settings
from benchmarks.workloads.program import WORKLOADS, Program, Workload


class UnknownProgram(GatewayError):
    """No workload has a program of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"no workload has a program {name!r}; names are such as multi_turn_base_12, fanout_0, coding_39"
        )
        self.name = name


@cache
def programs(workload: Workload) -> tuple[Program, ...]:
    """The programs of a workload, in an order that never changes."""
    match workload:
        case "fanout":
            return fanout.programs()
        case "bfcl":
            return bfcl.programs()
        case "coding":
            return coding.programs()


def find(name: str) -> Program:
    """The program of that name."""
    found = next((program for workload in WORKLOADS for program in _named(workload, name)), None)
    if found is None:
        raise UnknownProgram(name)
    return found


def _named(workload: Workload, name: str) -> tuple[Program, ...]:
    # The package's names begin otherwise than its workload; it takes a second to read and may not be there.
    if workload == "bfcl" and not name.startswith("multi_turn"):
        return ()
    return tuple(program for program in programs(workload) if program.name == name)


def labels(workload: Workload, policy: Policy) -> dict[str, dict[str, Any]]:
    """The `asyncfc` object of each server of a workload in a configuration file."""
    tools = {server: described for program in programs(workload) for server, described in program.tools.items()}
    return settings(tools, policy)
