"""The sockets of the network transports, and uvicorn behind them."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress

import anyio
import uvicorn
from starlette.types import ASGIApp

from asyncfc_mcp.errors import GatewayError

ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not bound to
"""Stand for every address of this machine; no request can name one as its Host."""
_BACKLOG = 2048
_KEEP_ALIVE_S = 75
"""Longer than clients keep an unused connection: one that we close first may just be carrying their next call."""


class AddressUnusable(GatewayError):
    """The gateway cannot listen where it was told to."""

    def __init__(self, host: str, port: int, fact: str) -> None:
        super().__init__(f"cannot listen on {host} port {port}: {fact}; choose another with --host and --port")
        self.host = host
        self.port = port


class Listener:
    """Every address of a host, listened on at one port; closed again by whoever made it, or by `serve`."""

    def __init__(self, host: str, port: int) -> None:
        """Listen.

        Args:
            host: a name or address of this machine.
            port: 0 takes one that is free.

        Raises:
            AddressUnusable: It cannot be listened on.
        """
        self._sockets: list[socket.socket] = []
        try:
            for family, address in _addresses(host, port):
                chosen = self.port if self._sockets else port
                self._sockets.append(_listening(family, (address, chosen)))
        except (OSError, UnicodeError) as error:
            self.close()
            fact = error.strerror if isinstance(error, OSError) else "this is no name of a host"
            raise AddressUnusable(host, port, (fact or str(error)).lower()) from None
        self.host = host

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._sockets[0].getsockname()[1]

    @property
    def origin(self) -> str:
        """The beginning of every URL of it, as a client on this machine says it."""
        if self.host in ANY_ADDRESS:
            return f"http://localhost:{self.port}"
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def close(self) -> None:
        """Stop listening."""
        for one in self._sockets:
            one.close()

    async def serve(self, app: ASGIApp, before_end: Callable[[], Awaitable[None]]) -> None:
        """Serve HTTP until cancelled; then what `before_end` ends, and nothing is left open."""
        server = _Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                # its messages quote requests, and what breaks one is logged where it is served
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=0,
            )
        )

        async def run() -> None:
            with anyio.CancelScope(shield=True):
                await server.serve(self._sockets)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await before_end()
                server.should_exit = True


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the application, which has more to end than this."""
        yield


def _addresses(host: str, port: int) -> Sequence[tuple[socket.AddressFamily, str]]:
    if not host:
        raise OSError(None, "no host is given")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _listening(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    # The protocol is named so that asyncio switches Nagle's algorithm off: it would hold each answer back for 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # what an earlier run has left in the kernel must not keep this one from starting
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(_BACKLOG)
        made.setblocking(False)  # noqa: FBT003  the standard library's own signature
    except OSError:
        made.close()
        raise
    return made
