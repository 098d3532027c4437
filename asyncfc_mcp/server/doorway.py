"""Who is behind a request: what every transport can read off it, and what each transport has to say itself."""

from __future__ import annotations

from typing import Any, Protocol

from mcp.server.context import ServerRequestContext
from mcp_types import LOG_LEVEL_META_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from asyncfc_mcp.clients.limits import ClientLimits, limits_of
from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.gateway.caller import Caller

Context = ServerRequestContext[Any, Any]

SCOPE_META_KEY = "asyncfc/scope"
"""Splits the scope of a connection: hosts run several chats over one."""
LONGEST_SCOPE = 200


class Doorway(Protocol):
    """What a transport knows of its clients."""

    only_session: str | None
    """The legacy session of the one client that there is; None where there may be several."""

    def caller(self, context: Context) -> Caller:
        """Who is behind a request."""
        ...

    def reaches(self, session: str) -> bool:
        """Whether a message outside of any request would reach the client of that legacy session now."""
        ...

    def has_lost(self, context: Context) -> bool:
        """Whether the connection that brought a request broke before it was answered, which need not be meant."""
        ...


def is_modern(context: Context) -> bool:
    """Whether the request speaks a revision without a handshake."""
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS


def said_of_itself(context: Context) -> tuple[object, ...]:
    """All that limits and claims of a client are read from."""
    session = context.session
    return context.protocol_version, session.client_params, session.client_capabilities, _log_level(context)


def claims_of(context: Context) -> Claims:
    """What the client says of itself, on this request or in its handshake."""
    declared = context.session.client_capabilities
    capabilities = declared.model_dump(by_alias=True, mode="json", exclude_none=True) if declared is not None else None
    return Claims.of("modern" if is_modern(context) else "legacy", capabilities, _log_level(context))


def _log_level(context: Context) -> str | None:
    level = (context.meta or {}).get(LOG_LEVEL_META_KEY)
    return level if isinstance(level, str) else None


def named_scope(context: Context) -> str | None:
    """The part of its connection's scope that the client names, if it does."""
    part = (context.meta or {}).get(SCOPE_META_KEY)
    return part[:LONGEST_SCOPE] if isinstance(part, str) else None


def limits_for(context: Context) -> ClientLimits:
    """What the client's host allows, by the name that it gives itself."""
    client = context.session.client_params
    return limits_of(client.client_info.name if client is not None else None)
