"""What a server says of itself: its tools (all pages), its instructions, its name; and keeping that for the next start.

A kept list is found by a hash of the server's entry, so it never outlives a change and gives nothing of the entry away.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import anyio
import structlog
from mcp.client.session import ClientSession
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND, PaginatedRequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from asyncfc_mcp.config.models import ServerEntry
from asyncfc_mcp.downstream.exchange import Exchange
from asyncfc_mcp.downstream.retrying import delay_s

log = structlog.get_logger(__name__)

MAX_PAGES = 100
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Listing:
    """One server's tools, as it listed them, and its own words."""

    tools: tuple[dict[str, Any], ...] = ()
    instructions: str | None = None
    server_name: str | None = None
    server_version: str | None = None
    protocol_version: str | None = None


async def fetch_listing(session: ClientSession, server: str) -> Listing:
    """Everything that a connected server says of itself; a faulty tool never costs the others their place."""
    info = session.server_info
    return Listing(
        tools=await _fetch_tools(session, server),
        instructions=session.instructions,
        server_name=info.name if info else None,
        server_version=info.version if info else None,
        protocol_version=session.protocol_version,
    )


async def _fetch_tools(session: ClientSession, server: str) -> tuple[dict[str, Any], ...]:
    tools: dict[str, dict[str, Any]] = {}
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        page = await _fetch_page(session, server, cursor)
        _add_tools(tools, page.get("tools"), server)
        following = page.get("nextCursor")
        if not isinstance(following, str):
            return tuple(tools.values())
        if following in seen:
            break
        seen.add(following)
        cursor = following
    log.warning("server_list_endless", server=server, pages=len(seen), tools=len(tools))
    return tuple(tools.values())


async def _fetch_page(session: ClientSession, server: str, cursor: str | None) -> dict[str, Any]:
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


def _add_tools(tools: dict[str, dict[str, Any]], listed: Any, server: str) -> None:
    for tool in cast("list[Any]", listed) if isinstance(listed, list) else []:
        name = cast("dict[str, Any]", tool).get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str):
            log.warning("server_tool_skipped", server=server, fault="it has no name")
        elif name in tools:
            log.warning("server_tool_skipped", server=server, tool=name, fault="the name is listed twice")
        else:
            tools[name] = tool


async def hold_list_subscription(session: ClientSession, on_open: Callable[[], None]) -> None:
    """Keep a modern server telling us of list changes; the session hands them to its message handler."""
    capabilities = session.server_capabilities
    if session.protocol_version not in MODERN_PROTOCOL_VERSIONS or capabilities is None:
        return
    if capabilities.tools is None or not capabilities.tools.list_changed:
        return
    failures = 0
    while True:
        try:
            async with listen(session, tools_list_changed=True) as subscription:
                # What changed before the stream was open was told to nobody.
                on_open()
                async for _ in subscription:
                    failures = 0
        except SubscriptionLost:
            log.debug("server_subscription_lost")
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                return
        failures += 1
        await anyio.sleep(delay_s(failures))


class KeptListing:
    """The last known listing of one server, in one private file."""

    def __init__(self, state_folder: Path, entry: ServerEntry) -> None:
        identity = {"key": entry.key, "transport": entry.transport.model_dump(mode="json")}
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self._server = entry.key
        self.path = state_folder / "lists" / f"{digest}.json"

    def load(self) -> Listing | None:
        """The kept listing; None when there is none that can be read."""
        try:
            kept = json.loads(self.path.read_bytes())
            if kept.pop("schema") != _SCHEMA_VERSION:
                return None
            tools = tuple(cast("list[dict[str, Any]]", kept.pop("tools")))
            if not all(isinstance(tool["name"], str) for tool in tools):
                raise TypeError("a tool has no name")  # noqa: TRY301 - the same end as any other damage
            return Listing(tools, **kept)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            log.warning("kept_list_ignored", server=self._server, path=str(self.path), fault=type(error).__name__)
            return None

    def save(self, listing: Listing) -> None:
        """Replace the file in one step; a folder that cannot be written costs the next start its speed, no more."""
        try:
            content = json.dumps({"schema": _SCHEMA_VERSION, **asdict(listing)}).encode()
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".tmp")
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(temporary).replace(self.path)
        except (OSError, ValueError, RecursionError) as error:
            log.warning("list_not_kept", server=self._server, path=str(self.path), fault=type(error).__name__)
