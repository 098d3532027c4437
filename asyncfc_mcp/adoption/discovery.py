"""What the clients of this user have: their files, the servers in them, and what can become of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from asyncfc_mcp.adoption.documents import Document, UnreadableDocument, read_document
from asyncfc_mcp.adoption.edits import DoesNotFit, Remove
from asyncfc_mcp.adoption.translation import Moved, Stays, translated
from asyncfc_mcp.clients.places import PROJECT_FILE, ClientFile, Surroundings, client_files, gateway_file
from asyncfc_mcp.config.dialects import runs_gateway

BY_HAND = "it is written in a way that cannot be changed without touching the rest, so move it by hand"


@dataclass(frozen=True, slots=True)
class FoundServer:
    """One entry of a client's file."""

    name: str
    raw: Mapping[str, Any]
    outcome: Moved | Stays
    is_gateway: bool = False


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file of a client."""

    file: ClientFile
    config: Path
    """The gateway's file that its servers would go to."""
    document: Document | None = None
    fault: str | None = None
    """Why it cannot be read, if it cannot."""
    servers: tuple[FoundServer, ...] = ()
    gateway_name: str | None = None
    """The entry that serves `config` already."""
    behind: tuple[str, ...] = ()
    """The servers of `config`, if it does."""
    remarks: tuple[str, ...] = ()
    leads_out: bool = False
    """Whether it belongs to a project and is, or would be changed with, a link to something that does not."""

    @property
    def wants_hands(self) -> bool:
        """Whether there is something in it that only a person can move."""
        is_unreadable = self.fault is not None and not self.leads_out
        return is_unreadable or any(server.outcome == Stays(BY_HAND) for server in self.servers)


def config_of(file: ClientFile, where: Surroundings) -> Path:
    """The gateway's file for the servers of a client's file: the user's own, or one in the project."""
    return gateway_file(where.environ) if file.scope == "user" else where.project / PROJECT_FILE


def find(where: Surroundings) -> tuple[FoundFile, ...]:
    """Every file there is, in the order of the clients."""
    found = (_look(file, where) for file in client_files(where))
    return tuple(one for one in found if one is not None)


def _look(file: ClientFile, where: Surroundings) -> FoundFile | None:
    config = config_of(file, where)
    try:
        document = read_document(file.path, file.client.format)
    except UnreadableDocument as error:
        return FoundFile(file, config, fault=error.fact)
    if document is None:
        return None
    stray = _leading_out((file.path, config), where) if file.scope == "project" else None
    if stray is not None:
        fault = f"{stray.name} is a link that leads out of the project"
        return FoundFile(file, config, fault=fault, leads_out=True)
    listed = _listed(document, file)
    if listed is None:
        return FoundFile(file, config, document, fault=f"{'.'.join(file.client.servers_at)} is no object of servers")
    gateways = {name: _config_argument(raw) for name, raw in listed.items() if _is_gateway(raw)}
    unfit = {name for name, raw in listed.items() if not _can_be_taken_out(document, file, name, raw)}
    ours = next((name for name, given in gateways.items() if given == config), None)
    foreign = next((name for name, given in gateways.items() if given != config), None)
    servers = tuple(
        _server(name, raw, file, where, _reason(name, foreign, unfit), is_gateway=name in gateways)
        for name, raw in listed.items()
    )
    behind = _keys(config) if ours is not None else ()
    return FoundFile(file, config, document, None, servers, ours, behind, tuple(_remarks(file, document)))


def _leading_out(paths: Iterable[Path], where: Surroundings) -> Path | None:
    """A file of a project may be anybody's work: through a link it could have your own files changed."""
    project = where.project.resolve()
    return next((path for path in paths if not path.resolve().is_relative_to(project)), None)


def _keys(config: Path) -> tuple[str, ...]:
    try:
        document = read_document(config, "json")
    except UnreadableDocument:
        return ()
    servers: Any = document.value.get("mcpServers") if document is not None else None
    return tuple(cast("dict[str, Any]", servers)) if isinstance(servers, dict) else ()


def _listed(document: Document, file: ClientFile) -> dict[str, Any] | None:
    found: Any = document.value
    for key in file.client.servers_at:
        found = found.get(key, {}) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _server(
    name: str, raw: Any, file: ClientFile, where: Surroundings, reason: str | None, *, is_gateway: bool
) -> FoundServer:
    if not isinstance(raw, dict):
        return FoundServer(name, {}, Stays("it is no object"))
    entry = cast("dict[str, Any]", raw)
    if is_gateway:
        return FoundServer(name, entry, Stays("it is this gateway"), is_gateway=True)
    if reason is not None:
        return FoundServer(name, entry, Stays(reason))
    return FoundServer(name, entry, translated(entry, file, where))


def _can_be_taken_out(document: Document, file: ClientFile, name: str, raw: Any) -> bool:
    if file.is_kept_by_client:  # and so changed by its command; it may be far too large to look at for each entry
        return True
    try:
        json.dumps(raw)  # what the journal keeps it as
        document.edited([Remove(file.client.servers_at, name, raw)])
    except (DoesNotFit, TypeError):  # the latter: a date of TOML
        return False
    return True


def _reason(name: str, foreign: str | None, unfit: set[str]) -> str | None:
    """Why nothing can be done with an entry, whatever stands in it."""
    if foreign is not None:
        return f"{foreign} in the same file is this gateway with a configuration of its own; take it out first"
    return BY_HAND if name in unfit else None


def _words(raw: Any) -> list[str]:
    if not isinstance(raw, dict):
        return []
    entry = cast("dict[str, Any]", raw)
    args = entry.get("args")
    words = [entry.get("command"), *(cast("list[Any]", args) if isinstance(args, list) else [])]
    return [word for word in words if isinstance(word, str)]


def _is_gateway(raw: Any) -> bool:
    words = _words(raw)
    return bool(words) and runs_gateway(words[0], words[1:])


def _config_argument(raw: Any) -> Path | None:
    words = _words(raw)
    for at, word in enumerate(words):
        if word == "--config" and at + 1 < len(words):
            return Path(words[at + 1])
        if word.startswith("--config="):
            return Path(word.removeprefix("--config="))
    return None


def _remarks(file: ClientFile, document: Document) -> Iterator[str]:
    """What a file has besides the list that is read."""
    if not file.is_kept_by_client:
        return
    projects = document.value.get("projects")
    for folder, project in cast("dict[str, Any]", projects).items() if isinstance(projects, dict) else ():
        local = cast("dict[str, Any]", project).get("mcpServers") if isinstance(project, dict) else None
        if isinstance(local, dict) and local:
            names = ", ".join(cast("dict[str, Any]", local))
            yield f"{names}: stays, kept by Claude Code for you in {folder} alone (local scope)"
