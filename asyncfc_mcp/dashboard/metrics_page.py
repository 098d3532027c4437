"""`/metrics`: what Prometheus reads. It names servers and tools, so where a token is needed it is needed here too."""

from __future__ import annotations

import time
from collections import Counter
from importlib.util import find_spec

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from asyncfc_mcp.core.future import SETTLED, FutureState, Move
from asyncfc_mcp.downstream.status import ConnectionState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.telemetry.readings import Readings, ServerReading, SettledCall

METRICS_PATH = "/metrics"


class MetricsMissing(GatewayError):
    """Metrics are asked for, and what writes them is not installed."""

    def __init__(self) -> None:
        super().__init__('"metrics": true needs the extra `metrics`: pip install "asyncfc-mcp[metrics]"')


def metrics_routes(gateway: Gateway) -> list[BaseRoute]:
    """The page; from now on the calls of the gateway are counted.

    Raises:
        MetricsMissing: the extra is not installed.
    """
    if find_spec("prometheus_client") is None:
        raise MetricsMissing
    from asyncfc_mcp.telemetry.metrics import Metrics  # noqa: PLC0415 - an extra

    metrics = Metrics()
    watch = _Watch(gateway)

    def on_move(move: Move, future: Future) -> None:
        watch.note(move)
        if move.to_state in SETTLED:
            metrics.note(_settled(move, future))

    async def page(request: Request) -> Response:
        readings = watch.readings()
        accept = request.headers.get("accept", "")
        text, content_type = await to_thread.run_sync(metrics.text, readings, accept)
        return Response(text, headers={"content-type": content_type, "cache-control": "no-store"})

    gateway.runner.listen(on_move)
    return [Route(METRICS_PATH, page)]


class _Watch:
    """Knows how many futures are in which state without looking through all of them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._started: Counter[FutureState] = Counter()

    def note(self, move: Move) -> None:
        self._started[move.from_state] -= 1
        self._started[move.to_state] += 1

    def readings(self) -> Readings:
        gateway = self._gateway
        started = {state: self._started[state] for state in _STARTED}
        pending = gateway.runner.scheduler.unsettled_total - sum(started.values())
        return Readings(
            unsettled={FutureState.PENDING: pending, **started},
            futures_kept=len(gateway.table),
            value_bytes=gateway.values.total_bytes,
            scopes=gateway.delivery.scopes_known,
            tokens=gateway.turns.tokens,
            inline_answers=gateway.turns.inline_answers,
            attached=gateway.delivery.attached,
            saved_s=gateway.timeline.saved.at(time.monotonic()).saved_s,
            store_faults=gateway.store_faults,
            servers={
                key: ServerReading(status.state is ConnectionState.READY, max(0, status.starts - 1))
                for key, status in gateway.pool.statuses().items()
            },
        )


_STARTED = (FutureState.RUNNING, FutureState.INPUT_REQUIRED, FutureState.CANCELLING)


def _settled(move: Move, future: Future) -> SettledCall:
    record = future.record
    started_at = record.started_at
    return SettledCall(
        server=future.policy.server,
        tool=future.policy.tool,
        state=str(move.to_state),
        reason=str(move.failure.reason) if move.failure is not None else "",
        waited_s=(started_at if started_at is not None else move.at) - record.arrived_at,
        ran_s=move.at - started_at if started_at is not None else None,
    )
