"""The MCP server that clients talk to, on any transport, and the one map from our errors to the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mcp_types as types
import structlog
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types.methods import validate_server_result
from pydantic import ValidationError

from asyncfc_mcp import __version__
from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.outcome import RpcError
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway import wording
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway, UnknownTool, Wishes
from asyncfc_mcp.gateway.shaping import Block, inline_result, names_its_token, text_block
from asyncfc_mcp.server.doorway import Context, Doorway
from asyncfc_mcp.server.instructions import instructions
from asyncfc_mcp.server.schema import own_arguments, shown_tool, split_arguments
from asyncfc_mcp.server.tools import OwnTools, own_tools

FUTURE_META_KEY = "asyncfc/future"
DELIVERED_META_KEY = "asyncfc/delivered"
COMPLETE = {"resultType": "complete"}
"""What every result says on 2026-07-28; older revisions do not know it, and the SDK takes it out for them."""
_STRICTEST_REVISION = "2025-11-25"
"""Of the protocol, as to what a tool may look like."""
_FOR_ONE_MINUTE = CacheHint(ttl_ms=60_000, scope="private")

log = structlog.get_logger()


class Handlers:
    """Answers MCP requests with what the gateway gives.

    Args:
        gateway: does the work.
        settings: how clients are shown things.
        doorway: who is behind a request.
    """

    def __init__(self, gateway: Gateway, settings: GatewaySettings, doorway: Doorway) -> None:
        self._gateway = gateway
        self._settings = settings
        self._doorway = doorway
        self._own = OwnTools(gateway)
        self._own_arguments: dict[str, frozenset[str]] = {}
        self._shown: tuple[int, dict[str, Any]] | None = None
        self._bus = InMemorySubscriptionBus()
        self._sessions: list[ServerSession] = []
        self.server = self._make_server()
        self.options: InitializationOptions = self.server.create_initialization_options(
            NotificationOptions(tools_changed=True)
        )
        self._say_instructions()

    def _make_server(self) -> Server[Any]:
        server: Server[Any] = Server(
            "asyncfc-mcp",
            version=__version__,
            title="AsyncFC gateway",
            cache_hints={"tools/list": _FOR_ONE_MINUTE},
            get_tool_input_schema=self._input_schema,
            on_subscriptions_listen=ListenHandler(self._bus),
        )
        # registered here and not above, because these give raw results: nothing of the server's is lost on the way
        server.add_request_handler("tools/list", types.PaginatedRequestParams, self._list_tools)
        server.add_request_handler("tools/call", types.CallToolRequestParams, self._call_tool)
        server.add_notification_handler("notifications/initialized", types.NotificationParams, self._initialized)
        return server

    # Lists

    async def announce_tools(self) -> None:
        """Tell every client that the list of tools has changed."""
        self._say_instructions()
        await self._bus.publish(ToolsListChanged())
        for session in self._sessions:
            await session.send_tool_list_changed()

    def _say_instructions(self) -> None:
        said = {key: status.instructions or "" for key, status in self._gateway.pool.statuses().items()}
        self.server.instructions = self.options.instructions = instructions(said)

    async def _initialized(self, context: Context, _: types.NotificationParams) -> None:
        self._sessions.append(context.session)

    async def _list_tools(self, context: Context, _: types.PaginatedRequestParams) -> dict[str, Any]:
        self._gateway.delivery.arrive(self._doorway.caller(context))
        catalog = self._gateway.pool.catalog
        tools = await catalog.tools()
        if self._shown is None or self._shown[0] != catalog.version:
            self._shown = (catalog.version, {**COMPLETE, "tools": own_tools() + self._sound(tools)})
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

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        """For the header check of the SDK, which else would run the whole list for each call."""
        tool = self._gateway.pool.catalog.find(name)
        return tool.input_schema if tool is not None else None

    # Calls

    def expect_call(self) -> None:
        """A transport that reads ahead has read a tool call."""
        self._gateway.delivery.expect_call()

    async def _call_tool(self, context: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        self._gateway.delivery.take_expected_call()
        return COMPLETE | await self._answer_call(context, params)

    async def _answer_call(self, context: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        caller = self._doorway.caller(context)
        self._gateway.delivery.arrive(caller)
        try:
            if params.name in self._own:
                return await self._call_own(caller, params, context)
            return await self._call_downstream(caller, params, context)
        except UnknownTool as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        except GatewayError as error:
            return self._with_attachments(caller, {"content": [text_block(str(error))], "isError": True}, ())
        except MCPError:
            raise
        except (
            Exception
        ):  # the SDK answers what it does not know with a bare number: say it in our log and to the model
            log.exception("request_broke", tool=params.name)
            raise MCPError(types.INTERNAL_ERROR, "The gateway itself failed; its log says why.") from None

    async def _call_own(self, caller: Caller, params: types.CallToolRequestParams, context: Context) -> dict[str, Any]:
        result = await self._own.call(caller, params.name, params.arguments, context.session.report_progress)
        return self._with_attachments(caller, result, ())

    async def _call_downstream(
        self, caller: Caller, params: types.CallToolRequestParams, context: Context
    ) -> dict[str, Any]:
        tool = await self._find(params.name)
        arguments, wishes = self._split(tool, params.arguments)
        future = await self._gateway.call(
            caller, tool, arguments, wishes, meta=_passed_on_meta(context), on_progress=context.session.report_progress
        )
        if not future.record.is_settled:
            pending = self._pending(future)
            return pending if "structuredContent" in pending else self._with_attachments(caller, pending, (future,))
        if future.rpc_error is not None:
            raise _as_mcp_error(future.rpc_error)
        result = self._settled(future)
        if future.policy.mode == "sync" or result.get("structuredContent") is not None:
            return result
        return self._with_attachments(caller, result, (future,))

    async def _find(self, name: str) -> CatalogTool:
        catalog = self._gateway.pool.catalog
        tool = catalog.find(name)
        if tool is None:
            await catalog.tools()
            tool = catalog.find(name)
        if tool is None:
            raise UnknownTool(name)
        return tool

    def _split(self, tool: CatalogTool, arguments: dict[str, Any] | None) -> tuple[dict[str, Any] | None, Wishes]:
        if arguments is None:
            return None, Wishes()
        own = own_arguments(
            {**tool.tool, "inputSchema": tool.input_schema},
            mode=tool.policy.mode,
            wait_argument=self._settings.wait_argument,
            name_argument=self._settings.name_argument,
        )
        if own.isdisjoint(arguments):
            return arguments, Wishes()
        split = split_arguments(arguments, own)
        return split.rest, Wishes(split.wait_s, split.token)

    # Results

    def _pending(self, future: Future) -> dict[str, Any]:
        text = wording.pending(future, self._gateway.why_it_waits(future))
        meta = {FUTURE_META_KEY: {"token": future.token, "state": str(future.record.state)}}
        result: dict[str, Any] = {"content": [text_block(text)], "_meta": meta}
        if future.policy.structured:
            # clients refuse a result without it when the tool declares an outputSchema, and some show nothing else
            result["structuredContent"] = {**meta[FUTURE_META_KEY], "note": text}
        return result

    def _settled(self, future: Future) -> dict[str, Any]:
        if future.outcome is None:
            failure = future.record.failure
            if failure is None:
                raise LookupError(future.token)
            # an inline failure leaves no token, so it must not name one
            name = future.token if future.is_out or future.is_named else "the call"
            return {"content": [text_block(wording.failure(name, future.tool_name, failure))], "isError": True}
        result = inline_result(future)
        if not names_its_token(future):
            return result
        return {**result, "content": [*result["content"], text_block(wording.long_result(future.token))]}

    def _with_attachments(
        self, caller: Caller, result: dict[str, Any], leave_out: tuple[Future, ...]
    ) -> dict[str, Any]:
        room = caller.output_characters - sum(len(str(block.get("text", ""))) for block in result["content"])
        delivered = self._gateway.delivery.attachments(caller, room, leave_out)
        if delivered is None:
            return result
        content: list[Block] = [*result["content"], *delivered.blocks]
        states = [{"token": one.token, "state": str(one.record.state)} for one in delivered.futures]
        return {**result, "content": content, "_meta": {**(result.get("_meta") or {}), DELIVERED_META_KEY: states}}


def _fault(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "its description or _meta has the wrong type"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'][2:]))}: {first['msg']}"


def _passed_on_meta(context: Context) -> dict[str, Any] | None:
    """The client's `_meta`, without what belongs to its own connection to us."""
    if not context.meta:
        return None
    kept = {
        key: value
        for key, value in context.meta.items()
        if not key.startswith(("io.modelcontextprotocol/", "asyncfc/"))
        and key not in ("progressToken", "progress_token")
    }
    return kept or None


def _as_mcp_error(error: RpcError) -> MCPError:
    """The server's own error, as it gave it."""
    return MCPError(error.code, error.message, error.data)
