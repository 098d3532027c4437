"""The span of each request, which is the SDK's; made only where somebody takes spans, or a trace came with it."""

from __future__ import annotations

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware

from asyncfc_mcp.server.doorway import Context
from asyncfc_mcp.telemetry.spans import is_tracing

_OF_OTHERS = ("io.modelcontextprotocol/", "asyncfc/")
"""How keys of `_meta` begin that are none of a trace; which those are is the user's to choose."""
_PROGRESS = "progress_token"
"""What the SDK calls the one key of `_meta` without such a beginning."""


class Spans:
    """A middleware of the MCP server in the place of the SDK's own.

    Args:
        sdk: makes them.
    """

    def __init__(self, sdk: ServerMiddleware[object]) -> None:
        self._sdk = sdk

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Answer a request within its span."""
        if is_tracing() or any(key != _PROGRESS and not key.startswith(_OF_OTHERS) for key in ctx.meta or ()):
            return await self._sdk(ctx, call_next)
        return await call_next(ctx)
