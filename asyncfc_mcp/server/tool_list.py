"""`tools/list`: our own tools and those of the servers, as clients see them; made anew for each change only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mcp_types as types
import structlog
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import Server
from mcp_types.methods import validate_server_result
from pydantic import ValidationError

from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.downstream.catalog import Catalog, CatalogTool
from asyncfc_mcp.gateway.answering.delivery import Delivery
from asyncfc_mcp.server.doorway import Context, Doorway
from asyncfc_mcp.server.schema import shown_tool
from asyncfc_mcp.server.tools import own_tools
from asyncfc_mcp.server.wire import COMPLETE

_FOR_ONE_MINUTE = {"ttlMs": 60_000, "cacheScope": "private"}
"""Changes are announced, so this only bounds what a client misses; and a list may say what its user has access to."""
_STRICTEST_REVISION = "2025-11-25"
"""Of the protocol, as to what a tool may look like."""

log = structlog.get_logger()


class ToolList:
    """The list of tools; the same for every client."""

    def __init__(self, catalog: Catalog, settings: GatewaySettings, doorway: Doorway, delivery: Delivery) -> None:
        self._catalog = catalog
        self._settings = settings
        self._doorway = doorway
        self._delivery = delivery
        self._shown: tuple[int, dict[str, Any]] | None = None
        self._written: dict[str, tuple[int, HandlerResult]] = {}
        """By revision of the protocol, the last answer as the SDK made it ready, and the version of the list in it."""

    def register(self, server: Server[Any]) -> None:
        """Answer `tools/list`; raw, so that nothing of what servers list is lost on the way."""
        server.add_request_handler("tools/list", types.PaginatedRequestParams, self._list)
        server.middleware.append(self._unchanged)
        # for the header check of the SDK, which else would run the whole list for each call
        server.get_tool_input_schema = self._schema_of_headers

    async def _unchanged(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Answer again what was answered before, as long as it is so: most of a long list's cost is to check it."""
        if ctx.method != "tools/list" or not _is_plain(ctx):
            return await call_next(ctx)
        self._delivery.arrive(self._doorway.caller(ctx))
        await self._catalog.tools()
        version, written = self._written.get(ctx.protocol_version, (None, None))
        if version != self._catalog.version:
            version = self._catalog.version
            written = await call_next(ctx)
            self._written[ctx.protocol_version] = (version, written)
        return written

    async def _list(self, context: Context, _: types.PaginatedRequestParams) -> dict[str, Any]:
        self._delivery.arrive(self._doorway.caller(context))
        tools = await self._catalog.tools()
        if self._shown is None or self._shown[0] != self._catalog.version:
            shown = own_tools() + self._sound(tools)
            self._shown = (self._catalog.version, {**COMPLETE, **_FOR_ONE_MINUTE, "tools": shown})
        return self._shown[1]

    def _sound(self, tools: Sequence[CatalogTool]) -> list[dict[str, Any]]:
        """The tools as clients see them, without those that no client would take: one would cost all their place."""
        shown: list[dict[str, Any]] = []
        for tool in tools:
            try:
                one = self._show(tool)
                validate_server_result("tools/list", _STRICTEST_REVISION, {"tools": [one]})
            except (ValidationError, TypeError, AttributeError) as error:  # what a server lists may have any shape
                log.warning("server_tool_left_out", server=tool.server, tool=tool.own_name, fault=_fault(error))
            else:
                shown.append(one)
        return shown

    def _show(self, tool: CatalogTool) -> dict[str, Any]:
        policy = tool.policy
        return shown_tool(
            {**tool.tool, "inputSchema": tool.input_schema},
            name=tool.name,
            server=tool.server,
            mode=policy.mode,
            schema=self._settings.schema_,
            structured=policy.structured,
            wait_argument=self._settings.wait_argument,
            name_argument=self._settings.name_argument,
        )

    def _schema_of_headers(self, name: str) -> dict[str, Any] | None:
        tool = self._catalog.find(name)
        return tool.input_schema if tool is not None and tool.has_header_arguments else None


def _is_plain(context: Context) -> bool:
    """Whether it is the usual request, by a client that may make it: anything else is for the SDK to judge."""
    has_begun = context.session.client_capabilities is not None
    said = (context.params or {}).keys() - ({"_meta"} if context.meta is not None else set())
    return has_begun and context.request_id is not None and not said


def _fault(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "its description or _meta has the wrong type"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'][2:]))}: {first['msg']}"
