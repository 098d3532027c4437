"""Labels proposed for the tools of a server that nobody has labelled yet, each with its reasons.

A proposal is never a guess at something narrow: it names whole namespaces (what the server keeps, the files, the web),
and what cannot be told from outside stays at the root. Narrower templates are a person's to write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncfc_mcp.annotation import vocabulary
from asyncfc_mcp.annotation.evidence import Doing, Evidence, evidence_of
from asyncfc_mcp.annotation.vocabulary import words_of
from asyncfc_mcp.core.label import Template

FILES = "fs"
WEB = "web"
SHARED = frozenset({FILES, WEB, "browser"})
"""Namespaces that are not one server's."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The labels proposed for one tool."""

    tool: str
    is_sure: bool
    """If not, it stays at the root: reads and writes everything."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    reasons: tuple[str, ...]
    """In words, the weightiest first."""
    contradicts_hint: bool
    """Whether its server calls it read-only, and something else of it says that it may not be."""
    narrower: tuple[str, ...]
    """Arguments with which a person who knows the tool may write something narrower."""


def propose(name: str, tools: Sequence[Mapping[str, Any]], known: Sequence[str] = ()) -> tuple[Proposal, ...]:
    """A proposal for each tool of a server, all of them looked at together: they share what the server keeps.

    `name` is what the server is, by its package or address, so that two that run the same share a namespace;
    `known` are label templates that some of its tools have already.
    """
    found = [evidence_of(tool) for tool in tools]
    names = [words_of(one.tool) for one in found]
    if sum(any(word in words for words in names) for word in vocabulary.BROWSING) > 1:
        why = "its server steers a browser: what that shows or does can be anywhere"
        return tuple(_at_the_root(one, (why,)) for one in found)
    own, why_own = _own_namespaces(name, names, known)
    shared, why_shared = _shared_namespaces(found)
    namespaces = tuple(dict.fromkeys((*own, *shared)))
    return tuple(_proposal(one, namespaces, (why_own, *why_shared)) for one in found)


def _proposal(evidence: Evidence, namespaces: tuple[str, ...], reasons: tuple[str, ...]) -> Proposal:
    if evidence.doing is Doing.UNSURE:
        return _at_the_root(evidence, evidence.reasons)
    is_read = evidence.doing is Doing.READS
    running = next((one for one in namespaces if one in vocabulary.RUNNING), None)
    reads = namespaces if is_read else ()
    if running is not None:
        reasons = (f"what {running} runs may be anything",)
        if not is_read:
            return _at_the_root(evidence, (*evidence.reasons, *reasons))
        reads = ("",)
    if evidence.urls:
        url = evidence.urls[0]
        reasons = (f"its argument `{url}` may lead to a page of this machine, and so to anything", *reasons)
        reads = ("",)
    return Proposal(
        tool=evidence.tool,
        is_sure=True,
        reads=reads,
        writes=() if is_read else namespaces,
        reasons=(*evidence.reasons, *reasons),
        contradicts_hint=False,
        narrower=tuple(dict.fromkeys((*evidence.paths, *evidence.narrower))),
    )


def _at_the_root(evidence: Evidence, reasons: tuple[str, ...]) -> Proposal:
    return Proposal(
        tool=evidence.tool,
        is_sure=False,
        reads=(),
        writes=("",),
        reasons=reasons,
        contradicts_hint=evidence.contradicts_hint,
        narrower=(),
    )


def _own_namespaces(name: str, names: Sequence[tuple[str, ...]], known: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Where what the server keeps is put, and why."""
    declared = [Template.parse(text).namespace for text in known]
    given = dict.fromkeys(path[0] for path in declared if path and path[0] not in SHARED)
    if given:
        return tuple(given), f"its other labels name {_listed(given)}"
    first = [words[0] for words in names if words]
    common = [word for word in dict.fromkeys(first) if first.count(word) > 1]
    said = [*words_of(name), *common]
    services = dict.fromkeys(namespace for word in said for namespace in vocabulary.SERVICES.get(word, ()))
    if services:
        return tuple(services), f"its server stands before {_listed(services)}"
    own = name.translate(str.maketrans("/{}", "---"))
    return (own,), f"`{own}`: what its server keeps, as long as no other server changes that too"


def _shared_namespaces(found: Sequence[Evidence]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What all tools of the server may touch besides: where one of them is about files, another may be."""
    namespaces: list[str] = []
    reasons: list[str] = []
    with_files = next((one for one in found if one.paths or one.names_files), None)
    if with_files is not None:
        namespaces.append(FILES)
        what = f"its argument `{with_files.paths[0]}`" if with_files.paths else "its name"
        reasons.append(f"`{FILES}`: `{with_files.tool}` is about files ({what})")
    with_urls = next((one for one in found if one.urls), None)
    if with_urls is not None:
        namespaces.append(WEB)
        reasons.append(f"`{WEB}`: `{with_urls.tool}` takes a url (`{with_urls.urls[0]}`)")
    return tuple(namespaces), tuple(reasons)


def _listed(names: Mapping[str, None]) -> str:
    return ", ".join(f"`{name}`" for name in names)
