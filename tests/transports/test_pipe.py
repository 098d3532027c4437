"""Lines to and from a client over every kind of descriptor that a host may hand us."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import mcp_types as types
import pytest
from mcp.shared.message import SessionMessage

from asyncfc_mcp.transports.incoming import Incoming
from asyncfc_mcp.transports.pipe import Outbox
from asyncfc_mcp.transports.stdio import client_streams
from tests.harness import LIMIT_S
from tests.transports.support import ignore

pytestmark = pytest.mark.anyio

Ends = tuple[BufferedReader, FileIO, int, int]
"""Our source and our sink, and the descriptors on which the client writes and reads."""


def request(number: int, text: str = "") -> bytes:
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "echo", "text": text}}
    return json.dumps(message).encode() + b"\n"


def answer(number: int, text: str = "") -> SessionMessage:
    return SessionMessage(types.JSONRPCResponse(jsonrpc="2.0", id=number, result={"text": text}))


def numbers(items: list[SessionMessage]) -> list[types.RequestId]:
    return [item.message.id for item in items if isinstance(item.message, types.JSONRPCRequest)]


@contextmanager
def pipes() -> Generator[Ends]:
    (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
    with os.fdopen(their_in, "rb") as source, FileIO(their_out, "wb") as sink:
        yield source, sink, our_out, our_in


@contextmanager
def sockets() -> Generator[Ends]:
    one, other = socket.socketpair()
    theirs, ours = one.detach(), other.detach()
    with os.fdopen(theirs, "rb") as source, FileIO(theirs, "wb", closefd=False) as sink:
        yield source, sink, ours, ours


KINDS: list[Callable[[], Any]] = [pipes, sockets]


async def read_lines(descriptor: int, count: int) -> list[Any]:
    def read() -> list[Any]:
        heard = b""
        while heard.count(b"\n") < count:
            heard += os.read(descriptor, 1 << 16)
        return [json.loads(line) for line in heard.splitlines()]

    with anyio.fail_after(LIMIT_S):
        return await anyio.to_thread.run_sync(read)


async def take(incoming: Incoming, count: int) -> list[SessionMessage]:
    with anyio.fail_after(LIMIT_S):
        return [await incoming.receive() for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
async def test_lines_go_both_ways_in_order(kind: Callable[[], Any]) -> None:
    with kind() as (source, sink, writes, reads):
        async with client_streams(source, sink, ignore, ignore) as (incoming, outgoing):
            os.write(writes, b"".join(request(number) for number in range(100)))
            assert numbers(await take(incoming, 100)) == list(range(100))
            for number in range(100):
                await outgoing.send(answer(number))
            assert [line["id"] for line in await read_lines(reads, 100)] == list(range(100))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 4_000, 60_000, 3_000_000])
async def test_a_line_of_any_size_goes_both_ways_whole(kind: Callable[[], Any], size: int) -> None:
    text = "x" * size
    with kind() as (source, sink, writes, reads):
        async with client_streams(source, sink, ignore, ignore) as (incoming, outgoing):
            await sent(writes, request(1, text))
            (item,) = await take(incoming, 1)
            assert cast("types.JSONRPCRequest", item.message).params == {"name": "echo", "text": text}
            await outgoing.send(answer(1, text))
            assert await read_lines(reads, 1) == [{"jsonrpc": "2.0", "id": 1, "result": {"text": text}}]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_slow_client_has_no_room_for_comes_later_and_in_order(kind: Callable[[], Any]) -> None:
    with kind() as (source, sink, _, reads):
        async with client_streams(source, sink, ignore, ignore) as (_, outgoing):
            with anyio.fail_after(LIMIT_S):  # far more than pipe or socket hold, and nobody reads
                for number in range(2_000):
                    await outgoing.send(answer(number, "x" * (number % 7) * 200))
            assert [line["id"] for line in await read_lines(reads, 2_000)] == list(range(2_000))


@pytest.mark.parametrize("kind", KINDS)
async def test_the_end_of_the_input_ends_the_messages(kind: Callable[[], Any]) -> None:
    with kind() as (source, sink, writes, _):
        async with client_streams(source, sink, ignore, ignore) as (incoming, _):
            os.write(writes, request(1) + request(2).rstrip())
            if kind is sockets:
                with socket.socket(fileno=os.dup(writes)) as end:
                    end.shutdown(socket.SHUT_WR)
            else:
                os.close(writes)
            with anyio.fail_after(LIMIT_S):
                assert numbers([item async for item in incoming]) == [1, 2]


async def test_who_does_not_wait_for_what_is_still_written_may_close_where_it_goes() -> None:
    with pipes() as (_, sink, _, reads):
        gone = anyio.Event()
        outbox = Outbox(sink, gone.set)
        for _ in range(2):  # the first may be on its way already, and arrive
            outbox.put(b"x" * 1_000_000)
        outbox.close(0)
        sink.close()
        with anyio.fail_after(LIMIT_S):
            while await anyio.to_thread.run_sync(os.read, reads, 1 << 16):
                pass
            await gone.wait()


async def test_a_client_that_reads_no_more_ends_the_messages() -> None:
    with pipes() as (source, sink, _, reads):
        async with client_streams(source, sink, ignore, ignore) as (incoming, outgoing):
            os.close(reads)
            await outgoing.send(answer(1))
            await outgoing.send(answer(2))
            with anyio.fail_after(LIMIT_S):
                assert [item async for item in incoming] == []


async def test_leaving_does_not_wait_for_a_client_that_neither_writes_nor_reads() -> None:
    with pipes() as (source, sink, _, _), anyio.fail_after(LIMIT_S):
        async with client_streams(source, sink, ignore, ignore) as (_, outgoing):
            await outgoing.send(answer(1, "x" * 1_000_000))


async def test_a_file_can_stand_for_the_client(tmp_path: Path) -> None:
    given, written = tmp_path / "in", tmp_path / "out"
    given.write_bytes(request(1) + request(2))
    with given.open("rb") as source, FileIO(written, "wb") as sink:
        async with client_streams(source, sink, ignore, ignore) as (incoming, outgoing):
            with anyio.fail_after(LIMIT_S):
                assert numbers([item async for item in incoming]) == [1, 2]
            await outgoing.send(answer(1))
    assert json.loads(written.read_bytes())["id"] == 1


async def test_each_call_is_announced_as_it_is_read() -> None:
    announced: list[str | int] = []
    with pipes() as (source, sink, writes, _):
        async with client_streams(source, sink, announced.append, ignore) as (incoming, _):
            os.write(writes, request(1) + b'{"jsonrpc":"2.0","id":2,"method":"ping"}\n' + request(3))
            await take(incoming, 3)
    assert announced == [1, 3]


async def test_each_answer_is_announced_as_it_is_sent() -> None:
    answered: list[str | int] = []
    error = types.JSONRPCError(jsonrpc="2.0", id=2, error=types.ErrorData(code=-32602, message="no"))
    with pipes() as (source, sink, _, _):
        async with client_streams(source, sink, ignore, answered.append) as (_, outgoing):
            await outgoing.send(answer(1))
            await outgoing.send(SessionMessage(error))
            await outgoing.send(SessionMessage(types.JSONRPCRequest(jsonrpc="2.0", id=3, method="ping")))
    assert answered == [1, 2]


async def test_the_first_request_stays_among_the_messages() -> None:
    incoming = Incoming()
    note = types.JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized")
    first = types.JSONRPCRequest(jsonrpc="2.0", id=1, method="ping")
    for message in (note, first):
        incoming.put(SessionMessage(message))
    with anyio.fail_after(LIMIT_S):
        assert await incoming.first_request() is first
        assert [(await incoming.receive()).message for _ in range(2)] == [note, first]


async def test_a_client_that_ends_without_a_request_has_none() -> None:
    incoming = Incoming()
    incoming.end()
    with anyio.fail_after(LIMIT_S):
        assert await incoming.first_request() is None
    assert not incoming.put(answer(1))


async def sent(descriptor: int, line: bytes) -> None:
    with anyio.fail_after(LIMIT_S), memoryview(line) as left:
        written = 0
        while written < len(left):
            written += await anyio.to_thread.run_sync(os.write, descriptor, left[written:])
