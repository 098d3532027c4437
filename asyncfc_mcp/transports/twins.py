"""The same MCP request of a session twice on SSE, where the answer comes on the stream: it is done once.

A client whose POST broke off before it was acknowledged cannot know whether it arrived, and may post it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.server.doorway import Context
from asyncfc_mcp.transports.doorway import SESSION_PARAMETER
from asyncfc_mcp.transports.exchanges import REQUEST_CANCELLED, request_of


@dataclass(slots=True)
class _Answer:
    method: str
    params: Mapping[str, Any] | None
    is_there: anyio.Event = field(default_factory=anyio.Event)
    given: HandlerResult | MCPError | None = None


class Twins:
    """Answers a request that comes while the same one is being answered with that one's answer."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], _Answer] = {}

    async def once(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """A middleware of the MCP server."""
        asked = request_of(ctx)
        if ctx.request_id is None or asked is None:
            return await call_next(ctx)
        name = asked.query_params.get(SESSION_PARAMETER, ""), repr(ctx.request_id)
        first = self._answers.get(name)
        if first is not None and (first.method, first.params) == (ctx.method, ctx.params):
            return await _same(first)
        answer = self._answers[name] = _Answer(ctx.method, ctx.params)
        try:
            answer.given = await call_next(ctx)
        except MCPError as error:
            answer.given = error
            raise
        finally:
            answer.is_there.set()
            if self._answers.get(name) is answer:
                del self._answers[name]
        return answer.given


async def _same(first: _Answer) -> HandlerResult:
    await first.is_there.wait()
    if isinstance(first.given, MCPError):
        raise first.given
    if first.given is None:
        raise MCPError(REQUEST_CANCELLED, "Request cancelled")
    return first.given
