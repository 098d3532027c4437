"""What a server says of itself: its lists (all pages), its instructions, its name; and keeping that for the next start.

A kept list is found by a hash of the server's entry and of what the client claims, so it never outlives a change and
gives nothing of them away. In its place there may be a mark: that clients waited for one in vain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import anyio
import structlog
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND, PaginatedRequestParams
from pydantic import ValidationError

from asyncfc_mcp.config.models import ServerEntry
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.exchange import Exchange
from asyncfc_mcp.downstream.handshake import is_closed
from asyncfc_mcp.downstream.private_file import replace_file
from asyncfc_mcp.downstream.sending import RawRequest, Unread
from asyncfc_mcp.downstream.tasks.finishing import must_be_task

log = structlog.get_logger(__name__)

MAX_PAGES = 100
_SIDE_LIST_LIMIT_S = 10.0
"""Tools are waited for as long as the handshake; the other lists must not keep them waiting."""
_SCHEMA_VERSION = 2
_IDENTITIES = {"tools": "name", "resources": "uri", "templates": "uriTemplate", "prompts": "name"}


@dataclass(frozen=True, slots=True)
class _Kind:
    one: str
    method: str
    items: str
    identity: str
    """The field that tells one item from another."""


_TOOLS = _Kind("tool", "tools/list", "tools", "name")
_RESOURCES = _Kind("resource", "resources/list", "resources", "uri")
_TEMPLATES = _Kind("template", "resources/templates/list", "resourceTemplates", "uriTemplate")
_PROMPTS = _Kind("prompt", "prompts/list", "prompts", "name")


@dataclass(frozen=True)
class Listing:
    """What one server offers, as it listed it, and its own words."""

    tools: tuple[dict[str, Any], ...] = ()
    instructions: str | None = None
    server_name: str | None = None
    server_version: str | None = None
    protocol_version: str | None = None
    capabilities: dict[str, Any] = field(default_factory=dict[str, Any])
    """The ServerCapabilities of the wire."""
    resources: tuple[dict[str, Any], ...] = ()
    templates: tuple[dict[str, Any], ...] = ()
    prompts: tuple[dict[str, Any], ...] = ()

    @cached_property
    def must_be_tasks(self) -> frozenset[str]:
        """The tools that are called as tasks or not at all."""
        return frozenset(tool["name"] for tool in self.tools if must_be_task(tool, self.capabilities))


async def fetch_listing(
    session: ClientSession, server: str, capabilities: dict[str, Any], before: Listing | None = None
) -> Listing:
    """Everything that a connected server says of itself.

    A faulty tool never costs the others their place, nor a faulty list another list: it stays as it was before.

    Raises:
        MCPError: The connection ended, or the tools cannot be listed.
    """
    info = session.server_info
    known = before or Listing()
    fetched: dict[str, tuple[dict[str, Any], ...]] = {}

    async def fetch(kind: _Kind, otherwise: tuple[dict[str, Any], ...]) -> None:
        fetched[kind.items] = await _fetch_or_keep(session, server, kind, otherwise)

    tools: tuple[dict[str, Any], ...] = ()
    try:
        async with anyio.create_task_group() as tasks:
            if "resources" in capabilities:
                tasks.start_soon(fetch, _RESOURCES, known.resources)
                tasks.start_soon(fetch, _TEMPLATES, known.templates)
            if "prompts" in capabilities:
                tasks.start_soon(fetch, _PROMPTS, known.prompts)
            tools = await _all_pages(partial(_fetch_tools_page, session, server), server, _TOOLS)
    except* MCPError as errors:
        raise _only(errors) from None
    return Listing(
        tools=tools,
        instructions=session.instructions,
        server_name=info.name if info else None,
        server_version=info.version if info else None,
        protocol_version=session.protocol_version,
        capabilities=capabilities,
        resources=fetched.get("resources", ()),
        templates=fetched.get("resourceTemplates", ()),
        prompts=fetched.get("prompts", ()),
    )


def _only(errors: BaseExceptionGroup[MCPError]) -> BaseException:
    first = errors.exceptions[0]
    return _only(first) if isinstance(first, BaseExceptionGroup) else first


async def _fetch_or_keep(
    session: ClientSession, server: str, kind: _Kind, otherwise: tuple[dict[str, Any], ...]
) -> tuple[dict[str, Any], ...]:
    fault = f"no answer within {_SIDE_LIST_LIMIT_S:g} s"
    try:
        with anyio.move_on_after(_SIDE_LIST_LIMIT_S):
            return await _all_pages(partial(_fetch_raw_page, session, kind.method), server, kind)
    except MCPError as error:
        if is_closed(error):
            raise
        if error.code == METHOD_NOT_FOUND:
            return ()
        fault = f"JSON-RPC error {error.code}"
    log.warning("server_list_faulty", server=server, list=kind.items, fault=fault)
    return otherwise


async def _all_pages(
    fetch_page: Callable[[str | None], Awaitable[dict[str, Any]]], server: str, kind: _Kind
) -> tuple[dict[str, Any], ...]:
    found: dict[str, dict[str, Any]] = {}
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        page = await fetch_page(cursor)
        _add_items(found, page.get(kind.items), server, kind)
        following = page.get("nextCursor")
        if not isinstance(following, str):
            return tuple(found.values())
        if following in seen:
            break
        seen.add(following)
        cursor = following
    log.warning("server_list_endless", server=server, list=kind.items, pages=len(seen), items=len(found))
    return tuple(found.values())


async def _fetch_raw_page(session: ClientSession, method: str, cursor: str | None) -> dict[str, Any]:
    exchange = Exchange()
    request = RawRequest(method=method, params={"cursor": cursor} if cursor else None)
    # What is malformed in it is left out item by item.
    with exchange.recorded(), suppress(ValidationError):
        await session.send_request(request, Unread)
    return exchange.result or {}


async def _fetch_tools_page(session: ClientSession, server: str, cursor: str | None) -> dict[str, Any]:
    exchange = Exchange()
    try:
        with exchange.recorded():
            result = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
    except MCPError as error:
        if error.code == METHOD_NOT_FOUND:
            return {}
        raise
    except ValidationError:
        # Something in it is malformed; the tools are looked at one by one.
        return exchange.result or {}
    # The session leaves out tools whose `x-mcp-header` no client may honour.
    usable = {tool.name for tool in result.tools}
    raw = exchange.result or {}
    kept = [tool for tool in raw.get("tools", ()) if tool["name"] in usable]
    if len(kept) < len(raw.get("tools", ())):
        log.warning("server_tools_unusable", server=server, left_out=len(raw["tools"]) - len(kept))
    return {**raw, "tools": kept}


def _add_items(found: dict[str, dict[str, Any]], listed: Any, server: str, kind: _Kind) -> None:
    skipped = f"server_{kind.one}_skipped"
    for item in cast("list[Any]", listed) if isinstance(listed, list) else []:
        name = cast("dict[str, Any]", item).get(kind.identity) if isinstance(item, dict) else None
        if not isinstance(name, str):
            log.warning(skipped, server=server, fault=f"it has no {kind.identity}")
        elif name in found:
            log.warning(skipped, server=server, **{kind.one: name}, fault=f"the {kind.identity} is listed twice")
        else:
            found[name] = item


class KeptListing:
    """The last known listings of one server, a private file for each kind of client that it was listed for.

    Where clients waited for a listing in vain, an empty file says so until there is one.
    """

    def __init__(self, state_folder: Path, entry: ServerEntry) -> None:
        self._identity = entry.identity
        self._server = entry.key
        self._folder = state_folder / "lists"

    def path(self, claims: Claims) -> Path:
        """Where the listing for such a client is kept: some servers offer more to clients that can do more."""
        identity = {**self._identity, "era": claims.era, "capabilities": claims.capabilities}
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest}.json"

    def load(self, claims: Claims) -> Listing | None:
        """The kept listing; None when there is none that can be read."""
        path = self.path(claims)
        try:
            kept = json.loads(path.read_bytes())
            if kept.pop("schema") != _SCHEMA_VERSION:
                return None
            lists = {name: _checked(kept.pop(name), identity) for name, identity in _IDENTITIES.items()}
            if not isinstance(kept["capabilities"], dict):
                raise TypeError("the capabilities are not an object")  # noqa: TRY301 - the same end as other damage
            return Listing(**lists, **kept)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            log.warning("kept_list_ignored", server=self._server, path=str(path), fault=type(error).__name__)
            return None

    def save(self, listing: Listing, claims: Claims) -> None:
        """Replace the file in one step; a folder that cannot be written costs the next start its speed, no more."""
        path = self.path(claims)
        try:
            content = json.dumps({"schema": _SCHEMA_VERSION, **asdict(listing)}).encode()
            replace_file(path, content)
        except (OSError, ValueError, RecursionError) as error:
            log.warning("list_not_kept", server=self._server, path=str(path), fault=type(error).__name__)
        with suppress(OSError):  # a kept list counts more than the mark
            self._mark(claims).unlink(missing_ok=True)

    def was_missed(self, claims: Claims) -> bool:
        """Whether such clients waited for a listing in vain, and there has been none since."""
        with suppress(OSError):  # the kept list's own warning tells of a folder that cannot be read
            return self._mark(claims).exists()
        return False

    def note_missed(self, claims: Claims) -> None:
        """Have the next start know that such clients waited in vain."""
        mark = self._mark(claims)
        try:
            replace_file(mark, b"")
        except OSError as error:
            log.warning("list_not_kept", server=self._server, path=str(mark), fault=type(error).__name__)

    def _mark(self, claims: Claims) -> Path:
        return self.path(claims).with_suffix(".missed")


def _checked(items: Any, identity: str) -> tuple[dict[str, Any], ...]:
    kept = tuple(cast("list[dict[str, Any]]", items))
    if not all(isinstance(item[identity], str) for item in kept):
        raise TypeError(f"an item has no {identity}")
    return kept
