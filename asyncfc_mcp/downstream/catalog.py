"""Every server's tools in one list: filtered, named, each with its policy, in an order that owes nothing to timing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, cast

import anyio
import structlog
from mcp.shared.inbound import x_mcp_header_map

from asyncfc_mcp.config.models import ServerEntry, StdioEntry
from asyncfc_mcp.config.policy import ToolHints, ToolPolicy, resolve_policy
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.naming import ListedTool, NameCollision, exposed_names, likely_names
from asyncfc_mcp.downstream.pins import ChangedTool, Pins
from asyncfc_mcp.packs.reader import find_pack

log = structlog.get_logger(__name__)

LIST_TIMEOUT_S = 10.0
MISSED_TIMEOUT_S = 2.0
"""How long a server is waited for that clients waited for in vain before: it may have been mended, and not all clients
look again when they hear that the list has changed."""
MOST_LEFT = 1_000
"""Names that tools once had, so that who still says one is told what has become of it."""


@dataclass(frozen=True)
class CatalogTool:
    """One tool as clients may call it."""

    name: str
    """What clients call it."""
    server: str
    tool: dict[str, Any]
    """The Tool of the wire, as its server listed it; only its `name` is known to be sound."""
    policy: ToolPolicy

    @property
    def own_name(self) -> str:
        """What its server calls it."""
        return self.tool["name"]

    @property
    def input_schema(self) -> dict[str, Any]:
        """The server's schema, or one that allows everything when the server's is not an object."""
        schema = self.tool.get("inputSchema")
        return cast("dict[str, Any]", schema) if isinstance(schema, dict) else {"type": "object"}

    @cached_property
    def has_header_arguments(self) -> bool:
        """Whether clients over HTTP say some of its arguments in headers, too."""
        return bool(x_mcp_header_map(self.input_schema))


class Catalog:
    """The merged list, always that of the last known listings.

    Raises:
        NameCollision: Two tools were given one name in the configuration.
        ReservedName: A tool was given the name of one of the gateway's own.
    """

    def __init__(self, connections: Sequence[Connection], on_change: Callable[[], None], pins: Pins) -> None:
        # What is wrong in the configuration itself stops the start, before any server has listed anything.
        check_names([connection.entry for connection in connections])
        self.version = 0
        """Counts the changes of the merged list."""
        self.collisions: tuple[NameCollision, ...] = ()
        """Tools left out because another has their name: the user has to choose, best before the start goes on."""
        self._connections = connections
        self._on_change = on_change
        self._pins = pins
        self._patient_since: float | None = None
        """When clients first waited for servers; one that never answers costs them time once for all their lists."""
        self._tools: tuple[CatalogTool, ...] = ()
        self._by_name: dict[str, CatalogTool] = {}
        self._left: dict[str, tuple[str, str]] = {}
        """Names that no tool has any more, with the server and the own name of the tool that had it."""
        self._rebuild()

    def take_up(self, connections: Sequence[Connection], *, holds: bool) -> None:
        """Have the tools of these connections, under their entries as they are now; `holds` is what `Pins` go by."""
        for server in {one.key for one in self._connections} - {one.key for one in connections}:
            self._pins.drop(server)
        if set(connections) - set(self._connections):
            self._patient_since = None
        self._connections = connections
        self._pins.holds = holds
        self.refresh()

    async def tools(
        self, timeout_s: float = LIST_TIMEOUT_S, *, patience_with_missed_s: float = MISSED_TIMEOUT_S
    ) -> tuple[CatalogTool, ...]:
        """All tools; waits for servers that never were listed before, and leaves out those that take too long.

        `patience_with_missed_s`, from the first such wait on, is for those that were waited for in vain before.
        """
        now = anyio.current_time()
        since = self._patient_since = now if self._patient_since is None else self._patient_since
        with anyio.CancelScope(deadline=min(now + timeout_s, since + LIST_TIMEOUT_S)):
            waited_for: Sequence[Connection] = ()
            while waited_for is not self._connections:  # the configuration may change meanwhile
                waited_for = self._connections
                for connection in waited_for:
                    patience_s = patience_with_missed_s if connection.was_missed else math.inf
                    with anyio.CancelScope(deadline=since + patience_s):
                        await connection.listing_or_failure()
        await self._note_missed()
        self._take_acceptances()
        return self._tools

    async def _note_missed(self) -> None:
        if self._patient_since is None or anyio.current_time() < self._patient_since + LIST_TIMEOUT_S:
            return
        for connection in self._connections:
            await connection.note_missed()

    @property
    def known(self) -> tuple[CatalogTool, ...]:
        """The tools that are known now."""
        return self._tools

    def find(self, name: str) -> CatalogTool | None:
        """The tool of that name, among those that are known now."""
        return self._by_name.get(name)

    async def find_listed(self, name: str) -> CatalogTool | None:
        """The tool of that name; where none is known, servers that never were listed before are waited for."""
        if name not in self._by_name:
            # who says a name knows it from somewhere, so it is worth the whole wait
            await self.tools(patience_with_missed_s=LIST_TIMEOUT_S)
        return self.find(name)

    def likely(self, name: str) -> list[str]:
        """Names of up to three tools that this one may stand for, unless it is known what has become of its tool."""
        if self.absence(name) is not None:
            return []
        return likely_names(name, {one.name: one.own_name for one in self._tools})

    def absence(self, name: str) -> str | None:
        """What has become of the tool that once had this name, in words; None where none had it, or one has it."""
        if name in self._by_name or name not in self._left:
            return None
        server, own_name = self._left[name]
        connection = next((one for one in self._connections if one.key == server), None)
        if connection is None:
            return f"its server {server!r} was taken out of the gateway's configuration"
        now = next((one.name for one in self._tools if (one.server, one.own_name) == (server, own_name)), None)
        if now is not None:
            return f"that tool of server {server!r} is called {now} now"
        if connection.listing is None:
            return f"its server {server!r} has changed in the gateway's configuration, and has not listed its tools yet"
        return f"server {server!r} does not offer it any more, or the gateway's configuration leaves it out"

    @property
    def changed(self) -> tuple[ChangedTool, ...]:
        """The tools that are not any more what they were when they were first used."""
        self._take_acceptances()
        return self._pins.changed

    def admit(self, tool: CatalogTool) -> None:
        """Note that a tool is used.

        Raises:
            ToolHeld: it has changed, and that has to be accepted first.
        """
        if self._pins.note_use(tool.server, tool.tool):
            self.refresh()
        self.check(tool)

    def check(self, tool: CatalogTool) -> None:
        """See that a tool may be sent a call.

        Raises:
            ToolHeld: it has changed, and that has to be accepted first.
        """
        self._take_acceptances()
        self._pins.check(tool.server, tool.own_name)

    def _take_acceptances(self) -> None:
        if self._pins.changed and self._pins.refresh():
            self.refresh()

    def refresh(self) -> None:
        """Merge again after a server's listing changed; tells of it only when the merged list did."""
        before, named_before = self._tools, self._by_name
        self._rebuild()
        if self._tools != before:
            self._note_left(named_before)
            self.version += 1
            self._on_change()

    def _note_left(self, named_before: Mapping[str, CatalogTool]) -> None:
        gone = {name: tool for name, tool in named_before.items() if name not in self._by_name}
        self._left |= {name: (tool.server, tool.own_name) for name, tool in gone.items()}
        for name in list(self._left)[: max(0, len(self._left) - MOST_LEFT)]:
            del self._left[name]

    def _rebuild(self) -> None:
        listed = {one.key: self._listed_tools(one) for one in self._connections}
        offers = [(one.entry, tool) for one in self._connections for tool in _offered(one.entry, listed[one.key])]
        names = self._names([_listed(entry, tool) for entry, tool in offers])
        policies = {one.key: _policies(one.entry, listed[one.key]) for one in self._connections}
        self._tools = tuple(
            CatalogTool(names[entry.key, tool["name"]], entry.key, tool, policies[entry.key][tool["name"]])
            for entry, tool in offers
            if (entry.key, tool["name"]) in names
        )
        self._by_name = {tool.name: tool for tool in self._tools}

    def _listed_tools(self, connection: Connection) -> tuple[dict[str, Any], ...]:
        if connection.listing is None:
            return ()
        return self._pins.shown(connection.entry, connection.claims, connection.listing.tools)

    def _names(self, listed: list[ListedTool]) -> dict[tuple[str, str], str]:
        collisions: list[NameCollision] = []
        while True:
            try:
                names = exposed_names(listed)
            except NameCollision as collision:
                # The rest of the list must not go with it, so the later of the two waits for the user.
                listed.remove(collision.second)
                collisions.append(collision)
            else:
                break
        for collision in collisions:
            if str(collision) not in map(str, self.collisions):
                log.error("tool_names_collide", problem=str(collision))
        self.collisions = tuple(collisions)
        return names


def check_names(entries: Iterable[ServerEntry]) -> None:
    """See that the names which the configuration itself gives to tools can stand side by side.

    Raises:
        NameCollision: two tools were given one name.
        ReservedName: a tool was given the name of one of the gateway's own.
    """
    exposed_names(tool for entry in entries for tool in _chosen(entry))


def _chosen(entry: ServerEntry) -> list[ListedTool]:
    tools = entry.settings.tools
    return [ListedTool(entry.key, "", tool, settings.name) for tool, settings in tools.items() if settings.name]


def _listed(entry: ServerEntry, tool: dict[str, Any]) -> ListedTool:
    settings = entry.settings
    chosen = settings.tools.get(tool["name"])
    prefix = entry.key if settings.prefix is None else settings.prefix
    return ListedTool(entry.key, prefix, tool["name"], chosen.name if chosen else None)


def _offered(entry: ServerEntry, listed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    include = entry.settings.include if entry.settings.include is not None else ("*",)
    exclude = entry.settings.exclude or ()
    return [
        tool
        for tool in listed
        if any(fnmatchcase(tool["name"], glob) for glob in include)
        and not any(fnmatchcase(tool["name"], glob) for glob in exclude)
    ]


def _policies(entry: ServerEntry, listed: Sequence[dict[str, Any]]) -> dict[str, ToolPolicy]:
    pack = find_pack(_identity(entry), {tool["name"] for tool in listed})
    return {
        tool["name"]: resolve_policy(
            entry, tool["name"], _hints(tool), has_ui=_has_ui(tool), pack=pack.tools if pack else None
        )
        for tool in listed
    }


def _identity(entry: ServerEntry) -> tuple[str, ...]:
    transport = entry.transport
    return (transport.command, *transport.args) if isinstance(transport, StdioEntry) else (transport.url,)


def _hints(tool: dict[str, Any]) -> ToolHints:
    annotations = _object(tool.get("annotations"))

    def hint(name: str) -> bool | None:
        value = annotations.get(name)
        return value if isinstance(value, bool) else None

    return ToolHints(hint("readOnlyHint"), hint("destructiveHint"), hint("idempotentHint"))


def _has_ui(tool: dict[str, Any]) -> bool:
    meta = _object(tool.get("_meta"))
    return "ui" in meta or "ui/resourceUri" in meta


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
