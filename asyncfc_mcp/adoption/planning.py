"""From what was found and what the user chose to what is to be done; nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from asyncfc_mcp.adoption.discovery import FoundFile, FoundServer
from asyncfc_mcp.adoption.documents import Document, read_document
from asyncfc_mcp.adoption.edits import Add, Edit, Remove
from asyncfc_mcp.adoption.journal import Role
from asyncfc_mcp.adoption.launch import Launch, entry_of_gateway
from asyncfc_mcp.adoption.rules import Renamed, RulesPlan, carried_approvals, rules_to_add
from asyncfc_mcp.adoption.translation import Entry, Moved
from asyncfc_mcp.clients.places import CLIENTS, CODEX, ClientFile, Format, Surroundings
from asyncfc_mcp.errors import GatewayError

GATEWAY_NAMES = {"user": "asyncfc", "project": "asyncfc-project"}
"""Clients let a project's entry hide the user's entry of the same name, so the two have different ones."""

_SERVERS = ("mcpServers",)
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


class UnknownChoice(GatewayError):
    """A client or server was named that is not there."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no {kind} {name!r}; known: {', '.join(known) or 'none'}")
        self.name = name


class UnfitGatewayFile(GatewayError):
    """The gateway's file lists its servers in a way that init does not write."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} lists its servers under another key than mcpServers: rename that key first")
        self.path = path


@dataclass(frozen=True, slots=True)
class Choice:
    """Which servers to move; empty means all."""

    clients: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    """Files of clients, as somebody at a terminal chooses them."""
    rewrites_rules: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """One server that goes behind the gateway."""

    file: ClientFile
    name: str
    raw: Mapping[str, Any]
    moved: Moved
    config: Path
    gateway: str
    """The gateway's name in the client's file."""
    key: str
    """Its key in the gateway's file."""
    prefix: str

    @property
    def renamed(self) -> Renamed:
        """What its tools are called from then on."""
        return Renamed(self.file.client, self.name, self.gateway, self.key, self.prefix)


@dataclass(frozen=True, slots=True)
class FilePlan:
    """Edits of one file."""

    role: Role
    title: str
    path: Path
    format: Format
    document: Document | None
    """None: the file is to be made."""
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class CommandPlan:
    """Servers that the client's own command exchanges for the gateway."""

    title: str
    name: str
    entry: Entry
    is_there: bool
    """Whether the gateway's entry is there already."""
    servers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done, in this order."""

    moves: tuple[Move, ...] = ()
    files: tuple[FilePlan, ...] = ()
    commands: tuple[CommandPlan, ...] = ()
    rules: tuple[RulesPlan, ...] = ()
    """Those that fit these moves."""
    writes_rules: bool = False


def why_not(server: FoundServer) -> str | None:
    """Why a server stays where it is unless it is named, or in any case."""
    if not isinstance(server.outcome, Moved):
        return server.outcome.reason
    if server.outcome.signs_in:
        return (
            "it may want you to sign in by browser, and its client has done that: to do it anew in the gateway, "
            f"move it with `--server {server.name}`"
        )
    return None


def _is_chosen(one: FoundFile, server: FoundServer, choice: Choice) -> bool:
    if choice.files and one.file.path not in choice.files:
        return False
    if not isinstance(server.outcome, Moved) or server.name in choice.excepted:
        return False
    return server.name in choice.servers if choice.servers else not server.outcome.signs_in


def _check(choice: Choice, found: Sequence[FoundFile]) -> None:
    clients = [client.key for client in CLIENTS]
    for name in choice.clients:
        if name not in clients:
            raise UnknownChoice("client", name, clients)
    servers = list(dict.fromkeys(server.name for one in found for server in one.servers))
    for name in (*choice.servers, *choice.excepted):
        if name not in servers:
            raise UnknownChoice("server", name, servers)


def make_plan(found: Sequence[FoundFile], choice: Choice, launch: Launch, where: Surroundings) -> Plan:
    """What moves the chosen servers behind the gateway.

    Raises:
        UnknownChoice: the choice names a client or a server that is not there.
        UnreadableDocument: the gateway's own file cannot be read.
        UnfitGatewayFile: it lists its servers in another way.
    """
    _check(choice, found)
    found = _each_once(one for one in found if not choice.clients or one.file.client.key in choice.clients)
    found = [one for one in found if not one.leads_out]
    picked = [(one, server) for one in found for server in one.servers if _is_chosen(one, server, choice)]
    configs = {path: _GatewayFile.at(path) for path in dict.fromkeys(one.config for one in found)}
    moves: list[Move] = []
    for one, server in picked:
        config = configs[one.config]
        gateway = _name_for(one)
        moved = cast("Moved", server.outcome)
        key = config.take_in(server.name, moved.entry)
        moves.append(Move(one.file, server.name, server.raw, moved, one.config, gateway, key, config.prefix(key)))
    rules = rules_to_add(where, [move.renamed for move in moves])
    files = [config.plan() for config in configs.values() if config.added]
    wanting = [one for one in found if _wants_gateway(one, moves, choice, configs[one.config])]
    files += [_client_plan(one, moves, choice, launch, where) for one in wanting if not one.file.is_kept_by_client]
    if choice.rewrites_rules:
        files = _with_rules(files, rules)
    kept = [one for one in wanting if one.file.is_kept_by_client]
    commands = tuple(_command_plan(one, moves, launch, where) for one in kept)
    return Plan(tuple(moves), tuple(files), commands, rules, choice.rewrites_rules)


def _each_once(found: Iterable[FoundFile]) -> list[FoundFile]:
    """The files without those that are links to another of them: two plans for one would be in each other's way."""
    real: dict[Path, FoundFile] = {}
    for one in found:
        real.setdefault(one.file.path.resolve(), one)
    return list(real.values())


def _wants_gateway(one: FoundFile, moves: Sequence[Move], choice: Choice, config: _GatewayFile) -> bool:
    """Whether a file is to be changed: servers of it move, or its client was named and has others' servers to gain."""
    if one.document is None or one.fault is not None:
        return False
    if any(move.file == one.file for move in moves):
        return True
    is_named = one.file.client.key in choice.clients and not choice.servers and one.file.scope == "user"
    has_gateway = any(server.is_gateway for server in one.servers)
    return is_named and not has_gateway and bool(config.entries)


def _client_plan(
    one: FoundFile, moves: Sequence[Move], choice: Choice, launch: Launch, where: Surroundings
) -> FilePlan:
    own = [move for move in moves if move.file == one.file]
    at = one.file.client.servers_at
    edits: list[Edit] = [Remove(at, move.name, move.raw) for move in own]
    if one.gateway_name is None:
        edits.insert(0, Add(at, _name_for(one), _gateway_entry(one, own, choice, launch, where)))
    return FilePlan("client", one.file.client.title, one.file.path, one.file.client.format, one.document, tuple(edits))


def _name_for(one: FoundFile) -> str:
    return one.gateway_name or _free(GATEWAY_NAMES[one.file.scope], [server.name for server in one.servers])


def _gateway_entry(one: FoundFile, moves: Sequence[Move], choice: Choice, launch: Launch, where: Surroundings) -> Entry:
    entry = entry_of_gateway(launch, one.file, one.config, where.environ)
    variables = sorted({name for move in moves for name in move.moved.variables})
    if one.file.client is CODEX and variables:
        entry["env_vars"] = variables
    if choice.rewrites_rules:
        entry |= carried_approvals([(move.renamed, move.raw) for move in moves])
    return entry


def _command_plan(one: FoundFile, moves: Sequence[Move], launch: Launch, where: Surroundings) -> CommandPlan:
    entry = entry_of_gateway(launch, one.file, one.config, where.environ)
    servers = {move.name: dict(move.raw) for move in moves if move.file == one.file}
    return CommandPlan(one.file.client.title, _name_for(one), entry, one.gateway_name is not None, servers)


def _with_rules(files: list[FilePlan], rules: Sequence[RulesPlan]) -> list[FilePlan]:
    """The files with the rules; where a client keeps both in one file, in one plan."""
    by_path = {plan.path: plan for plan in files}
    for rule in rules:
        plan = by_path.get(rule.file.path)
        edits = (*plan.edits, *rule.edits) if plan is not None else rule.edits
        role: Role = "client" if plan is not None else "rules"
        by_path[rule.file.path] = FilePlan(role, rule.file.client.title, rule.file.path, "json", rule.document, edits)
    return list(by_path.values())


@dataclass
class _GatewayFile:
    """The gateway's own file, as servers are taken in one after another."""

    path: Path
    document: Document | None
    entries: dict[str, Any]
    added: dict[str, Entry] = field(default_factory=dict[str, Entry])

    @classmethod
    def at(cls, path: Path) -> _GatewayFile:
        document = read_document(path, "json")
        value: dict[str, Any] = document.value if document is not None else {}
        entries = value.get("mcpServers", {})
        if not isinstance(entries, dict) or ("mcpServers" not in value and ("servers" in value or "mcp" in value)):
            raise UnfitGatewayFile(path)
        return cls(path, document, dict(cast("dict[str, Any]", entries)))

    def take_in(self, name: str, entry: Entry) -> str:
        """The key that the entry has; the same server of another client is the same entry."""
        wished = _FOREIGN.sub("-", name).strip("-") or "server"
        numbered = re.compile(rf"{re.escape(wished)}(-\d+)?")
        same = (key for key, other in self.entries.items() if _alike(other, entry) and numbered.fullmatch(key))
        key = next(same, None) or _free(wished, self.entries)
        if key not in self.entries:
            self.entries[key] = self.added[key] = entry
        return key

    def prefix(self, key: str) -> str:
        """What stands before the names of its tools."""
        settings = self.entries[key].get("asyncfc")
        return cast("Entry", settings).get("prefix", key) if isinstance(settings, dict) else key

    def plan(self) -> FilePlan:
        edits = tuple(Add(_SERVERS, key, entry) for key, entry in self.added.items())
        return FilePlan("gateway", "the gateway", self.path, "json", self.document, edits)


def _alike(one: Any, other: Entry) -> bool:
    """Whether both start the same server; our settings may have been written into one since."""
    if not isinstance(one, dict):
        return False
    entry = cast("Entry", one)
    return {**entry, "asyncfc": None} == {**other, "asyncfc": None}


def _free(name: str, taken: Iterable[str]) -> str:
    known = set(taken)
    return next(one for one in (name, *(f"{name}-{number}" for number in range(2, 1000))) if one not in known)
