"""The span of each request, which is the SDK's; made only where somebody takes spans, or a trace came with it."""

from __future__ import annotations

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware

from asyncfc_mcp.server.doorway import Context
from asyncfc_mcp.telemetry.spans import is_tracing

_NO_TRACE = ("io.modelcontextprotocol/", "asyncfc/", "progress")
"""How the keys of `_meta` begin that are none of a trace; which those are is the user's to choose."""


class Spans:
    """A middleware of the MCP server in the place of the SDK's own.

    Args:
        sdk: makes them.
    """

    def __init__(self, sdk: ServerMiddleware[object]) -> None:
        self._sdk = sdk

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Answer a request within its span."""
        if is_tracing() or any(not key.startswith(_NO_TRACE) for key in ctx.meta or ()):
            return await self._sdk(ctx, call_next)
        return await call_next(ctx)
