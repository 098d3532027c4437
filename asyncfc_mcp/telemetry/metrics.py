"""Metrics for Prometheus, in a registry of their own. What they read, and who may read them, is `dashboard`'s.

No label is a token, a scope or a principal, and there is a bound to the names of tools and servers: a server that
offers ever new tools must not fill the memory of whoever collects this.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from asyncfc_mcp import __version__
from asyncfc_mcp.telemetry.readings import Readings, SettledCall

MOST_TOOLS = 200
"""That have series of their own; calls of further ones are counted as those of `other`."""
MOST_SERVERS = 100
OTHER = "other"

_BUCKETS_S = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class Metrics:
    """Counts calls as they settle, and writes all metrics down."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._calls = Counter(
            "asyncfc_calls",
            "Calls that have settled; `reason` says why those failed that did.",
            ("server", "tool", "state", "reason"),
            registry=self._registry,
        )
        self._wait = Histogram(
            "asyncfc_call_wait_seconds",
            "From the arrival of a call until it started, or settled without having started.",
            ("server",),
            registry=self._registry,
            buckets=_BUCKETS_S,
        )
        self._run = Histogram(
            "asyncfc_call_run_seconds",
            "From the start of a call until it settled.",
            ("server",),
            registry=self._registry,
            buckets=_BUCKETS_S,
        )
        self._tools: set[tuple[str, str]] = set()
        self._servers: set[str] = set()
        self._standing = _Standing()
        self._registry.register(self._standing)
        # finding a series by its labels costs more than counting in it
        self._series = lru_cache(maxsize=1024)(self._calls.labels)
        self._waits = lru_cache(maxsize=MOST_SERVERS + 1)(self._wait.labels)
        self._runs = lru_cache(maxsize=MOST_SERVERS + 1)(self._run.labels)

    def note(self, call: SettledCall) -> None:
        """A call has settled."""
        server, tool = self._server(call.server), call.tool
        if (server, tool) not in self._tools:
            if len(self._tools) >= MOST_TOOLS:
                tool = OTHER
            else:
                self._tools.add((server, tool))
        self._series(server, tool, call.state, call.reason).inc()
        self._waits(server).observe(call.waited_s)
        if call.ran_s is not None:
            self._runs(server).observe(call.ran_s)

    def text(self, readings: Readings, accept: str = "") -> tuple[bytes, str]:
        """All metrics in the format that is wanted, and that format's type; it takes some milliseconds.

        Args:
            readings: what there is now.
            accept: the header of that name.
        """
        self._standing.take(readings)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _server(self, key: str) -> str:
        if key in self._servers:
            return key
        if len(self._servers) >= MOST_SERVERS:
            return OTHER
        self._servers.add(key)
        return key


class _Standing(Collector):
    """What is read and not counted here."""

    def __init__(self) -> None:
        self._readings: Readings | None = None
        self._saved_s = 0.0

    def take(self, readings: Readings) -> None:
        self._readings = readings
        # calls that go on are part of it, and a rounding error downwards would look like a restart
        self._saved_s = max(self._saved_s, readings.saved_s)

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("asyncfc_build", "The gateway itself.", {"version": __version__})
        readings = self._readings
        if readings is None:
            return
        yield from _futures(readings)
        yield from _answers(readings)
        yield _count("asyncfc_overlap_saved_seconds", "Against running the same calls one by one.", self._saved_s)
        yield _count("asyncfc_store_faults", "What the store could not do.", readings.store_faults)
        yield from _servers(readings)


def _futures(readings: Readings) -> Iterator[Metric]:
    states = GaugeMetricFamily("asyncfc_futures", "Futures that have not settled, by state.", labels=("state",))
    for state, number in readings.unsettled.items():
        states.add_metric((state,), number)
    yield states
    yield GaugeMetricFamily("asyncfc_futures_kept", "Futures in memory, settled ones too.", readings.futures_kept)
    yield GaugeMetricFamily("asyncfc_values_bytes", "Values of futures in memory.", readings.value_bytes)
    yield GaugeMetricFamily("asyncfc_scopes", "Conversations that are remembered.", readings.scopes)


def _answers(readings: Readings) -> Iterator[Metric]:
    yield _count("asyncfc_tokens", "Calls that were answered with a token.", readings.tokens)
    yield _count("asyncfc_inline_answers", "Calls that were answered with how they settled.", readings.inline_answers)
    yield _count("asyncfc_attached", "Futures whose end went with the answer to a later call.", readings.attached)


def _servers(readings: Readings) -> Iterator[Metric]:
    up = GaugeMetricFamily("asyncfc_server_up", "Whether the server is connected and answers.", labels=("server",))
    restarts = CounterMetricFamily("asyncfc_server_restarts", "How often it was connected again.", labels=("server",))
    for key, server in list(readings.servers.items())[:MOST_SERVERS]:
        up.add_metric((key,), float(server.is_up))
        restarts.add_metric((key,), server.restarts)
    yield up
    yield restarts


def _count(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(name, what, value)
