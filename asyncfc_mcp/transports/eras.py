"""One client on one pipe, in the era that its first request speaks.

What `Server.run` of the SDK does, put together from the same public parts, without the second pair of streams and the
task in between that it needs to look at a first request: those cost every call two turns of the event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp.server.connection import Connection, NotifyOnlyOutbound
from mcp.server.lowlevel.server import Server
from mcp.server.models import InitializationOptions
from mcp.server.runner import ServerRunner, aclose_shielded, modern_error_data
from mcp.shared.dispatcher import DispatchContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import InboundLadderRejection, classify_inbound_request
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp_types import INVALID_REQUEST, PROTOCOL_VERSION_META_KEY, UNSUPPORTED_PROTOCOL_VERSION
from mcp_types.version import LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from asyncfc_mcp.transports.envelopes import Envelopes
from asyncfc_mcp.transports.incoming import Incoming
from asyncfc_mcp.transports.pipe_calls import PipeCalls

_BOTH_WAYS = TransportContext(kind="stdio", can_send_request=True)
_ONE_WAY = TransportContext(kind="stdio", can_send_request=False)
"""Servers send no requests on a modern connection."""

Params = Mapping[str, Any] | None


async def serve_client(server: Server[Any], incoming: Incoming, outgoing: Any, options: InitializationOptions) -> None:
    """Serve a client until it ends. `outgoing` takes its messages, as the SDK wants such streams."""
    async with server.lifespan(server) as state:
        first = await incoming.first_request()
        if first is not None and first.method != "initialize" and _has_envelope(first.params):
            await _serve_modern(server, incoming, outgoing, state)
        else:
            await _serve_legacy(server, incoming, outgoing, state, options)


async def _serve_legacy(
    server: Server[Any], incoming: Incoming, outgoing: Any, state: Any, options: InitializationOptions
) -> None:
    # a client may send its next request before the handshake has been answered
    dispatcher = JSONRPCDispatcher[TransportContext](incoming, outgoing, inline_methods=frozenset({"initialize"}))
    connection = Connection.for_loop(dispatcher)
    runner = ServerRunner(server, connection, state, init_options=options)

    async def on_request(context: DispatchContext[TransportContext], method: str, params: Params) -> dict[str, Any]:
        if method != "initialize" and _has_envelope(params):
            raise MCPError(INVALID_REQUEST, "This connection began with a handshake; a request cannot leave it.")
        return await runner.on_request(context, method, params)

    calls = PipeCalls(dispatcher, outgoing, on_request, _BOTH_WAYS, lambda: connection.initialize_accepted)
    try:
        async with calls.served(incoming):
            await dispatcher.run(on_request, runner.on_notify, calls.hear)
    finally:
        await aclose_shielded(connection)


async def _serve_modern(server: Server[Any], incoming: Incoming, outgoing: Any, state: Any) -> None:
    dispatcher = JSONRPCDispatcher[TransportContext](incoming, outgoing, transport_builder=lambda _: _ONE_WAY)
    outbound = NotifyOnlyOutbound(dispatcher)
    envelopes = Envelopes(server, state, outbound)

    async def on_request(context: DispatchContext[TransportContext], method: str, params: Params) -> dict[str, Any]:
        if method == "initialize":
            raise _late_handshake(params)
        route = classify_inbound_request({"method": method, "params": params})
        if isinstance(route, InboundLadderRejection):
            raise MCPError(route.code, route.message, route.data)
        try:
            return await envelopes.runner(route).on_request(context, method, params)
        except (MCPError, ValidationError):
            raise
        except Exception as error:  # the dispatcher would write its text to the client
            raise MCPError.from_error_data(modern_error_data(error)) from error

    async def on_notify(context: DispatchContext[TransportContext], method: str, params: Params) -> None:
        connection = Connection.from_envelope(LATEST_MODERN_VERSION, None, None, outbound=outbound)
        try:
            await ServerRunner(server, connection, state).on_notify(context, method, params)
        finally:
            await aclose_shielded(connection)

    calls = PipeCalls(dispatcher, outgoing, on_request, _ONE_WAY)
    async with calls.served(incoming):
        await dispatcher.run(on_request, on_notify, calls.hear)


def _has_envelope(params: Params) -> bool:
    meta = (params or {}).get("_meta")
    return isinstance(meta, Mapping) and PROTOCOL_VERSION_META_KEY in meta


def _late_handshake(params: Params) -> MCPError:
    requested = (params or {}).get("protocolVersion")
    data = {"supported": list(MODERN_PROTOCOL_VERSIONS)} | (
        {"requested": requested} if isinstance(requested, str) else {}
    )
    message = "This connection began without a handshake, and cannot have one any more."
    return MCPError(UNSUPPORTED_PROTOCOL_VERSION, message, data)
