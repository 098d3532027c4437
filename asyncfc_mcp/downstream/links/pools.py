"""HTTP connections in small pools: a pool looks at each of its connections whenever a request begins or ends.

With one pool a call costs more the more calls run, and a thousand of them hold up the event loop for seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import cast

import anyio
import httpx2

POOL_SIZE = 32
"""Requests under way in one pool."""
_REST_S = 0.1
_REST_PARTS = 64
"""What is read of a stream that nobody wants any more, so that its connection can be used again."""


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
            # what a GET opens ends with its connection; whoever leaves a document has a reason
            ends_soon = response.status_code == HTTPStatus.ACCEPTED or is_of_type(response, "text/event-stream")
            has_end = request.method == "POST" and ends_soon
            response.stream = _Stream(response.stream, lambda: self._leave(number), has_end=has_end)
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
    """A response that says when it is over.

    Args:
        has_end: whether to read on to its end where whoever has it leaves before: a connection can be used again only
            after that, and the end of a stream of events comes right behind its answer, that of a 202 at once.
    """

    def __init__(self, inner: httpx2.AsyncByteStream, leave: Callable[[], Awaitable[None]], *, has_end: bool) -> None:
        self._inner = inner
        self._leave = leave
        self._has_end = has_end
        self._parts = aiter(inner)
        self._is_closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Parts(self._parts)

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._has_end:
                await _read_on(self._parts)
        finally:
            await self._close()

    async def _close(self) -> None:
        try:
            parts: object = self._parts
            if isinstance(parts, AsyncGenerator):
                with suppress(RuntimeError):  # somebody still reads it, whom the next line ends
                    await cast("AsyncGenerator[bytes]", parts).aclose()
            await self._inner.aclose()
        finally:
            await self._leave()


class _Parts(AsyncIterator[bytes]):
    """No generator: the HTTP client closes those as soon as it is left, whoever still reads on."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts

    async def __anext__(self) -> bytes:
        return await anext(self._parts)


async def _read_on(rest: AsyncIterator[bytes]) -> None:
    # its end, and whatever breaks off here, was not wanted any more; it is closed next
    with anyio.move_on_after(_REST_S), suppress(Exception):
        for _ in range(_REST_PARTS):
            await anext(rest)


def is_of_type(response: httpx2.Response, media_type: str) -> bool:
    """Whether that is what its body is said to be, whatever parameters follow."""
    return response.headers.get("content-type", "").lower().startswith(media_type)
