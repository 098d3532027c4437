"""Servers that share state with each other, or are a gateway themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from asyncfc_mcp.config.models import ServerEntry, StdioEntry
from asyncfc_mcp.config.policy import LabelSource
from asyncfc_mcp.inspection.commands import is_there
from asyncfc_mcp.inspection.findings import Finding, Severity
from asyncfc_mcp.inspection.servers import ListedServer
from asyncfc_mcp.server.handlers import NAME as GATEWAY_NAME


def sharing_findings(entries: Sequence[ServerEntry], servers: Sequence[ListedServer]) -> Iterator[Finding]:
    """Pairs of servers that are one and the same, or work on the same files without the gateway knowing."""
    listed = {server.key: server for server in servers}
    for first, second in combinations(entries, 2):
        if first.transport == second.transport:
            yield Finding(
                second.key,
                Severity.WARNING,
                "same_server_twice",
                f"it is started just as {first.key} is: all its tools are there twice",
                "take one of the two out",
            )
            continue
        shared = _shared_path(first, second)
        if shared is not None:
            yield from _apart(first, second, shared, listed)


def gateway_findings(server: ListedServer) -> Iterator[Finding]:
    """A server that is a gateway of ours."""
    if server.status.server_name == GATEWAY_NAME:
        yield Finding(
            server.key,
            Severity.WARNING,
            "gateway_behind_gateway",
            "it is a gateway of this kind itself: its answers may be tokens, which mean nothing here, and if it is "
            "this one, calls go round in circles",
            "put the servers behind it into this file, and take it out",
        )


def _apart(first: ServerEntry, second: ServerEntry, shared: Path, listed: dict[str, ListedServer]) -> Iterator[Finding]:
    """What one does there and the other does not wait for."""
    isolated = [entry for entry in (first, second) if entry.settings.isolated and _uses_default(entry, listed)]
    for entry in isolated:
        other = second if entry is first else first
        yield Finding(
            entry.key,
            Severity.WARNING,
            "shared_state",
            f"it is `isolated`, but {other.key} works on {shared} too: their calls do not wait for each other",
            "take `isolated` away, or give both labels below the same path; "
            f"`asyncfc-mcp annotate --server {entry.key}` proposes some",
        )
    namespaces = (_namespaces(first, listed), _namespaces(second, listed))
    if not isolated and all("" not in each for each in namespaces) and namespaces[0].isdisjoint(namespaces[1]):
        yield Finding(
            second.key,
            Severity.NOTE,
            "shared_state",
            f"{first.key} works on {shared} too, and their labels have nothing in common: their calls do not wait for "
            "each other",
            "give both labels below the same path, if what one does there matters to the other",
        )


def _namespaces(entry: ServerEntry, listed: dict[str, ListedServer]) -> set[str]:
    """The first segments of all its labels; the empty one is the root."""
    policies = [tool.policy for tool in listed[entry.key].tools] if entry.key in listed else []
    return {label.partition("/")[0] for policy in policies for label in (*policy.reads, *policy.writes)} or {""}


def _uses_default(entry: ServerEntry, listed: dict[str, ListedServer]) -> bool:
    tools = listed[entry.key].tools if entry.key in listed else ()
    return any(tool.policy.label_source in {LabelSource.DEFAULT, LabelSource.ANNOTATIONS} for tool in tools)


def _shared_path(first: ServerEntry, second: ServerEntry) -> Path | None:
    """A folder or file that both are given, or that is below one that the other is given."""
    for one in _given_paths(first):
        for other in _given_paths(second):
            if one == other or other in one.parents:
                return one
            if one in other.parents:
                return other
    return None


def _given_paths(entry: ServerEntry) -> list[Path]:
    """What it is given to work on: existing paths, of which the first is often the server itself."""
    transport = entry.transport
    if not isinstance(transport, StdioEntry):
        return []
    words = [word.partition("=")[2] if word.startswith("-") else word for word in transport.args]
    words += transport.env.values()
    paths = [Path(word) for word in words if Path(word).is_absolute() and len(Path(word).parts) > 1]
    return [path.resolve() for path in paths if is_there(path) and not _is_program(path)]


def _is_program(path: Path) -> bool:
    return path.suffix in {".py", ".js", ".mjs", ".cjs", ".ts", ".jar"} or "node_modules" in path.parts
