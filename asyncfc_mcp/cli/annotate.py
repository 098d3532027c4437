"""`asyncfc-mcp annotate`: proposes labels for tools that have none, and says why two calls may or may not overlap."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import click

from asyncfc_mcp.annotation.explaining import SOURCES, AskedCall, Explanation, LabelledCall, explain
from asyncfc_mcp.annotation.proposing import Proposal, propose
from asyncfc_mcp.cli.annotations_written import Labels, write_labels
from asyncfc_mcp.cli.files import chosen_file
from asyncfc_mcp.cli.interrupts import run_interruptible
from asyncfc_mcp.cli.label_words import ROOT, labels_in_words
from asyncfc_mcp.cli.tables import harmless, print_table
from asyncfc_mcp.config.load import load_file, short_name
from asyncfc_mcp.config.models import ServerEntry, StdioEntry
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.inspection.reading import narrowed
from asyncfc_mcp.inspection.servers import ListedServer, listed
from asyncfc_mcp.telemetry.logs import configure_logs


class UnreadableCall(GatewayError):
    """A call to explain was not written as one."""

    def __init__(self, written: str, fact: str) -> None:
        super().__init__(f'{written!r} {fact}; write a tool and its arguments, such as \'files_read {{"path": "/a"}}\'')
        self.written = written


class NoSuchTool(GatewayError):
    """A tool was asked for that no server lists."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        near = difflib.get_close_matches(name, known, n=3) or sorted(known)[:20]
        super().__init__(f"there is no tool {name!r}; there is {', '.join(near) or 'none'}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Judged:
    """One tool, and what is proposed for it where nobody has labelled it."""

    tool: CatalogTool
    proposal: Proposal | None


def run_annotate(config: Path | None, server: str | None, *, writes: bool, as_json: bool) -> None:
    """Print proposals, and write them on request; exit code 1 when a server is down or nothing could be written."""
    configure_logs("critical")  # what matters of it is said below
    file = chosen_file(config)
    loaded = narrowed(load_file(file, os.environ).config, server)
    servers = run_interruptible(partial(listed, loaded))
    judged = [one for entry, listing in zip(loaded.servers, servers, strict=True) for one in _judged(entry, listing)]
    labels = _to_write(judged)
    if as_json:
        click.echo(json.dumps(_document(file, servers, judged), indent=2))
    else:
        _print(judged)
    is_written = not writes or write_labels(file, labels)
    if not writes and labels and not as_json:
        click.echo(f"--write puts the labels of {_counted(labels)} into {file}, after showing the difference.")
    down = [one for one in servers if one.why_down is not None]
    for one in down:
        click.echo(harmless(f"{one.key} is not up: {one.why_down}"), err=True)
    sys.exit(0 if is_written and not down else 1)


def run_explain(config: Path | None, server: str | None, pair: Sequence[str], *, as_json: bool) -> None:
    """Print why two calls may or may not overlap."""
    configure_logs("critical")
    written = [_read_call(text) for text in pair]
    loaded = narrowed(load_file(chosen_file(config), os.environ).config, server)
    tools = [tool for one in run_interruptible(partial(listed, loaded)) for tool in one.tools]
    first, second = (AskedCall(_tool_of(name, tools), arguments) for name, arguments in written)
    found = explain(first, second, loaded)
    if as_json:
        click.echo(json.dumps(_explained(found), indent=2))
    else:
        _print_explanation(found)


def _judged(entry: ServerEntry, listing: ListedServer) -> list[Judged]:
    declared = [tool.policy for tool in listing.tools if tool.policy.labels_are_declared]
    known = [template for policy in declared for template in (*policy.reads, *policy.writes)]
    proposals = {one.tool: one for one in propose(_name_of(entry), [tool.tool for tool in listing.tools], known)}
    return [
        Judged(tool, None if tool.policy.labels_are_declared else proposals[tool.own_name]) for tool in listing.tools
    ]


def _name_of(entry: ServerEntry) -> str:
    """What runs there, so that two entries of one kind share what they keep."""
    transport = entry.transport
    if isinstance(transport, StdioEntry):
        return short_name((transport.command, *transport.args))
    return urlsplit(transport.url).hostname or entry.key


def _to_write(judged: Sequence[Judged]) -> Labels:
    """What is sure, and what keeps a tool at the root of which its server says too much."""
    labels: Labels = {}
    for one in judged:
        if one.proposal is not None and (one.proposal.is_sure or one.proposal.contradicts_hint):
            own = {"reads": list(one.proposal.reads), "writes": list(one.proposal.writes)}
            labels.setdefault(one.tool.server, {})[one.tool.own_name] = own
    return labels


def _print(judged: Sequence[Judged]) -> None:
    new = [one for one in judged if one.proposal is not None]
    if new:
        print_table(("TOOL", "READS", "WRITES", "WHY"), [_row(one.tool, one.proposal) for one in new if one.proposal])
    kept = len(judged) - len(new)
    if kept:
        click.echo(f"{kept} of {len(judged)} tools have labels of their own already, and keep them.")
    narrower = [(one.tool.name, one.proposal.narrower) for one in new if one.proposal and one.proposal.narrower]
    if narrower:
        name, arguments = narrower[0]
        click.echo(
            "Nothing narrower than a namespace is proposed. If you know that an argument says all that a call touches, "
            "write it into the label yourself: "
            f"{harmless(name)} has {harmless(', '.join(arguments))}; see docs/labels.md."
        )


def _row(tool: CatalogTool, proposal: Proposal) -> tuple[str, ...]:
    reads, writes = labels_in_words(proposal.reads), labels_in_words(proposal.writes)
    if not proposal.is_sure:
        reads, writes = "", f"{ROOT} (unsure)"
    return tuple(harmless(text) for text in (tool.name, reads, writes, "; ".join(proposal.reasons)))


def _document(file: Path, servers: Sequence[ListedServer], judged: Sequence[Judged]) -> dict[str, Any]:
    return {
        "file": str(file),
        "down": [one.key for one in servers if one.why_down is not None],
        "tools": [_facts(one) for one in judged],
    }


def _facts(one: Judged) -> dict[str, Any]:
    policy, proposal = one.tool.policy, one.proposal
    facts: dict[str, Any] = {"name": one.tool.name, "server": one.tool.server, "own_name": one.tool.own_name}
    if proposal is None:
        labels = {"reads": list(policy.reads), "writes": list(policy.writes)}
        return facts | {"status": policy.label_source.value, **labels}
    return facts | {
        "status": "proposed" if proposal.is_sure else "unsure",
        "reads": list(proposal.reads),
        "writes": list(proposal.writes),
        "reasons": list(proposal.reasons),
        "contradicts_hint": proposal.contradicts_hint,
        "narrower": list(proposal.narrower),
    }


def _read_call(written: str) -> tuple[str, Mapping[str, Any]]:
    name, _, text = written.strip().partition(" ")
    if not name:
        raise UnreadableCall(written, "names no tool")
    try:
        arguments: object = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise UnreadableCall(name, f"has arguments that are not JSON ({error.msg})") from None
    if not isinstance(arguments, dict):
        raise UnreadableCall(name, "has arguments that are no object")
    return name, cast("Mapping[str, Any]", arguments)


def _tool_of(name: str, tools: Sequence[CatalogTool]) -> CatalogTool:
    named = [tool for tool in tools if tool.name == name] or [tool for tool in tools if tool.own_name == name]
    if len(named) != 1:
        raise NoSuchTool(name, [tool.name for tool in named or tools])
    return named[0]


def _print_explanation(found: Explanation) -> None:
    for place, call in (("1st", found.first), ("2nd", found.second)):
        labels = "; ".join(map(str, call.labels)) or "nothing that any other call could be in the way of"
        click.echo(harmless(f"{place}  {call.tool.name}: {labels} ({SOURCES[call.tool.policy.label_source]})"))
    said = f"by their labels {found.overlap}" if found.lacks_room else found.overlap
    click.echo(f"\n{said[0].upper()}{said[1:]}.")
    for mine, theirs in found.conflicts:
        click.echo(harmless(f"  because of the {mine} and the {theirs}"))
    if found.lacks_room:
        click.echo(harmless(f"  and {found.first.tool.server} takes one call at a time (concurrency 1) in any case"))
    for call in (found.first, found.second):
        if call.opaque:
            click.echo(f"  {call.tool.name} waits for the value of its token in any case")
    click.echo("\nWhat would change it:")
    for remedy in found.remedies:
        click.echo(harmless(f"  - {remedy}"))


def _explained(found: Explanation) -> dict[str, Any]:
    return {
        "first": _call_facts(found.first),
        "second": _call_facts(found.second),
        "overlap": found.overlap.name.lower(),
        "in_words": found.overlap.value,
        "conflicts": [[str(mine), str(theirs)] for mine, theirs in found.conflicts],
        "lacks_room": found.lacks_room,
        "remedies": list(found.remedies),
    }


def _call_facts(call: LabelledCall) -> dict[str, Any]:
    policy = call.tool.policy
    return {
        "tool": call.tool.name,
        "labels": [str(label) for label in call.labels],
        "labels_from": policy.label_source.value,
        "labels_are_declared": policy.labels_are_declared,
        "waits_for_tokens_in": sorted(call.opaque),
    }


def _counted(labels: Labels) -> str:
    number = sum(map(len, labels.values()))
    return f"{number} tool{'s' if number != 1 else ''}"
