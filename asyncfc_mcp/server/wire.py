"""What requests and results of every kind have in common on the wire, and how our errors look there."""

from __future__ import annotations

from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.core.reference import ArgumentFault
from asyncfc_mcp.downstream.outcome import RpcError
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.flows.policy import FlowDenied
from asyncfc_mcp.gateway.restart.recalling import RunsElsewhere
from asyncfc_mcp.gateway.table import UnknownToken
from asyncfc_mcp.gateway.words.imitations import disarmed
from asyncfc_mcp.server.doorway import Context, is_modern
from asyncfc_mcp.server.referring import ReferenceUnusable

COMPLETE = {"resultType": "complete"}
"""What every result says on 2026-07-28; older revisions do not know it, and the SDK takes it out for them."""
RESOURCE_NOT_FOUND = -32002
"""In the revisions with a handshake; 2026-07-28 says INVALID_PARAMS and never uses this number for anything else."""


def passed_on_meta(context: Context) -> dict[str, Any] | None:
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


def resource_not_found(context: Context, uri: str, more: str = "") -> MCPError:
    """Nobody has a resource of that URI, as the client's revision says it."""
    code = types.INVALID_PARAMS if is_modern(context) else RESOURCE_NOT_FOUND
    return MCPError(code, f"Resource not found: {uri}{more}", {"uri": uri})


def as_mcp_error(error: GatewayError) -> MCPError:
    """The error of a request that has no result to say it in."""
    match error:
        case RpcError():
            return MCPError(error.code, disarmed(error.message), error.data)
        case ArgumentFault() | UnknownToken() | RunsElsewhere() | ReferenceUnusable() | FlowDenied():
            return MCPError(types.INVALID_PARAMS, str(error))
        case _:
            return MCPError(types.INTERNAL_ERROR, str(error))
