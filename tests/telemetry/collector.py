"""A collector of spans: an HTTP server that reads what exporters post, as it is on the wire."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
from anyio import to_thread
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.bounds import bound_s

LIMIT_S = 20.0
_EXPORTED = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_TRACES_EXPORTER": "",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "",
    "OTEL_SDK_DISABLED": "",
}


@dataclass(frozen=True)
class Collected:
    """One span."""

    service: str
    span: Span

    @property
    def trace(self) -> str:
        return self.span.trace_id.hex()

    @property
    def id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def attributes(self) -> dict[str, str]:
        return {one.key: _text(one) for one in self.span.attributes}

    @property
    def events(self) -> list[str]:
        return [one.name for one in self.span.events]

    @property
    def links(self) -> dict[str, str]:
        """The kind of edge by the id of the span at its other end."""
        return {one.span_id.hex(): _text(one.attributes[0]) for one in self.span.links}


def _text(attribute: KeyValue) -> str:
    kind = attribute.value.WhichOneof("value")
    return str(getattr(attribute.value, kind)) if kind else ""


class Collector:
    """What has come so far."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies = b""
        self._spans: list[Collected] = []
        self._came = threading.Condition()

    @property
    def environment(self) -> dict[str, str]:
        """Has a process export to this."""
        return {**_EXPORTED, "OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._came:
            self.bodies += body
            for of_resource in request.resource_spans:
                said = {one.key: _text(one) for one in of_resource.resource.attributes}
                self._spans += [
                    Collected(said["service.name"], span) for scope in of_resource.scope_spans for span in scope.spans
                ]
            self._came.notify_all()

    async def span(self, name: str, service: str = "asyncfc-mcp", **attributes: str) -> Collected:
        """The first span of that name, and with these attributes (`server` for `asyncfc.server`), once it has come."""
        wanted = {f"asyncfc.{key}": value for key, value in attributes.items()}

        def fits(one: Collected) -> bool:
            is_named = one.span.name == name and one.service == service
            return is_named and wanted.items() <= one.attributes.items()

        return await self.until(fits)

    async def until(self, fits: Callable[[Collected], bool]) -> Collected:
        """The first span that fits, once it has come."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while True:
                found = next(filter(fits, list(self._spans)), None)
                if found is not None:
                    return found
                await to_thread.run_sync(self._wait, len(self._spans))

    def _wait(self, known: int) -> None:
        with self._came:
            self._came.wait_for(lambda: len(self._spans) > known, timeout=1)


@contextmanager
def collecting() -> Generator[Collector]:
    """A collector on this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
