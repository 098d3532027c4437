"""Exports spans with the OpenTelemetry SDK, without anything in them that a server or a client has said."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from asyncfc_mcp import __version__

END_S = 1.0
"""How long the end of a gateway waits for whoever takes the last spans."""
_EXCEPTION = "exception.type"

log = structlog.get_logger()


def export(*, is_otlp: bool, names_itself: bool) -> Callable[[], None]:
    """Take the spans of this process from now on; what is returned ends that.

    Args:
        is_otlp: to a collector; else as JSON on stderr, since stdout is MCP's.
        names_itself: whether the environment has a name for this service.
    """
    # its warnings are no JSON, and quote the variables that hold credentials
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter() if is_otlp else ConsoleSpanExporter(out=sys.stderr)
    # what is given here comes before what the environment says
    name = {} if names_itself else {SERVICE_NAME: "asyncfc-mcp"}
    provider = TracerProvider(resource=Resource.create({**name, SERVICE_VERSION: __version__}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(DiscreetExporter(exporter)))
    trace.set_tracer_provider(provider)

    def end() -> None:
        # a thread of its own, since a collector that does not answer would be waited for half a minute
        ending = threading.Thread(target=provider.shutdown, name="end_of_traces", daemon=True)
        ending.start()
        ending.join(END_S)

    return end


class DiscreetExporter(SpanExporter):
    """Leaves out messages of errors: they repeat what servers and clients have said, which may be secret."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand these on."""
        result = self._exporter.export([_without_messages(span) for span in spans])
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            log.warning("traces_lost", spans=len(spans), why="the collector cannot be reached, or refuses them")
        elif self._is_failing and not is_failing:
            log.info("traces_taken_again")
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        """Nothing more comes."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether all that came is where it was to go."""
        return self._exporter.force_flush(timeout_millis)


def _without_messages(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=[_without_message(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_message(event: Event) -> Event:
    attributes = event.attributes or {}
    kept = {_EXCEPTION: attributes[_EXCEPTION]} if _EXCEPTION in attributes else attributes
    return Event(event.name, kept, event.timestamp)
