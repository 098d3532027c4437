"""HTTP connections in small pools: a pool looks at each of its connections whenever a request begins or ends.

With one pool a call costs more the more calls run, and a thousand of them hold up the event loop for seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2

POOL_SIZE = 32
"""Requests under way in one pool."""


class Pools(httpx2.AsyncBaseTransport):
    """As many pools as there are requests for; the first ones are filled first.

    Args:
        new_pool: makes one more, which may hold `POOL_SIZE` connections open that are not in use.
    """

    def __init__(self, new_pool: Callable[[], httpx2.AsyncBaseTransport]) -> None:
        self._new_pool = new_pool
        self._pools: list[httpx2.AsyncBaseTransport] = []
        self._used: list[int] = []
        """How many requests are under way in each pool."""
        self._with_room: list[int] = []
        """The pools that can take one more, as a heap."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request over a connection of the first pool that has room."""
        number = self._take()
        try:
            response = await self._pools[number].handle_async_request(request)
        except BaseException:
            self._give_back(number)
            raise
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Stream(response.stream, lambda: self._leave(number))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools:
            await pool.aclose()

    def _take(self) -> int:
        if not self._with_room:
            heapq.heappush(self._with_room, len(self._pools))
            self._pools.append(self._new_pool())
            self._used.append(0)
        number = self._with_room[0]
        self._used[number] += 1
        if self._used[number] == POOL_SIZE:
            heapq.heappop(self._with_room)
        return number

    def _give_back(self, number: int) -> None:
        if self._used[number] == POOL_SIZE:
            heapq.heappush(self._with_room, number)
        self._used[number] -= 1

    async def _leave(self, number: int) -> None:
        self._give_back(number)
        # the rush is over: nobody else would look at its idle connections again
        if number and not self._used[number]:
            await self._pools[number].aclose()


class _Stream(httpx2.AsyncByteStream):
    """A response that says when it is over."""

    def __init__(self, inner: httpx2.AsyncByteStream, leave: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._leave: Callable[[], Awaitable[None]] | None = leave

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._inner.__aiter__()

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            leave, self._leave = self._leave, None
            if leave is not None:
                await leave()
