"""Many HTTP requests at once: none waits for another, and when they are over few connections stay open."""

from __future__ import annotations

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from asyncfc_mcp.downstream.links.pools import POOL_SIZE, Pools
from tests.bounds import bound_s

pytestmark = pytest.mark.anyio

MANY = 5 * POOL_SIZE
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Crowd:
    """A server that answers nobody before as many have asked as there are to be."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._asked = 0
        self._complete = anyio.Event()
        self.open = 0

    async def talk(self, stream: SocketStream) -> None:
        self.open += 1
        try:
            async with stream:
                while True:
                    await stream.receive()
                    self._asked += 1
                    if self._asked >= self._size:
                        self._complete.set()
                    await self._complete.wait()
                    await stream.send(ANSWER)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return
        finally:
            self.open -= 1


async def test_more_requests_than_a_pool_holds_are_under_way_at_once_and_leave_one_pool_open() -> None:
    crowd = Crowd(MANY)
    with anyio.fail_after(bound_s(20)):
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
            httpx2.AsyncClient(transport=Pools(httpx2.AsyncHTTPTransport)) as client,
        ):
            tasks.start_soon(listener.serve, crowd.talk)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)

            async def ask() -> None:
                assert (await client.get(f"http://127.0.0.1:{port}/")).text == "ok"

            async with anyio.create_task_group() as asking:
                for _ in range(MANY):
                    asking.start_soon(ask)
            await ask()
            while crowd.open > POOL_SIZE:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()


async def test_a_request_that_cannot_be_sent_gives_its_place_back() -> None:
    with anyio.fail_after(bound_s(20)):
        async with httpx2.AsyncClient(transport=Pools(httpx2.AsyncHTTPTransport)) as client:
            for _ in range(2 * POOL_SIZE):
                with pytest.raises(httpx2.ConnectError):
                    await client.get("http://127.0.0.1:1/")
