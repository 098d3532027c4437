"""The messages of one client on their way to the SDK, which takes in each as it comes."""

from __future__ import annotations

import asyncio
from collections import deque

import anyio
from anyio.abc import ObjectReceiveStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

_MOST_BEFORE_REQUEST = 8
"""Messages that are kept of a client that has not said yet what it wants."""


class Incoming(ObjectReceiveStream[SessionMessage]):
    """A stream for one reader, who has the event loop go round once for each message.

    A memory stream of anyio's has it go round twice, and makes an event each time.
    """

    def __init__(self) -> None:
        self._messages: deque[SessionMessage] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._is_over = False

    def put(self, message: SessionMessage) -> bool:
        """Hand a message over; whether anybody still takes any."""
        if self._is_over:
            return False
        self._messages.append(message)
        self._wake()
        return True

    def end(self) -> None:
        """Nothing more comes."""
        self._is_over = True
        self._wake()

    async def first_request(self) -> JSONRPCRequest | None:
        """The first request, which stays where it is; None when there is none before the end."""
        while True:
            for one in self._messages:
                if isinstance(one.message, JSONRPCRequest):
                    return one.message
            while len(self._messages) > _MOST_BEFORE_REQUEST:
                self._messages.pop()
            if self._is_over:
                return None
            await self._arrived()

    async def receive(self) -> SessionMessage:
        """The next message.

        Raises:
            EndOfStream: there is none any more.
        """
        while not self._messages:
            if self._is_over:
                raise anyio.EndOfStream
            await self._arrived()
        return self._messages.popleft()

    async def aclose(self) -> None:
        """Take nothing more."""
        self.end()
        self._messages.clear()

    async def _arrived(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
