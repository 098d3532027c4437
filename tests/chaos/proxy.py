"""A TCP relay that can cut every connection through it, or hold up what they carry."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

_CHUNK = 1 << 16


class Proxy:
    """Relays from a port of its own to another one of this machine."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._connections: set[anyio.CancelScope] = set()
        self._flowing = anyio.Event()
        self._flowing.set()
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._relay)
            yield
            tasks.cancel_scope.cancel()

    def cut(self) -> int:
        """End all connections in the middle of whatever they say; how many they were."""
        cut = list(self._connections)
        for connection in cut:
            connection.cancel()
        return len(cut)

    def hold(self) -> None:
        """Let nothing through any more, and keep the connections."""
        self._flowing = anyio.Event()

    def let_go(self) -> None:
        self._flowing.set()

    async def _relay(self, near: anyio.abc.SocketStream) -> None:
        try:
            far = await anyio.connect_tcp("127.0.0.1", self._target_port)
        except OSError:
            await anyio.aclose_forcefully(near)
            return
        with anyio.CancelScope() as connection:
            self._connections.add(connection)
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._pump, near, far, tasks.cancel_scope)
                    tasks.start_soon(self._pump, far, near, tasks.cancel_scope)
            finally:
                self._connections.discard(connection)
                with anyio.CancelScope(shield=True):
                    for end in (near, far):
                        await anyio.aclose_forcefully(end)

    async def _pump(
        self, source: anyio.abc.SocketStream, sink: anyio.abc.SocketStream, both: anyio.CancelScope
    ) -> None:
        try:
            while True:
                chunk = await source.receive(_CHUNK)
                await self._flowing.wait()
                await sink.send(chunk)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            both.cancel()
