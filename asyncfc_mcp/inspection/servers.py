"""Every server of a configuration, started as the gateway would, listed, and ended again."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path

import anyio

from asyncfc_mcp.config.models import GatewayConfig
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.links.overhearing import Aside, overheard_by
from asyncfc_mcp.downstream.patience import Patience
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.downstream.status import ConnectionState, ServerStatus

_LOOKS_EVERY_S = 0.01
_LINES_KEPT = 20


@dataclass(frozen=True, slots=True)
class ListedServer:
    """How one server came up, or did not."""

    key: str
    status: ServerStatus
    tools: tuple[CatalogTool, ...]
    """With the gateway's names; none when it did not come up."""
    ready_s: float | None
    """From its start to its first lists; None when it did not get there."""
    stderr: tuple[str, ...]
    """Its last lines."""
    noise: tuple[str, ...] = ()
    """Its first lines on stdout that are no messages."""

    @property
    def why_down(self) -> str | None:
        """Why it is not up; None when it is."""
        return None if self.ready_s is not None else self.status.message or "it did not answer in time"


@dataclass(frozen=True, slots=True)
class Start:
    """How all of them came up together."""

    servers: tuple[ListedServer, ...]
    collisions: tuple[str, ...]
    """In words, the tools left out because another one has their name."""


async def listed(config: GatewayConfig, timeout_s: float = 30) -> tuple[ListedServer, ...]:
    """Start every server as the gateway would, take its lists, end it again. Never raises for a server that fails.

    Raises:
        NameCollision: two tools were given one name in the configuration.
        ReservedName: a tool was given the name of one of the gateway's own.
    """
    return (await started(config, timeout_s)).servers


async def started(config: GatewayConfig, timeout_s: float = 30, *, state_folder: Path | None = None) -> Start:
    """As `listed`, with what shows only when all are there; a state folder gives access to sign-ins that were kept.

    Raises:
        NameCollision: two tools were given one name in the configuration.
        ReservedName: a tool was given the name of one of the gateway's own.
    """
    heard = _Heard()
    # One attempt shows what is wrong, so the pause before the next outlasts us.
    patience = Patience(delay_s=lambda _: 2 * timeout_s, lasting_delay_s=2 * timeout_s)
    with overheard_by(heard):
        pool = Pool(config, state_folder=state_folder, on_change=lambda: None, patience=patience)
        ready_after_s: dict[str, float] = {}
        statuses: dict[str, ServerStatus] = {}
        async with anyio.create_task_group() as tasks:
            await tasks.start(pool.run)
            with anyio.move_on_after(timeout_s):
                await _settled(pool, ready_after_s)
            statuses = pool.statuses()
            tasks.cancel_scope.cancel()
    tools = pool.catalog.known
    servers = tuple(
        ListedServer(
            key=key,
            status=status,
            tools=tuple(tool for tool in tools if tool.server == key) if key in ready_after_s else (),
            ready_s=ready_after_s.get(key),
            stderr=tuple(heard.stderr[key]),
            noise=tuple(heard.noise[key]),
        )
        for key, status in statuses.items()
    )
    return Start(servers, tuple(map(str, pool.catalog.collisions)))


async def _settled(pool: Pool, ready_after_s: dict[str, float]) -> None:
    """Wait until each server is up or has failed once, and note when it was up."""
    start = anyio.current_time()
    waiting = set(pool.statuses())
    while waiting:
        for key in sorted(waiting):
            status = pool.connection(key).status
            if status.state is ConnectionState.READY:
                ready_after_s[key] = anyio.current_time() - start
            if status.state is ConnectionState.READY or status.message is not None:
                waiting.discard(key)
        if waiting:
            await anyio.sleep(_LOOKS_EVERY_S)  # a connection tells only those that wait for its own lists


class _Heard:
    """What servers said beside the protocol, bounded."""

    def __init__(self) -> None:
        self.stderr: defaultdict[str, deque[str]] = defaultdict(lambda: deque[str](maxlen=_LINES_KEPT))
        self.noise: defaultdict[str, list[str]] = defaultdict(list[str])

    def heard(self, server: str, aside: Aside, lines: list[str]) -> None:
        """Keep the last lines of stderr and the first that stand where messages should."""
        if aside is Aside.STDERR:
            self.stderr[server].extend(lines)
        elif aside is Aside.STDOUT:
            kept = self.noise[server]
            kept.extend(lines[: _LINES_KEPT - len(kept)])
