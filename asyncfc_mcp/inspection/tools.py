"""What is to be said of the tools that servers list: their number, names, annotations and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from asyncfc_mcp.config.models import ServerEntry
from asyncfc_mcp.config.policy import LabelSource, unknown_tools
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.naming import MAX_NAME_LENGTH, RESERVED_NAMES
from asyncfc_mcp.inspection.findings import Finding, Severity, some_of
from asyncfc_mcp.inspection.hosts import Host
from asyncfc_mcp.inspection.servers import ListedServer


def number_findings(servers: Sequence[ListedServer], hosts: Sequence[Host], *, is_chosen: bool) -> Iterator[Finding]:
    """Hosts that show the model only so many tools."""
    number = sum(len(server.tools) for server in servers) + len(RESERVED_NAMES)
    short = [host for host in hosts if host.most_tools is not None and number > host.most_tools]
    if not short:
        return
    largest = sorted(servers, key=lambda server: -len(server.tools))
    counts = some_of([f"{server.key} {len(server.tools)}" for server in largest if server.tools])
    limits = " and ".join(f"{host.title} takes {host.most_tools}" for host in short)
    yield Finding(
        "",
        Severity.ERROR if is_chosen else Severity.NOTE,
        "too_many_tools",
        f"there are {number} tools, {len(RESERVED_NAMES)} of them the gateway's own, and {limits}",
        f'leave out what you do not use, with "asyncfc": {{"include": [...]}} or {{"exclude": [...]}} '
        f"in the entries of the largest servers ({counts})",
    )


def tool_findings(
    entry: ServerEntry, server: ListedServer, hosts: Sequence[Host], *, is_chosen: bool
) -> Iterator[Finding]:
    """What is to be said of the tools of one server that is up."""
    if server.ready_s is None:
        return
    if not server.tools:
        fact = "it offers no tools, or `include` and `exclude` leave none"
        yield Finding(server.key, Severity.NOTE, "no_tools", fact, "see `include` and `exclude` in its entry")
        return
    yield from _unknown_tools(entry, server)
    yield from _changed_names(entry, server)
    yield from _long_names(server, hosts, is_chosen=is_chosen)
    yield from _annotations(entry, server)
    yield from _labels(server)


def _unknown_tools(entry: ServerEntry, server: ListedServer) -> Iterator[Finding]:
    unknown = unknown_tools(entry, [tool.own_name for tool in server.tools])
    if unknown:
        fact = f"its entry has settings for tools that it does not list: {some_of(unknown)}"
        names = some_of([tool.own_name for tool in server.tools])
        yield Finding(server.key, Severity.WARNING, "unknown_tools", fact, f"correct their names; it lists {names}")


def _changed_names(entry: ServerEntry, server: ListedServer) -> Iterator[Finding]:
    changed = [tool for tool in server.tools if not _has_plain_name(entry, tool)]
    if changed:
        names = [f"{tool.own_name} is {tool.name}" for tool in changed]
        yield Finding(
            server.key,
            Severity.NOTE,
            "names_changed",
            f"names were cut or changed, to have at most {MAX_NAME_LENGTH} characters, no strange ones, and none that "
            f"the gateway's own tools have: {some_of(names)}",
            'a shorter "asyncfc": {"prefix": "..."}, or a "name" for each tool',
        )


def _has_plain_name(entry: ServerEntry, tool: CatalogTool) -> bool:
    settings = entry.settings.tools.get(tool.own_name)
    if settings is not None and settings.name is not None:
        return True
    prefix = entry.key if entry.settings.prefix is None else entry.settings.prefix
    return tool.name == (f"{prefix}_{tool.own_name}" if prefix else tool.own_name)


def _long_names(server: ListedServer, hosts: Sequence[Host], *, is_chosen: bool) -> Iterator[Finding]:
    for host in hosts:
        most = host.longest_name - len(host.name_prefix)
        long = [tool.name for tool in server.tools if len(tool.name) > most]
        if long:
            yield Finding(
                server.key,
                Severity.ERROR if is_chosen else Severity.NOTE,
                "names_too_long",
                f"{host.title} cuts or drops tools whose name, with {host.name_prefix!r} before it, has over "
                f"{host.longest_name} characters: {some_of(long)}",
                'give them a shorter "name" in "asyncfc": {"tools": {...}}, or the server a "prefix"',
            )


def _annotations(entry: ServerEntry, server: ListedServer) -> Iterator[Finding]:
    silent = [tool.own_name for tool in server.tools if tool.policy.hints.read_only is None]
    if silent:
        yield Finding(
            server.key,
            Severity.NOTE,
            "no_annotations",
            f"{len(silent)} of {len(server.tools)} tools do not say whether they only read: {some_of(silent)}",
            "hosts ask before each call of such a tool and make them one after another; its author can add "
            "annotations (`readOnlyHint`), and labels in its entry tell the gateway",
        )
    if not entry.settings.trust and any(_is_annotated(tool) for tool in server.tools):
        yield Finding(
            server.key,
            Severity.NOTE,
            "annotations_not_trusted",
            "its annotations do not count as labels, since it runs elsewhere",
            'if you trust it: "asyncfc": {"trust": true}',
        )


def _is_annotated(tool: CatalogTool) -> bool:
    annotations: Any = tool.tool.get("annotations")
    return isinstance(annotations, dict) and cast("dict[str, Any]", annotations).get("readOnlyHint") is True


def _labels(server: ListedServer) -> Iterator[Finding]:
    serialised = [tool.own_name for tool in server.tools if tool.policy.label_source is LabelSource.DEFAULT]
    if not serialised:
        return
    are_all = len(serialised) == len(server.tools)
    number = "its tools" if are_all else f"{len(serialised)} of {len(server.tools)} tools"
    yield Finding(
        server.key,
        Severity.WARNING if are_all else Severity.NOTE,
        "serialised",
        f"nothing says what {number} read and write, so each call keeps its place behind all that were answered before "
        f"it: {some_of(serialised)}",
        f"`asyncfc-mcp annotate --server {server.key}` proposes labels; if it shares no state with other servers, "
        '"asyncfc": {"isolated": true} keeps it from waiting for them',
    )
