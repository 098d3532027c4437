"""The label policies that are compared, as settings of the gateway and as plain labels for a solver."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from itertools import product
from typing import Any, Literal

from asyncfc_mcp.core.label import Access, Label, LabelPath, Template, conflict, expand
from benchmarks.workloads.program import Call, Program
from benchmarks.workloads.world import Tool, ToolsOfServers

Policy = Literal["off", "root", "server", "read_write"]
_parse = lru_cache(maxsize=1024)(Template.parse)
POLICIES: tuple[Policy, ...] = ("off", "root", "server", "read_write")


def templates(tool: Tool, server: str, policy: Policy) -> dict[str, list[str]]:
    """What a tool declares that it reads and writes."""
    match policy:
        case "off":
            return {"reads": [], "writes": []}
        case "root":
            return {"reads": [], "writes": [""]}
        case "server":
            return {"reads": [], "writes": [server]}
        case "read_write":
            return {"reads": list(tool.reads), "writes": list(tool.writes)}


def settings(tools: ToolsOfServers, policy: Policy) -> dict[str, dict[str, Any]]:
    """The `asyncfc` object of each server in a configuration file."""
    return {
        server: {"tools": {tool.name: templates(tool, server, policy) for tool in described}}
        for server, described in tools.items()
    }


def labels_of(program: Program, call: Call, policy: Policy, referred: Container[str] = ()) -> tuple[Label, ...]:
    """The labels of a call; arguments named in `referred` are passed as tokens, so their values are not known yet."""
    tool = next(tool for tool in program.tools[call.server] if tool.name == call.tool)
    declared = templates(tool, call.server, policy)
    return tuple(
        Label(path, access, is_declared=True)
        for access, written in ((Access.READ, declared["reads"]), (Access.WRITE, declared["writes"]))
        for text in written
        for path in expand(_parse(text), call.arguments, lambda name: name in referred, _segments)
    )


def conflicts(program: Program, earlier: Call, later: Call, policy: Policy) -> bool:
    """Whether the later of two calls waits for the earlier one when both give concrete arguments."""
    pairs = product(labels_of(program, earlier, policy), labels_of(program, later, policy))
    return any(conflict(one, other) for one, other in pairs)


def _segments(path: str) -> LabelPath | None:
    return tuple(path.strip("/").split("/")) if path.startswith("/") else None
