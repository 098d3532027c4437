"""`asyncfc-mcp stats`: what running gateways did with the calls that they still know, and how their servers stand."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from asyncfc_mcp.cli.opening import gateway_in_words
from asyncfc_mcp.cli.tables import harmless, print_table
from asyncfc_mcp.config.load import state_folder
from asyncfc_mcp.dashboard.reading import Seen, look

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ServerStats:
    """Of one server; times in seconds, of the calls that have settled."""

    server: str
    state: str
    message: str
    calls: int
    unsettled: int
    failed: int
    wait_p50_s: float | None
    wait_p95_s: float | None
    run_p50_s: float | None
    run_p95_s: float | None


@dataclass(frozen=True, slots=True)
class GatewayStats:
    """Of one gateway since its start; the servers' numbers are of its last 2 000 calls."""

    pid: int
    transport: str
    calls: int
    overlapped: int
    run_s: float
    busy_s: float
    saved_s: float
    servers: tuple[ServerStats, ...]


def run_stats(*, watches: bool, as_json: bool) -> None:
    """Print them, once or every second.

    Raises:
        click.ClickException: no gateway that runs can be asked.
    """
    while True:
        seen = look(state_folder(os.environ))
        stats = [_stats(one.snapshot) for one in seen if one.snapshot is not None]
        if not stats and not as_json:
            raise click.ClickException(_nothing_to_ask(seen))
        if watches:
            click.clear()
        if as_json:
            click.echo(json.dumps([asdict(one) for one in stats], indent=2))
        else:
            for one in stats:
                _print(one)
            for one in seen:
                if one.snapshot is None:
                    click.echo(harmless(f"{gateway_in_words(one.gateway)}: {one.why_nothing}"), err=True)
        if not watches:
            return
        try:
            time.sleep(_EVERY_S)
        except KeyboardInterrupt:
            return


def _nothing_to_ask(seen: Sequence[Seen]) -> str:
    if not seen:
        return "no gateway runs: a client starts its own, or `asyncfc-mcp serve` does"
    return "\n".join(f"{gateway_in_words(one.gateway)}: {one.why_nothing}" for one in seen)


def _stats(snapshot: dict[str, Any]) -> GatewayStats:
    gateway, saved = snapshot["gateway"], snapshot["saved"]
    spans: dict[str, list[dict[str, Any]]] = {server["key"]: [] for server in snapshot["servers"]}
    for span in snapshot["spans"]:
        spans.setdefault(span["server"], []).append(span)
    states = {server["key"]: server for server in snapshot["servers"]}
    servers = tuple(_of_server(key, states.get(key, {}), own) for key, own in spans.items())
    return GatewayStats(gateway["pid"], gateway["transport"], **saved, servers=servers)


def _of_server(key: str, server: dict[str, Any], spans: Sequence[dict[str, Any]]) -> ServerStats:
    waits = [one["started_s"] - one["arrived_s"] for one in spans if one["started_s"] is not None]
    runs = [one["settled_s"] - one["started_s"] for one in spans if one["started_s"] and one["settled_s"]]
    return ServerStats(
        server=key,
        state=server.get("state", "gone"),
        message=server.get("message", ""),
        calls=len(spans),
        unsettled=sum(one["settled_s"] is None for one in spans),
        failed=sum(one["state"] == "failed" for one in spans),
        wait_p50_s=_quantile(waits, 0.5),
        wait_p95_s=_quantile(waits, 0.95),
        run_p50_s=_quantile(runs, 0.5),
        run_p95_s=_quantile(runs, 0.95),
    )


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of them does not exceed."""
    if not values:
        return None
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))], 4)


def _print(stats: GatewayStats) -> None:
    click.echo(
        f"process {stats.pid} on {stats.transport}: {stats.calls} {'call' if stats.calls == 1 else 'calls'} ran, "
        f"{stats.overlapped} of them overlapped, "
        f"{stats.saved_s:.1f} s saved ({stats.run_s:.1f} s of work in {stats.busy_s:.1f} s)"
    )
    print_table(
        ("server", "state", "calls", "unsettled", "failed", "wait p50", "p95", "run p50", "p95"),
        [
            (
                harmless(one.server),
                one.state,
                str(one.calls),
                str(one.unsettled),
                str(one.failed),
                *(_shown(value) for value in (one.wait_p50_s, one.wait_p95_s, one.run_p50_s, one.run_p95_s)),
            )
            for one in stats.servers
        ],
    )
    for one in stats.servers:
        if one.message:
            click.echo(harmless(f"{one.server}: {one.message}"))


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"
