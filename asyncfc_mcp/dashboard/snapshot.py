"""What the dashboard shows, as JSON: the time-line, the time saved, how servers stand, and the settings in force.

No argument, no value and nothing that opens anything is in it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from asyncfc_mcp import __version__
from asyncfc_mcp.config.models import (
    DEFAULTS,
    GatewayConfig,
    GatewaySettings,
    ServerEntry,
    SharedSettings,
    StdioEntry,
)
from asyncfc_mcp.config.policy import LabelSource
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.status import ServerStatus
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.telemetry.timeline import Span

_LONGEST_MESSAGE = 500

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which gateway this is."""

    pid: int
    started_at: float
    """Seconds since the epoch."""
    transport: str
    version: str = __version__


class View:
    """Looks at one gateway.

    Args:
        gateway: what is looked at.
        identity: which one it is.
        config: gives the configuration in force.
    """

    def __init__(self, gateway: Gateway, identity: Identity, config: Callable[[], GatewayConfig]) -> None:
        self._gateway = gateway
        self._identity = identity
        self._config = config
        self._shown: tuple[GatewayConfig, Json] | None = None
        self.instance = secrets.token_hex(4)
        """Tells this run from others: what was seen of another one says nothing of this."""

    @property
    def change(self) -> int:
        """Counts what happens to calls."""
        return self._gateway.timeline.change

    @property
    def has_unsettled(self) -> bool:
        """Whether any call has not settled."""
        return self._gateway.runner.scheduler.unsettled_total > 0

    def whole(self) -> Json:
        """All of it."""
        return {
            "gateway": {**asdict(self._identity), "instance": self.instance},
            **self.changes(-1),
            "servers": self.servers(),
            "settings": self.settings(),
        }

    def changes(self, since: int) -> Json:
        """The calls that changed after that change, and what moves all the time."""
        timeline = self._gateway.timeline
        spans = timeline.since(since)
        saved = timeline.saved.at(time.monotonic())
        return {
            "now_s": time.time(),
            "change": timeline.change,
            "spans": [_span(one) for one in spans],
            "saved": {
                "calls": saved.calls,
                "overlapped": saved.overlapped,
                "run_s": round(saved.run_s, 3),
                "busy_s": round(saved.busy_s, 3),
                "saved_s": round(saved.saved_s, 3),
            },
        }

    def servers(self) -> list[Json]:
        """How each server stands."""
        pool = self._gateway.pool
        rooms = self._gateway.runner.scheduler.rooms.by_server
        tools: dict[str, list[CatalogTool]] = {}
        for tool in pool.catalog.known:
            tools.setdefault(tool.server, []).append(tool)
        return [
            {
                **_status(key, status),
                "running": rooms[key].running if key in rooms else 0,
                "tools": len(tools.get(key, [])),
                "labelled": sum(one.policy.label_source is not LabelSource.DEFAULT for one in tools.get(key, [])),
            }
            for key, status in pool.statuses().items()
        ]

    def settings(self) -> Json:
        """The settings in force: those of the gateway, then what each server has of its own."""
        config = self._config()
        if self._shown is None or self._shown[0] is not config:
            self._shown = config, _settings(config)
        return self._shown[1]


def _settings(config: GatewayConfig) -> Json:
    return {
        "source": config.source.name if config.source is not None else None,
        "gateway": [_setting(name, value, default) for name, value, default in _of_gateway(config.settings)],
        "servers": [
            {
                "key": entry.key,
                "kind": entry.transport.type if not isinstance(entry.transport, StdioEntry) else "stdio",
                "settings": [_setting(*one) for one in _of_server(entry, config.settings)],
            }
            for entry in config.servers
        ],
    }


def _span(span: Span) -> Json:
    return {
        "number": span.number,
        "token": span.token,
        "server": span.server,
        "tool": span.tool,
        "scope": span.scope,
        "state": span.state,
        "arrived_s": round(span.arrived_s, 4),
        "started_s": _rounded(span.started_s),
        "settled_s": _rounded(span.settled_s),
        "needs": span.needs,
        "behind": span.behind,
        "why": span.why,
        "failure": span.failure,
        "waited_for": span.waited_for,
    }


def _rounded(at_s: float | None) -> float | None:
    return round(at_s, 4) if at_s is not None else None


def _status(key: str, status: ServerStatus) -> Json:
    message = " ".join((status.message or "").split())
    return {
        "key": key,
        "state": str(status.state),
        "message": message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…",
        "attempts": status.attempts,
        "retry_at_s": round(time.time() + status.retry_in_s) if status.retry_in_s is not None else None,
        "is_given_up": status.is_given_up,
        "protocol": status.protocol_version,
    }


def _of_gateway(settings: GatewaySettings) -> Iterable[tuple[str, Any, Any]]:
    for name, field in GatewaySettings.model_fields.items():
        value, default = getattr(settings, name), field.get_default(call_default_factory=True)
        if name in SharedSettings.model_fields:
            default = getattr(DEFAULTS, name)
            value = default if value is None else value
        yield field.alias or name, _public(name, value), default


def _of_server(entry: ServerEntry, top: GatewaySettings) -> Iterable[tuple[str, Any, Any]]:
    """What differs from the level above it."""
    for name in SharedSettings.model_fields:
        above = getattr(top, name)
        above = getattr(DEFAULTS, name) if above is None else above
        value = getattr(entry.settings, name)
        if value != above:
            yield name, value, above
    for tool, own in entry.settings.tools.items():
        for name, value in own.model_dump(exclude_none=True, mode="json").items():
            yield f"{tool}: {name}", value, None


def _public(name: str, value: Any) -> Any:
    """The address of a store may hold a password."""
    if name == "store" and ":" in value:
        return f"{value.partition(':')[0]}:…"
    if name == "flows":
        return [f"{rule.from_} to {rule.to}: {rule.policy}" for rule in value]
    return value


def _setting(name: str, value: Any, default: Any) -> Json:
    return {"name": name, "value": value, "is_default": value == default}
