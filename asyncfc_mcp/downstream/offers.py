"""Every server's resources, resource templates and prompts in one list each, in an order that owes nothing to timing.

URIs stay as they are: where two servers list the same one, the first in the order of the configuration answers and the
other is left out. Prompts get their server's prefix, as tools do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from mcp.shared.uri_template import InvalidUriTemplate, UriTemplate

from asyncfc_mcp.config.models import ServerEntry
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.listing import Listing
from asyncfc_mcp.downstream.naming import ListedTool, NameCollision, exposed_names
from asyncfc_mcp.downstream.pool import Pool

Raw = dict[str, Any]
"""A Resource, ResourceTemplate or Prompt of the wire."""
IsSound = Callable[[str, Raw], bool]
"""Whether clients would take an item in the list of that name: `resources`, `resourceTemplates` or `prompts`."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OfferedPrompt:
    """Where a prompt comes from."""

    server: str
    own_name: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What all servers offer together."""

    resources: tuple[Raw, ...] = ()
    templates: tuple[Raw, ...] = ()
    prompts: tuple[Raw, ...] = ()
    collisions: tuple[str, ...] = ()
    """In words, what was left out because another server offers the same."""
    server_of_uri: dict[str, str] = field(default_factory=dict[str, str])
    server_of_template: dict[str, str] = field(default_factory=dict[str, str])
    patterns: tuple[tuple[UriTemplate, str], ...] = ()
    """The templates that URIs can be matched with, and the server of each."""
    prompt_of_name: dict[str, OfferedPrompt] = field(default_factory=dict[str, OfferedPrompt])


class Offers:
    """The merged lists, always those of the last known listings; merged again only when one of these is another.

    Args:
        pool: the servers.
        is_sound: says which items clients would take; one that they would not would cost them the whole list.
        own_templates: those of the gateway itself, which come first and which no server can take over.
    """

    def __init__(self, pool: Pool, is_sound: IsSound, own_templates: Sequence[Raw] = ()) -> None:
        self._pool = pool
        self._catalog = pool.catalog
        self._is_sound = is_sound
        self._own_templates = own_templates
        self._sources: list[tuple[ServerEntry, Listing | None]] = []
        """What was merged."""
        self._merged = Merged()
        self._announced: set[str] = set()

    async def complete(self) -> Merged:
        """The merged lists; waits for servers that never were listed before, as the list of tools does."""
        await self._catalog.tools()
        return self.known

    @property
    def known(self) -> Merged:
        """The merged lists as they are known now."""
        connections = self._pool.connections
        sources = [(connection.entry, connection.listing) for connection in connections]
        if len(sources) != len(self._sources) or any(
            new[0] is not old[0] or new[1] is not old[1] for new, old in zip(sources, self._sources, strict=True)
        ):
            self._sources = sources
            self._merged = _Merging(connections, self._is_sound, self._own_templates).merged()
            self._announce_collisions()
        return self._merged

    @property
    def is_complete(self) -> bool:
        """Whether every server has been listed."""
        return all(connection.listing is not None for connection in self._pool.connections)

    @property
    def collisions(self) -> tuple[str, ...]:
        """In words, what was left out because another server offers the same."""
        return self.known.collisions

    def candidates(self, uri: str) -> tuple[list[str], list[str]]:
        """The servers that say they have a resource, best first; and the others that may have it all the same."""
        merged = self.known
        claimants = [merged.server_of_uri[uri]] if uri in merged.server_of_uri else []
        if not claimants:
            claimants = list(dict.fromkeys(server for pattern, server in merged.patterns if _matches(pattern, uri)))
        others = [
            connection.key
            for connection in self._pool.connections
            if connection.key not in claimants and has_capability(connection, "resources")
        ]
        return claimants, others

    def with_capability(self, capability: str) -> list[Connection]:
        """The servers that declare a capability, in the order of the configuration."""
        return [connection for connection in self._pool.connections if has_capability(connection, capability)]

    def _announce_collisions(self) -> None:
        for collision in self._merged.collisions:
            if collision not in self._announced:
                self._announced.add(collision)
                log.warning("offer_left_out", problem=collision)


def has_capability(connection: Connection, capability: str) -> bool:
    """Whether a server said in its last listing that it has a capability."""
    return connection.listing is not None and connection.listing.capabilities.get(capability) is not None


class _Merging:
    """One pass over all listings."""

    def __init__(self, connections: Sequence[Connection], is_sound: IsSound, own_templates: Sequence[Raw]) -> None:
        self._offering = [(each, each.listing) for each in connections if each.listing is not None]
        self._is_sound = is_sound
        self._own_templates = own_templates
        self._collisions: list[str] = []

    def merged(self) -> Merged:
        resources, server_of_uri = self._by_uri("resources", "resource")
        templates, server_of_template = self._by_uri("resourceTemplates", "resource template")
        prompts, prompt_of_name = self._prompts()
        return Merged(
            resources=resources,
            templates=(*self._own_templates, *templates),
            prompts=prompts,
            collisions=tuple(self._collisions),
            server_of_uri=server_of_uri,
            server_of_template=server_of_template,
            patterns=tuple(_patterns(self._offering)),
            prompt_of_name=prompt_of_name,
        )

    def _by_uri(self, kind: str, noun: str) -> tuple[tuple[Raw, ...], dict[str, str]]:
        """The items of one kind that no earlier server has, and the server of each."""
        key = _KEYS[kind]
        owners: dict[str, str] = {own[key]: "" for own in self._own_templates if key in own}
        shown: list[Raw] = []
        for connection, listing in self._offering:
            for item in self._sound(kind, connection.key, _items(listing, kind)):
                owner = owners.setdefault(item[key], connection.key)
                if owner == connection.key:
                    shown.append(item)
                else:
                    first = f"server {owner!r}" if owner else "the gateway itself"
                    self._collisions.append(
                        f"{noun} {item[key]!r} of server {connection.key!r} is left out: {first} has one of that URI"
                    )
        return tuple(shown), {uri: owner for uri, owner in owners.items() if owner}

    def _prompts(self) -> tuple[tuple[Raw, ...], dict[str, OfferedPrompt]]:
        offers = [
            (connection.entry, prompt)
            for connection, listing in self._offering
            for prompt in self._sound("prompts", connection.key, _items(listing, "prompts"))
        ]
        names = self._names([_listed(entry, prompt["name"]) for entry, prompt in offers])
        shown = [
            ({**prompt, "name": names[entry.key, prompt["name"]]}, OfferedPrompt(entry.key, prompt["name"]))
            for entry, prompt in offers
            if (entry.key, prompt["name"]) in names
        ]
        return tuple(prompt for prompt, _ in shown), {prompt["name"]: offered for prompt, offered in shown}

    def _names(self, listed: list[ListedTool]) -> dict[tuple[str, str], str]:
        while True:
            try:
                return exposed_names(listed)
            except NameCollision as collision:
                first, second = collision.first, collision.second
                listed = [one for one in listed if one != second]
                self._collisions.append(
                    f"prompt {second.tool!r} of server {second.server!r} is left out: prompt {first.tool!r} of server "
                    f"{first.server!r} is called {collision.name!r} too; set another `prefix` for one of the servers"
                )

    def _sound(self, kind: str, server: str, items: Sequence[Raw]) -> list[Raw]:
        """Those that clients would take, the first of each identity."""
        key = _KEYS[kind]
        sound: dict[str, Raw] = {}
        for item in items:
            identity = item.get(key)
            if not isinstance(identity, str) or not self._is_sound(kind, item):
                log.warning("server_offer_skipped", server=server, list=kind, item=identity, fault="it is malformed")
            elif identity in sound:
                log.warning("server_offer_skipped", server=server, list=kind, item=identity, fault="it is listed twice")
            else:
                sound[identity] = item
        return list(sound.values())


_KEYS = {"resources": "uri", "resourceTemplates": "uriTemplate", "prompts": "name"}


def _items(listing: Listing, kind: str) -> tuple[Raw, ...]:
    return {
        "resources": listing.resources,
        "resourceTemplates": listing.templates,
        "prompts": listing.prompts,
    }[kind]


def _listed(entry: ServerEntry, name: str) -> ListedTool:
    prefix = entry.key if entry.settings.prefix is None else entry.settings.prefix
    return ListedTool(entry.key, prefix, name)


def _patterns(offering: Sequence[tuple[Connection, Listing]]) -> Iterator[tuple[UriTemplate, str]]:
    """The templates of all servers: one that is left out of the list may still know what the first does not."""
    for connection, listing in offering:
        for template in listing.templates:
            try:
                yield UriTemplate.parse(str(template.get("uriTemplate"))), connection.key
            except InvalidUriTemplate:  # its server is asked among the others
                log.debug("uri_template_not_understood", server=connection.key)


def _matches(pattern: UriTemplate, uri: str) -> bool:
    return pattern.match(uri) is not None
