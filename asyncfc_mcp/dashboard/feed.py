"""Live updates of the dashboard as server-sent events: a snapshot first, then what changed, ten times a second at most.

Nothing is queued for anybody: each client is sent what changed since it was last sent something, so a slow one gets
less often more, and one that does not read at all is dropped. Who comes back with the id of the last event that it
saw gets what it missed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anyio
import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from asyncfc_mcp.dashboard.guard import HEADERS
from asyncfc_mcp.dashboard.snapshot import Json, View

MOST_CLIENTS = 16
SHORTEST_PAUSE_S = 0.1
"""Between two updates: they are for eyes."""
BUSY_PAUSE_S = 1.0
"""Between two updates while calls run and nothing changes, since the time saved grows all the same; and between two
looks at servers and settings, which change without a call."""
IDLE_PAUSE_S = 10.0
"""A sign of life, so that a client sees that its connection is gone."""
MOST_SENDING_S = 10.0
"""How long a client may take to read one update."""

log = structlog.get_logger()


class Feed:
    """Serves every client that listens.

    Args:
        view: what they see.
        most_sending_s: how long one may take to read an update.
    """

    def __init__(self, view: View, most_sending_s: float = MOST_SENDING_S) -> None:
        self._view = view
        self._most_sending_s = most_sending_s
        self._clients = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it goes."""
        if self._clients >= MOST_CLIENTS:
            text = f"{MOST_CLIENTS} pages of this dashboard are open already; close one.\n"
            await PlainTextResponse(text, 503, headers=HEADERS)(scope, receive, send)
            return
        self._clients += 1
        try:
            async with anyio.create_task_group() as tasks:

                async def end_with_client() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    tasks.cancel_scope.cancel()

                tasks.start_soon(end_with_client)
                await self._stream(_Listener(send, self._most_sending_s), Headers(scope=scope).get("last-event-id", ""))
                tasks.cancel_scope.cancel()
        finally:
            self._clients -= 1

    async def _stream(self, listener: _Listener, last_seen: str) -> None:
        await listener.open()
        view = self._view
        instance, _, number = last_seen.partition("-")
        seen = int(number) if instance == view.instance and number.isdecimal() else None
        shown: Json = {}
        if seen is None:
            whole = view.whole()
            shown = {"servers": whole["servers"], "settings": whole["settings"]}
            seen = whole["change"]
            await self._tell(listener, "snapshot", whole)
        while not listener.is_lost:
            await self._pause(seen, shown)
            changes = view.changes(seen)
            seen = changes["change"]
            now = self._standing()
            changes |= {name: value for name, value in now.items() if value != shown.get(name)}
            shown = now
            await self._tell(listener, "changes", changes)

    async def _pause(self, seen: int, shown: Json) -> None:
        with anyio.move_on_after(IDLE_PAUSE_S):
            while True:
                with anyio.move_on_after(BUSY_PAUSE_S):
                    while True:
                        await anyio.sleep(SHORTEST_PAUSE_S)
                        if self._view.change != seen:
                            return
                if self._view.has_unsettled or self._standing() != shown:
                    return

    def _standing(self) -> Json:
        return {"servers": self._view.servers(), "settings": self._view.settings()}

    async def _tell(self, listener: _Listener, event: str, data: Mapping[str, Any]) -> None:
        text = json.dumps(data, separators=(",", ":"))
        await listener.tell(f"id: {self._view.instance}-{data['change']}\nevent: {event}\ndata: {text}\n\n")


class _Listener:
    """One client's stream."""

    def __init__(self, send: Send, most_sending_s: float) -> None:
        self._send = send
        self._most_sending_s = most_sending_s
        self.is_lost = False

    async def open(self) -> None:
        headers = {**HEADERS, "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        await self.tell("retry: 1000\n\n")

    async def tell(self, text: str) -> None:
        with anyio.move_on_after(self._most_sending_s) as sending:
            await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        if sending.cancelled_caught:
            self.is_lost = True
            log.info("dashboard_client_dropped", why=f"it read nothing for {self._most_sending_s:g} s")
