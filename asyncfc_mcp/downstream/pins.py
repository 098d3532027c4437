"""What each tool said of itself when it was first used, and which tools say something else now.

A description is read by a model as if its user had written it: a server that changes one after it was trusted can make
the model do anything. A pin is a private file for each tool, kind of client (some servers list by what the client can
do) and server as it is started; what the tool says now lies beside it until the user accepts it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import structlog

from asyncfc_mcp.config.models import ServerEntry, StdioEntry
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.outcome import DownstreamError
from asyncfc_mcp.downstream.private_file import replace_file

FOLDER = "pins"
_FIELDS = ("title", "description", "inputSchema", "outputSchema", "annotations")
_SCHEMA_VERSION = 1
_PINNED, _CHANGED = ".pin.json", ".changed.json"
_MOST_NAMED = 8

Definition = dict[str, Any]
"""Those fields of a Tool of the wire that tell a model or a host what it does."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChangedTool:
    """One tool that is not any more what it was when it was first used."""

    server: str
    tool: str
    """Its own name."""
    before: Definition
    after: Definition

    @property
    def in_words(self) -> str:
        """The names of what differs; never the texts, which may be written to mislead whoever reads them."""
        names = list(_differences(self.before, self.after))
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return ", ".join(names[:_MOST_NAMED]) + more


class ToolHeld(DownstreamError):
    """A tool has changed after its first use, and calls of such tools are held."""

    def __init__(self, changed: ChangedTool) -> None:
        super().__init__(
            f"tool {changed.tool!r} of server {changed.server!r} is held and was not called: it has changed since it "
            f"was first used ({changed.in_words}). Only the user can accept that, after a look at it: "
            f"{_remedy(changed.server)}"
        )
        self.changed = changed


class Pins:
    """The pins of all servers.

    Args:
        folder: where they are kept; None for in memory only.
        holds: whether a tool that has changed is shown as it was, and not called.
    """

    def __init__(self, folder: Path | None, *, holds: bool) -> None:
        self._folder = folder / FOLDER if folder is not None else None
        self.holds = holds
        self._pins: dict[tuple[str, str], dict[str, Definition]] = {}
        """By the place of the server and the claims, then by tool."""
        self._changed: dict[tuple[str, str], ChangedTool] = {}
        """By server and tool."""
        self._places: dict[str, tuple[str, str]] = {}
        """Where the pins of each server are now."""
        self._looked_at: dict[str, int] = {}
        """When each folder had last been written to as it was looked at, in nanoseconds."""

    @property
    def changed(self) -> tuple[ChangedTool, ...]:
        """The tools that are not what they were."""
        return tuple(self._changed.values())

    def shown(self, entry: ServerEntry, claims: Claims, tools: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        """The tools of a server as they are to be taken: as it lists them, or as they were where they are held."""
        place = (_place(entry), _claimed(claims))
        if place not in self._pins:
            self._pins[place] = dict(self._kept(place))
        listed = {tool["name"] for tool in tools} if self._places.get(entry.key) == place else set[str]()
        self._places[entry.key] = place
        for server, tool in list(self._changed):
            if server == entry.key and tool not in listed:
                del self._changed[server, tool]
        pins = self._pins[place]
        return tuple(
            self._taken(entry.key, tool, pins[tool["name"]]) if tool["name"] in pins else tool for tool in tools
        )

    def drop(self, server: str) -> None:
        """A server is not there any more; its pins stay on disk, for when it comes back."""
        self._places.pop(server, None)
        for changed in self.changed:
            if changed.server == server:
                del self._changed[server, changed.tool]

    def note_use(self, server: str, tool: dict[str, Any]) -> bool:
        """A tool is about to be called, with what the client was shown of it; whether it was something else before."""
        place = self._places.get(server)
        if place is None or tool["name"] in self._pins[place]:
            return False
        pinned = self._read(self._path(place, tool["name"], _PINNED))  # by another gateway that runs beside this one
        definition = self._pins[place][tool["name"]] = pinned or _definition(tool)
        if pinned is None:
            self._keep(place, server, tool["name"], definition, _PINNED)
        return definition != _definition(tool)

    def check(self, server: str, tool: str) -> None:
        """See that a tool may be called.

        Raises:
            ToolHeld: it has changed, and the user has not accepted that.
        """
        changed = self._changed.get((server, tool)) if self.holds else None
        if changed is not None:
            raise ToolHeld(changed)

    def refresh(self) -> bool:
        """Look again at what the user has accepted meanwhile; whether that was anything. Cheap when nothing was."""
        written = {place[0] for server, place in self._places.items() if self._was_written(server, place[0])}
        before = len(self._changed)
        for changed in self.changed:
            place = self._places[changed.server]
            if place[0] in written and self._read(self._path(place, changed.tool, _PINNED)) == changed.after:
                self._pins[place][changed.tool] = changed.after
                del self._changed[changed.server, changed.tool]
        return len(self._changed) < before

    def _was_written(self, server: str, folder: str) -> bool:
        """Whether anything was put into the folder of a server that has changed tools since it was last looked at."""
        if self._folder is None or not any(changed.server == server for changed in self.changed):
            return False
        try:
            written_at = self._folder.joinpath(folder).stat().st_mtime_ns
        except OSError:
            return False
        is_news = self._looked_at.get(folder) != written_at
        self._looked_at[folder] = written_at
        return is_news

    def _taken(self, server: str, tool: dict[str, Any], pinned: Definition) -> dict[str, Any]:
        name, now = tool["name"], _definition(tool)
        place = self._places[server]
        if now == pinned:
            if self._changed.pop((server, name), None) is not None:
                self._drop(self._path(place, name, _CHANGED))
            return tool
        known = self._changed.get((server, name))
        if known is None or known.after != now:
            if self._read(self._path(place, name, _PINNED)) == now:  # another gateway's user has accepted it
                self._pins[place][name] = now
                self._changed.pop((server, name), None)
                return tool
            changed = self._changed[server, name] = ChangedTool(server, name, pinned, now)
            self._keep(place, server, name, now, _CHANGED)
            effect = "its calls are held until that is accepted" if self.holds else "its calls go on"
            log.warning(
                "tool_changed",
                server=server,
                tool=name,
                changed=changed.in_words,
                effect=effect,
                accept=_remedy(server),
            )
        if not self.holds:
            return tool
        return {key: value for key, value in tool.items() if key not in _FIELDS} | pinned

    # Files

    def _path(self, place: tuple[str, str], tool: str, suffix: str) -> Path | None:
        if self._folder is None:
            return None
        digest = hashlib.sha256(f"{place[1]}\n{tool}".encode(errors="surrogatepass")).hexdigest()
        return self._folder / place[0] / f"{digest}{suffix}"

    def _kept(self, place: tuple[str, str]) -> Iterator[tuple[str, Definition]]:
        if self._folder is None:
            return
        for path in self._folder.joinpath(place[0]).glob(f"*{_PINNED}"):
            kept = _load(path)
            if kept is not None and kept["claims"] == place[1]:
                yield kept["tool"], kept["definition"]

    def _read(self, path: Path | None) -> Definition | None:
        kept = _load(path) if path is not None else None
        return kept["definition"] if kept is not None else None

    def _keep(self, place: tuple[str, str], server: str, tool: str, definition: Definition, suffix: str) -> None:
        path = self._path(place, tool, suffix)
        if path is None:
            return
        try:
            _save(path, {"server": server, "tool": tool, "claims": place[1], "definition": definition})
        except (OSError, ValueError, RecursionError) as error:
            log.warning("pin_not_kept", server=server, tool=tool, path=str(path), fault=type(error).__name__)

    def _drop(self, path: Path | None) -> None:
        if path is not None:
            with suppress(OSError):  # a change that was taken back is then still shown; the list must not go with it
                path.unlink(missing_ok=True)


def changed_tools(state_folder: Path, server: str | None = None, tool: str | None = None) -> list[ChangedTool]:
    """What gateways have seen change and nobody has accepted yet, as it is on disk."""
    return [changed for changed, _, _ in _waiting(state_folder, server, tool)]


def accept(state_folder: Path, server: str, tool: str | None = None) -> list[ChangedTool]:
    """Pin what the tools of a server, or one of them, say now; which they were."""
    accepted: list[ChangedTool] = []
    for changed, pin, after in _waiting(state_folder, server, tool):
        after.replace(pin)
        accepted.append(changed)
    return accepted


def _waiting(state_folder: Path, server: str | None, tool: str | None) -> Iterator[tuple[ChangedTool, Path, Path]]:
    for path in sorted(state_folder.joinpath(FOLDER).glob(f"*/*{_CHANGED}")):
        pin = path.with_name(path.name.removesuffix(_CHANGED) + _PINNED)
        after, before = _load(path), _load(pin)
        if after is None or before is None:
            continue
        if server in (None, after["server"]) and tool in (None, after["tool"]):
            yield ChangedTool(after["server"], after["tool"], before["definition"], after["definition"]), pin, path


def _load(path: Path) -> dict[str, Any] | None:
    """What a file says; None where it is not there or damaged: such a tool is as if it had never been used."""
    try:
        kept = cast("dict[str, Any]", json.loads(path.read_bytes()))
        sound = kept["schema"] == _SCHEMA_VERSION and isinstance(kept["definition"], dict)
        return kept if sound and all(isinstance(kept[name], str) for name in ("server", "tool", "claims")) else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("pin_ignored", path=str(path), fault=type(error).__name__)
        return None


def _save(path: Path, kept: dict[str, Any]) -> None:
    replace_file(path, json.dumps({"schema": _SCHEMA_VERSION, **kept}, indent=1).encode())


def _place(entry: ServerEntry) -> str:
    """The server as its user names and starts it; without its environment and headers, whose secrets are renewed."""
    transport = entry.transport
    start = [transport.command, *transport.args] if isinstance(transport, StdioEntry) else [transport.url]
    return hashlib.sha256(json.dumps([entry.key, *start]).encode()).hexdigest()


def _claimed(claims: Claims) -> str:
    return hashlib.sha256(f"{claims.era} {claims.capabilities_json}".encode()).hexdigest()


def _definition(tool: dict[str, Any]) -> Definition:
    return {name: tool[name] for name in _FIELDS if name in tool}


def _differences(before: Definition, after: Definition) -> Iterator[str]:
    """The names of the fields that differ; of schemas and annotations, the members."""
    for name in _FIELDS:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if not isinstance(old, dict) or not isinstance(new, dict):
            yield name
            continue
        yield from _members(name, cast("dict[str, Any]", old), cast("dict[str, Any]", new))


def _members(holder: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if key == "properties" and isinstance(old, dict) and isinstance(new, dict):
            yield from _members(holder, cast("dict[str, Any]", old), cast("dict[str, Any]", new))
        else:
            yield f"{holder}.{json.dumps(key)[1:-1][:40]}"


def _remedy(server: str) -> str:
    return f"asyncfc-mcp tools changed, then asyncfc-mcp tools accept {server}"
