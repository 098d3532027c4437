"""Permission rules and allow-lists that name tools, and what they have to say once a gateway stands before the tools.

New rules are put beside the old ones, which hold again when the gateway is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from asyncfc_mcp.adoption.documents import Document, UnreadableDocument, read_document
from asyncfc_mcp.adoption.edits import Append
from asyncfc_mcp.clients.places import CLAUDE_CODE, CODEX, CURSOR, GEMINI, Client, RulesFile, Surroundings, rules_files
from asyncfc_mcp.downstream.naming import ListedTool, exposed_names

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Renamed:
    """A server that a client will see through the gateway."""

    client: Client
    old: str
    """Its name in the client's file."""
    gateway: str
    """The gateway's name there."""
    key: str
    """Its key in the gateway's file."""
    prefix: str

    def tool(self, own_name: str) -> str:
        """What the gateway calls a tool of it; a pattern stays one."""
        if "*" in own_name:
            return f"{self.prefix}_{own_name}" if self.prefix else own_name
        return exposed_names([ListedTool(self.key, self.prefix, own_name)])[self.key, own_name]


@dataclass(frozen=True, slots=True)
class RulesPlan:
    """What one file is to say besides."""

    file: RulesFile
    document: Document
    edits: tuple[Append, ...]


def shown_name(client: Client, server: str, tool: str) -> str:
    """What the model is shown a tool as, by a client that puts the server's name before it."""
    if client is CLAUDE_CODE:
        return f"mcp__{_FOREIGN.sub('_', server)}__{tool}"
    return f"mcp_{server}_{tool}" if client is GEMINI else tool


def rules_to_add(where: Surroundings, renamed: list[Renamed]) -> tuple[RulesPlan, ...]:
    """Every file of rules that names a server which is about to move; files that cannot be read are passed over."""
    return tuple(_plans(where, renamed))


def _plans(where: Surroundings, renamed: list[Renamed]) -> Iterator[RulesPlan]:
    real: dict[Path, RulesFile] = {}
    for file in rules_files(where):  # home may be the project, and go by another name there
        real.setdefault(file.path.resolve(), file)
    for file in real.values():
        moves = [one for one in renamed if one.client is file.client]
        try:
            document = read_document(file.path, "json") if moves else None
        except UnreadableDocument:
            continue
        if document is None:
            continue
        edits = [edit for at in file.at if (edit := _edit(document.value, at, moves)) is not None]
        if edits:
            yield RulesPlan(file, document, tuple(edits))


def _edit(value: Any, at: tuple[str, ...], moves: list[Renamed]) -> Append | None:
    for key in at:
        value = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
    if not isinstance(value, list):
        return None
    old = [rule for rule in cast("list[Any]", value) if isinstance(rule, str)]
    new = (said for rule in old for one in moves for said in _SPELLINGS[one.client.key](rule, one))
    added = tuple(dict.fromkeys(rule for rule in new if rule not in old))
    return Append(at, added) if added else None


def _claude_code(rule: str, one: Renamed) -> Iterator[str]:
    server = f"mcp__{_FOREIGN.sub('_', one.old)}"
    if rule == server:
        yield f"mcp__{one.gateway}__{one.tool('*')}"
    elif rule.startswith(f"{server}__"):
        yield f"mcp__{one.gateway}__{one.tool(rule.removeprefix(f'{server}__'))}"


def _cursor(rule: str, one: Renamed) -> Iterator[str]:
    found = re.fullmatch(r"(Mcp\()?([^:()]+):([^()]+)(\))?", rule)
    if found is not None and found[2] == one.old and bool(found[1]) == bool(found[4]):
        yield f"{found[1] or ''}{one.gateway}:{one.tool(found[3])}{found[4] or ''}"


def _gemini(rule: str, one: Renamed) -> Iterator[str]:
    if rule == one.old:
        yield one.gateway


_SPELLINGS: dict[str, Callable[[str, Renamed], Iterator[str]]] = {
    CLAUDE_CODE.key: _claude_code,
    CURSOR.key: _cursor,
    GEMINI.key: _gemini,
}


def carried_approvals(moves: list[tuple[Renamed, Mapping[str, Any]]]) -> dict[str, Any]:
    """What the gateway's own entry takes over of approvals that stood in the entries of its servers."""
    approvals: dict[str, Any] = {}
    tools: dict[str, Any] = {}
    for key in ("alwaysAllow", "autoApprove"):
        names = [one.tool(name) for one, raw in moves for name in _texts(raw.get(key))]
        if names:
            approvals[key] = names
    for one, raw in moves:
        own = raw.get("tools")
        if one.client is CODEX and isinstance(own, dict):
            tools |= {one.tool(name): settings for name, settings in cast("dict[str, Any]", own).items()}
    return approvals | ({"tools": tools} if tools else {})


def _texts(value: Any) -> list[str]:
    return [item for item in cast("list[Any]", value) if isinstance(item, str)] if isinstance(value, list) else []
