"""Many HTTP requests at once: none waits for another, and when they are over few connections stay open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from asyncfc_mcp.downstream.links.pools import POOL_SIZE, Pools
from tests.bounds import bound_s

pytestmark = pytest.mark.anyio

MANY = 5 * POOL_SIZE
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def in_front_of(
    talk: Callable[[SocketStream], Awaitable[None]],
    new_pool: Callable[[], httpx2.AsyncBaseTransport] = httpx2.AsyncHTTPTransport,
) -> AsyncGenerator[tuple[httpx2.AsyncClient, str]]:
    """A client of that server, and its address."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
        httpx2.AsyncClient(transport=Pools(new_pool)) as client,
    ):
        tasks.start_soon(listener.serve, talk)
        yield client, f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/"
        tasks.cancel_scope.cancel()


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
        async with in_front_of(crowd.talk) as (client, url):

            async def ask() -> None:
                assert (await client.get(url)).text == "ok"

            async with anyio.create_task_group() as asking:
                for _ in range(MANY):
                    asking.start_soon(ask)
            await ask()
            while crowd.open > POOL_SIZE:
                await anyio.lowlevel.checkpoint()


async def test_a_request_that_cannot_be_sent_gives_its_place_back() -> None:
    with anyio.fail_after(bound_s(20)):
        async with httpx2.AsyncClient(transport=Pools(httpx2.AsyncHTTPTransport)) as client:
            for _ in range(2 * POOL_SIZE):
                with pytest.raises(httpx2.ConnectError):
                    await client.get("http://127.0.0.1:1/")


ONE = httpx2.Limits(max_connections=1)
EVENT = b"data: answer\n\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Streamer:
    """A server that answers each request with one event, and with the end of its stream some time later."""

    def __init__(self, ends_after_s: float) -> None:
        self._ends_after_s = ends_after_s
        self.connections = 0

    async def talk(self, stream: SocketStream) -> None:
        self.connections += 1
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with stream:
                while True:
                    await stream.receive()
                    await stream.send(STREAM + b"%x\r\n" % len(EVENT) + EVENT + b"\r\n")
                    await anyio.sleep(self._ends_after_s)
                    await stream.send(b"0\r\n\r\n")


async def left_after_its_event(server: Streamer, method: str, times: int) -> None:
    """Ask so often, and leave each response as soon as it has said something."""
    with anyio.fail_after(bound_s(20)):
        async with in_front_of(server.talk) as (client, url):
            for _ in range(times):
                async with client.stream(method, url) as response:
                    async for part in response.aiter_bytes():
                        assert part == EVENT
                        break


async def test_a_connection_is_used_again_whose_stream_was_left_after_its_answer() -> None:
    server = Streamer(ends_after_s=0)
    await left_after_its_event(server, "POST", 5)
    assert server.connections == 1


async def test_a_connection_is_used_again_after_a_202_whose_body_nobody_has_read() -> None:
    connections = 0

    async def talk(stream: SocketStream) -> None:
        nonlocal connections
        connections += 1
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            async with stream:
                while True:
                    await stream.receive()
                    await stream.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    with anyio.fail_after(bound_s(20)):
        async with in_front_of(talk) as (client, url):
            for _ in range(3):
                async with client.stream("POST", url) as response:
                    assert response.status_code == 202
    assert connections == 1


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_stream_that_does_not_end_is_left_all_the_same(method: str) -> None:
    server = Streamer(ends_after_s=60)
    await left_after_its_event(server, method, 3)
    assert server.connections == 3


async def test_a_place_is_given_back_where_the_closing_is_cancelled() -> None:
    server = Streamer(ends_after_s=60)
    with anyio.fail_after(bound_s(20)):
        async with in_front_of(server.talk, lambda: httpx2.AsyncHTTPTransport(limits=ONE)) as (client, url):
            for _ in range(3):  # the only connection of the pool is free again each time
                with anyio.CancelScope() as leaving:
                    async with client.stream("POST", url) as response:
                        async for part in response.aiter_bytes():
                            assert part == EVENT
                            leaving.cancel()
                            break
