"""How many requests are answered at once: each of them costs memory for as long as it waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

import mcp_types as types
import structlog
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.words.shaping import text_block
from asyncfc_mcp.server.doorway import Context
from asyncfc_mcp.server.wire import COMPLETE

MOST_REQUESTS = 20_000
"""Requests of all clients that are being answered."""
MOST_AWAITING = 1_000
"""`await_future` requests of one conversation that wait."""

log = structlog.get_logger()


class TooManyRequests(GatewayError):
    """As many requests are being answered as may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"not started: {limit} requests are being answered already, which is the most at once. Send this one "
            "again when some of them have been answered."
        )
        self.limit = limit


class TooManyAwaiting(GatewayError):
    """As many requests of a conversation wait for futures as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"await_future: {limit} of these requests wait already in this conversation, which is the most at once. "
            "Await several futures with one request: futures takes a list, and an empty one means all."
        )
        self.limit = limit


class Crowd:
    """Lets requests in as long as there are not too many."""

    def __init__(self) -> None:
        self._requests = 0
        self._awaiting: Counter[str] = Counter()
        self._is_crowded = False

    async def bounded(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Answer a request, unless too many are being answered; a middleware of the MCP server."""
        if ctx.request_id is None:
            return await call_next(ctx)
        if self._requests >= MOST_REQUESTS:
            return self._refuse(ctx)
        self._is_crowded = False
        self._requests += 1
        try:
            return await call_next(ctx)
        finally:
            self._requests -= 1

    def _refuse(self, ctx: Context) -> HandlerResult:
        if not self._is_crowded:
            self._is_crowded = True
            log.warning("requests_refused", why=f"{MOST_REQUESTS} are being answered")
        refusal = TooManyRequests(MOST_REQUESTS)
        if ctx.method != "tools/call":
            raise MCPError(types.INTERNAL_ERROR, str(refusal))
        return COMPLETE | {"content": [text_block(str(refusal))], "isError": True}

    @contextmanager
    def awaiting(self, caller: Caller) -> Generator[None]:
        """While a request waits for futures.

        Raises:
            TooManyAwaiting: too many of its conversation do.
        """
        if self._awaiting[caller.scope] >= MOST_AWAITING:
            raise TooManyAwaiting(MOST_AWAITING)
        self._awaiting[caller.scope] += 1
        try:
            yield
        finally:
            self._awaiting[caller.scope] -= 1
            if not self._awaiting[caller.scope]:
                del self._awaiting[caller.scope]
