"""What the clients that are made of a Python SDK session have in common."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio


def as_json(result: Any) -> dict[str, Any]:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def print_report(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report))


class Updates:
    """The updates that arrive as notifications on a session of the handshake era."""

    def __init__(self) -> None:
        self._seen: dict[str, anyio.Event] = defaultdict(anyio.Event)

    async def handle(self, message: Any) -> None:
        """Be the message handler of a session; 1.x wraps what 2.x gives as it is."""
        notification = getattr(message, "root", message)
        if getattr(notification, "method", None) == "notifications/resources/updated":
            self._seen[str(notification.params.uri)].set()

    @asynccontextmanager
    async def watch(
        self, uri: str, subscribe: Callable[[Any], Awaitable[Any]], unsubscribe: Callable[[Any], Awaitable[Any]]
    ) -> AsyncGenerator[anyio.Event]:
        await subscribe(uri)
        yield self._seen[uri]
        await unsubscribe(uri)
