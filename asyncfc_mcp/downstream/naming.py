"""The names that clients see: from a server's prefix and its tool's own name, pure and stable.

A name that needs no change is never changed, whatever else appears. One that does (a foreign character, too long,
reserved for the gateway) gets a suffix made from the server's key and the tool's own name, and from nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from asyncfc_mcp.errors import GatewayError

MAX_NAME_LENGTH = 40
"""Clients add their own prefix; the tightest of them drop or cut what is longer."""
MAX_OWN_NAME_LENGTH = 64
"""A server's own name without a prefix of ours: clients lived with it before. The limit of most model APIs."""

RESERVED_NAMES = frozenset({"await_future", "get_future", "cancel_future", "list_futures"})
"""The gateway's own tools."""

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_HASH_LENGTH = 6
_LONG_HASH_LENGTH = 24
_LONGEST_SLIP = 128
"""Of a wrong name, in characters: nobody means a tool by more, and comparing takes long."""
_LIKENESS = 0.75
"""Of two names, as difflib measures it, from which on one is taken for a slip in the other."""


@dataclass(frozen=True, slots=True)
class ListedTool:
    """One tool of one server, before it has a name here."""

    server: str
    prefix: str
    tool: str
    chosen: str | None = None
    """The name that the user gave it, used as it is."""


class NameCollision(GatewayError):
    """Two tools want one name, and only the user can say which gives way."""

    def __init__(self, name: str, first: ListedTool, second: ListedTool) -> None:
        super().__init__(
            f"tools {first.tool!r} of server {first.server!r} and {second.tool!r} of server {second.server!r} would "
            f"both be called {name!r}; set another `prefix` for one of the servers or a `name` for one of the tools"
        )
        self.name = name
        self.first = first
        self.second = second


class ReservedName(GatewayError):
    """The user gave a tool the name of one of the gateway's own."""

    def __init__(self, tool: ListedTool) -> None:
        super().__init__(
            f"tool {tool.tool!r} of server {tool.server!r} cannot be called {tool.chosen!r}: that is a tool of the "
            f"gateway; choose another `name` (reserved: {', '.join(sorted(RESERVED_NAMES))})"
        )
        self.tool = tool


def exposed_names(tools: Iterable[ListedTool]) -> dict[tuple[str, str], str]:
    """The name of each tool by (server, its own name); no two are equal.

    Raises:
        NameCollision: Two names that the user is responsible for are equal.
        ReservedName: A chosen name belongs to the gateway.
    """
    listed = list(dict.fromkeys(tools))
    names = _Names()
    # Names that may not change are handed out first, so that a suffixed one can never take theirs.
    for tool in listed:
        if tool.chosen in RESERVED_NAMES:
            raise ReservedName(tool)
        if tool.chosen is not None:
            names.claim(tool.chosen, tool)
    for tool in listed:
        if tool.chosen is None and _is_plain(tool):
            names.claim(_full_name(tool), tool)
    for tool in listed:
        if tool.chosen is None and not _is_plain(tool):
            names.claim_suffixed(tool)
    return names.by_tool


class _Names:
    def __init__(self) -> None:
        self.by_tool: dict[tuple[str, str], str] = {}
        self._owners: dict[str, ListedTool] = {}

    def claim(self, name: str, tool: ListedTool) -> None:
        if name in self._owners:
            raise NameCollision(name, self._owners[name], tool)
        self._owners[name] = tool
        self.by_tool[tool.server, tool.tool] = name

    def claim_suffixed(self, tool: ListedTool) -> None:
        name = _suffixed_name(tool, _HASH_LENGTH)
        owner = self._owners.get(name)
        # Another server's tool must never push this one aside: its name may be remembered and trusted.
        if owner is not None and owner.server == tool.server:
            name = _suffixed_name(tool, _LONG_HASH_LENGTH)
        self.claim(name, tool)


def likely_names(wanted: str, own_names: Mapping[str, str]) -> list[str]:
    """Up to three tools that a wrong name may stand for: what is called so without its prefix, then what looks like it.

    Args:
        wanted: the wrong name.
        own_names: what each server calls its tool, by the name that clients see.
    """
    if not 0 < len(wanted) <= _LONGEST_SLIP:
        return []
    ending = f"_{wanted}"
    bare = [name for name, own in own_names.items() if wanted == own or name.endswith(ending)]
    return list(dict.fromkeys([*bare, *get_close_matches(wanted, own_names, n=3, cutoff=_LIKENESS)]))[:3]


def _full_name(tool: ListedTool) -> str:
    return f"{tool.prefix}_{tool.tool}" if tool.prefix else tool.tool


def _is_plain(tool: ListedTool) -> bool:
    name = _full_name(tool)
    longest = MAX_NAME_LENGTH if tool.prefix else MAX_OWN_NAME_LENGTH
    return 0 < len(name) <= longest and not _FOREIGN.search(name) and name not in RESERVED_NAMES


def _suffixed_name(tool: ListedTool, hash_length: int) -> str:
    identity = f"{tool.server}\0{tool.tool}".encode("utf-8", "surrogatepass")
    suffix = f"_{hashlib.sha256(identity).hexdigest()[:hash_length]}"
    return _FOREIGN.sub("_", _full_name(tool))[: MAX_NAME_LENGTH - len(suffix)] + suffix
