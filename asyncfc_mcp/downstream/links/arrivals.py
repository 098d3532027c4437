"""Messages on their way to the one who deals with them; another may take what is most frequent as it comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import anyio
from anyio.abc import ObjectReceiveStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage


class Arrivals(ObjectReceiveStream[SessionMessage]):
    """A stream for one reader, who has the event loop go round once for each message.

    A memory stream of anyio's has it go round twice, and makes an event each time.
    """

    def __init__(self) -> None:
        self._messages: deque[SessionMessage] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._is_over = False
        self.first_offered_to: Callable[[JSONRPCMessage], bool] = lambda _: False
        """Says of a message as it comes whether it takes it; it is shown none that would overtake another."""

    def put(self, message: SessionMessage) -> bool:
        """Hand a message over; whether anybody still takes any."""
        if self._is_over:
            return False
        if self._messages or not self.first_offered_to(message.message):
            self._messages.append(message)
            self._wake()
        return True

    def end(self) -> None:
        """Nothing more comes."""
        self._is_over = True
        self._wake()

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

    async def _arrived(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
