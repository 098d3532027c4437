"""The trace that an HTTP request belongs to by its headers; what its MCP message says of itself (`_meta`) comes first.

The SDK reads the message alone, and HTTP clients that are traced put the context of their span into the headers.
"""

from __future__ import annotations

from mcp.server.context import CallNext, HandlerResult
from opentelemetry import propagate
from opentelemetry.context import Context, attach, detach

from asyncfc_mcp.server.doorway import Context as RequestContext
from asyncfc_mcp.transports.exchanges import request_of

_PARENT = "traceparent"


async def joined(ctx: RequestContext, call_next: CallNext) -> HandlerResult:
    """Have what an MCP request brings about belong to the trace of its HTTP request; a middleware of the MCP server.

    It has to come before the SDK's own, which begins the span of the MCP request.
    """
    request = request_of(ctx)
    if request is None or _PARENT not in request.headers or (ctx.meta and _PARENT in ctx.meta):
        return await call_next(ctx)
    before = attach(propagate.extract(request.headers, Context()))
    try:
        return await call_next(ctx)
    finally:
        detach(before)
