"""How good the proposals of `annotate` are, on the servers that have packs: `python -m tests.annotation.quality`.

Each tool is judged as if there were no pack, from the recorded lists, and then compared with the pack.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from asyncfc_mcp.annotation.proposing import SHARED, Proposal, propose
from asyncfc_mcp.core.label import LabelPath, Template, is_prefix
from asyncfc_mcp.packs.reader import Pack, read_packs

RECORDED = Path(__file__).parents[1] / "labels" / "recorded"
OWN = "(own)"
"""In place of what a server calls its own state, which a proposal may call otherwise than its pack."""


class Verdict(StrEnum):
    SAME = "same as the pack"
    WIDER = "wider"
    ROOT = "left at the root"
    NARROWER = "narrower"


@dataclass(frozen=True)
class Judged:
    pack: str
    tool: str
    verdict: Verdict
    proposal: Proposal


def recorded(name: str) -> list[dict[str, Any]]:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def judged(pack: Pack) -> list[Judged]:
    tools = recorded(pack.name)
    proposals = propose(pack.name, tools)
    return [
        Judged(pack.name, one.tool, verdict_on(one, *pack.tools[one.tool]), one)
        for one in proposals
        if one.tool in pack.tools
    ]


def verdict_on(proposal: Proposal, reads: tuple[str, ...], writes: tuple[str, ...]) -> Verdict:
    pack_reads, pack_writes = paths_of(reads), paths_of(writes)
    my_reads, my_writes = paths_of(proposal.reads), paths_of(proposal.writes)
    is_wide_enough = all(covered(path, my_writes) for path in pack_writes) and all(
        covered(path, my_writes | my_reads) for path in pack_reads
    )
    if not is_wide_enough:
        return Verdict.NARROWER
    if (my_reads, my_writes) == (pack_reads, pack_writes):
        return Verdict.SAME
    return Verdict.WIDER if proposal.is_sure else Verdict.ROOT


def paths_of(templates: tuple[str, ...]) -> frozenset[LabelPath]:
    return frozenset(_with_own(Template.parse(text).namespace) for text in templates)


def _with_own(path: LabelPath) -> LabelPath:
    return path if not path or path[0] in SHARED else (OWN, *path[1:])


def covered(path: LabelPath, by: frozenset[LabelPath]) -> bool:
    return any(is_prefix(other, path) for other in by)


def all_judged() -> list[Judged]:
    return [one for pack in read_packs() for one in judged(pack)]


@click.command()
@click.option("--show", type=click.Choice([verdict.name.lower() for verdict in Verdict]), help="List these tools.")
def main(show: str | None) -> None:
    found = all_judged()
    for name, count in Counter(one.verdict for one in found).most_common():
        click.echo(f"{count:4d} of {len(found)} ({count / len(found):.0%}) {name}")
    for one in found:
        if show is not None and one.verdict is Verdict[show.upper()]:
            proposal = one.proposal
            click.echo(
                f"{one.pack}: {one.tool}: reads {proposal.reads}, writes {proposal.writes}: {proposal.reasons[0]}"
            )


if __name__ == "__main__":
    main()
