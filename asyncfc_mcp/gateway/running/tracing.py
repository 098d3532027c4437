"""What the span of a call says, and which other calls it is linked to."""

from __future__ import annotations

from asyncfc_mcp.core.graph import calls_before
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.reporting import nameable
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.telemetry.spans import CallTrace, begun, carried, come_with, is_tracing

MOST_LINKS = 32
"""Calls in the way that a span is linked to; behind a long queue the rest says nothing new."""


def trace_of(future: Future, table: FutureTable) -> CallTrace:
    """The trace of a call that was just taken in: that of its request, which an earlier process may have had."""
    if not is_tracing():
        return carried()
    return begun(
        future.tool_name,
        {
            "asyncfc.server": future.policy.server,
            "asyncfc.tool": future.policy.tool,
            "asyncfc.future": nameable(future),
            "asyncfc.resumed": bool(future.resumptions),
        },
        needs=[need.trace for need in future.request.needs.values()],
        behind=[table.by_identity(one).trace for one in calls_before(future.record.node, MOST_LINKS)],
        context=come_with(future.request.meta) if future.resumptions else None,
    )
