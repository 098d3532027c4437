"""One span for each call, from its arrival until it has settled, in the trace of the request that brought it.

It stands between the span of that request, which is the SDK's, and that of the request to the server, which is
`downstream.answers`'s: the one ends with the token, the other begins as the call is sent. What a call waited for is a
link to the spans of those calls. Nothing here holds an argument or a value. Without the OpenTelemetry SDK there are no
spans, and what is left is that each call runs in the context of its own request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import Link, Span, SpanContext, StatusCode

from asyncfc_mcp import __version__
from asyncfc_mcp.core.future import SETTLED, FutureState, Move
from asyncfc_mcp.core.record import FutureRecord

_tracer = trace.get_tracer("asyncfc_mcp", __version__)
_NOWHERE = Context()


@dataclass(slots=True, eq=False)
class CallTrace:
    """What a call carries of its trace."""

    context: Context
    """What it runs in, whichever call sets it free; of a settled one nothing is left of that."""
    place: SpanContext | None = None
    """Where other spans find its own; None where nobody traces."""
    _span: Span | None = None

    def enter(self) -> None:
        """Have the task of the call, and it alone, go on where its request has come from."""
        attach(self.context)

    def note(self, move: Move, record: FutureRecord) -> None:
        """The call has moved."""
        is_over = move.to_state in SETTLED
        if self._span is not None:
            _write(self._span, move, record)
            if is_over:
                self._span.end()
        if is_over:
            self.context, self._span = _NOWHERE, None


UNTRACED = CallTrace(_NOWHERE)
"""Of every call that came without a trace where nobody traces."""


def is_tracing() -> bool:
    """Whether anybody has set up what takes spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def carried() -> CallTrace:
    """For the call of the request that is being handled, where nobody traces: what came with it goes on with it."""
    context = get_current()
    if not context:
        return UNTRACED
    # the SDK makes a context for each request, which most often holds a span that is nobody's
    has_come_with_one = trace.get_current_span(context).get_span_context().is_valid or baggage.get_all(context)
    return CallTrace(context) if has_come_with_one else UNTRACED


def come_with(meta: Mapping[str, Any] | None) -> Context:
    """The context that the `_meta` of a request carries; nothing where it cannot be read."""
    try:
        return propagate.extract(meta or {}, _NOWHERE)
    except (TypeError, ValueError):  # a client may have written anything there
        return _NOWHERE


def begun(
    tool: str,
    attributes: Mapping[str, str | int | bool],
    *,
    needs: Iterable[CallTrace],
    behind: Iterable[CallTrace],
    context: Context | None = None,
) -> CallTrace:
    """The trace of a call that has just been taken in.

    Args:
        tool: the name that clients know.
        attributes: what else can be said of it without its arguments.
        needs: of the calls whose values it needs.
        behind: of the calls that are in its way.
        context: where it comes from; None for the request that is being handled.
    """
    edges = (("data", needs), ("order", behind))
    links = [
        Link(one.place, {"asyncfc.edge": edge}) for edge, traces in edges for one in traces if one.place is not None
    ]
    context = get_current() if context is None else context
    span = _tracer.start_span(f"call {tool}", context, attributes={"gen_ai.tool.name": tool, **attributes}, links=links)
    return CallTrace(
        trace.set_span_in_context(span, context), span.get_span_context(), span if span.is_recording() else None
    )


def _write(span: Span, move: Move, record: FutureRecord) -> None:
    match move.to_state:
        case FutureState.RESOLVED:
            span.set_status(StatusCode.OK)
        case FutureState.FAILED if move.failure is not None:
            # the reason and no message: those repeat what servers and clients have said
            span.set_attribute("error.type", str(move.failure.reason))
            span.set_status(StatusCode.ERROR)
        case _:
            pass
    if move.to_state in SETTLED:
        span.set_attribute("asyncfc.state", str(move.to_state))
    else:
        span.add_event(str(move.to_state))
    if move.from_state is FutureState.PENDING:
        span.set_attribute("asyncfc.pending_s", round(move.at - record.arrived_at, 6))
