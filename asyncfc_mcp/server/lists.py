"""The lists of resources, resource templates and prompts: the same for every client, each in one page."""

from __future__ import annotations

from typing import Any

import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types.methods import validate_server_result
from pydantic import ValidationError

from asyncfc_mcp.downstream.offers import Merged, Offers, Raw
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.server.doorway import Context, Doorway
from asyncfc_mcp.server.sessions import Sessions
from asyncfc_mcp.server.wire import COMPLETE

_METHODS = {
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
    "prompts": "prompts/list",
}
_REVISIONS = ("2025-11-25", "2026-07-28")
_FRESH_MS = 60_000
"""Changes are announced, but not to clients that do not listen."""


def is_sound(kind: str, item: Raw) -> bool:
    """Whether clients of both eras would take the item in that list."""
    result = {**COMPLETE, "ttlMs": 0, "cacheScope": "private", kind: [item]}
    try:
        for revision in _REVISIONS:
            validate_server_result(_METHODS[kind], revision, result)
    except (ValidationError, TypeError, AttributeError):  # what a server lists may have any shape
        return False
    return True


class Lists:
    """Answers the requests for lists."""

    def __init__(self, gateway: Gateway, offers: Offers, sessions: Sessions, doorway: Doorway) -> None:
        self._gateway = gateway
        self._offers = offers
        self._sessions = sessions
        self._doorway = doorway

    def register(self, server: Server[Any]) -> None:
        """Handle the requests for the three lists."""
        server.add_request_handler("resources/list", types.PaginatedRequestParams, self._resources)
        server.add_request_handler("resources/templates/list", types.PaginatedRequestParams, self._templates)
        server.add_request_handler("prompts/list", types.PaginatedRequestParams, self._prompts)

    async def _resources(self, context: Context, params: types.PaginatedRequestParams) -> dict[str, Any]:
        merged = await self._merged(context, params)
        return self._page("resources", merged.resources)

    async def _templates(self, context: Context, params: types.PaginatedRequestParams) -> dict[str, Any]:
        merged = await self._merged(context, params)
        return self._page("resourceTemplates", merged.templates)

    async def _prompts(self, context: Context, params: types.PaginatedRequestParams) -> dict[str, Any]:
        merged = await self._merged(context, params)
        return self._page("prompts", merged.prompts)

    async def _merged(self, context: Context, params: types.PaginatedRequestParams) -> Merged:
        caller = self._doorway.caller(context)
        self._sessions.seen(context, caller)
        self._gateway.delivery.arrive(caller)
        if params.cursor is not None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown cursor; {context.method} has one page and gives none out")
        return await self._offers.complete()

    def _page(self, kind: str, items: tuple[Raw, ...]) -> dict[str, Any]:
        fresh_ms = _FRESH_MS if self._offers.is_complete else 0
        return {**COMPLETE, "ttlMs": fresh_ms, "cacheScope": "private", kind: list(items)}
