"""Bytes that claim to be messages: lines, events and JSON of every shape, cut anywhere."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import anyio
import httpx2
import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage

from asyncfc_mcp.downstream.links.framing import KEPT_HEAD_BYTES, Line, LineSplitter, printable, response_id
from asyncfc_mcp.downstream.links.sse import NoEndpoint, sse_streams
from asyncfc_mcp.transports.stdio import client_streams
from tests.fuzz.budget import examples
from tests.fuzz.hostile import JSON, TEXTS, among
from tests.harness import LIMIT_S
from tests.transports.support import ignore

MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": among(["2.0", "1.0", 2, None]),
        "id": st.integers() | TEXTS | among([None, True, 1.5, [], {}, 2**64, -0.0]),
        "method": among(["ping", "tools/call", "notifications/cancelled", "", 5, None]) | TEXTS,
        "params": JSON,
        "result": JSON,
        "error": JSON | st.just({"code": 1, "message": "no"}),
    },
)
MESSAGES = (MEMBERS | JSON).map(lambda message: json.dumps(message).encode())


def cut(line: bytes, start: int, end: int) -> bytes:
    return line[start : len(line) - end]


CUT = st.builds(cut, MESSAGES, st.integers(0, 3), st.integers(0, 12))
LINES: st.SearchStrategy[bytes] = MESSAGES | CUT | TEXTS.map(str.encode) | st.binary(max_size=30)
PIECES = st.lists(
    among([b"event: endpoint\n", b"event: message\n", b"event", b"data: ", b"data", b":", b"\n", b"\n\n", b"\r"])
    | among([b"/messages?x=1", b"//other.example/x", b"http://[::1", b"retry: 1\n", b"id: \0\n", b"\xff\xfe"])
    | LINES,
    max_size=12,
)


@examples(60)
@given(st.lists(st.binary(max_size=30), max_size=6), st.integers(1, 9), st.integers(1, 40))
def test_every_byte_is_in_a_line_or_counted(pieces: list[bytes], step: int, limit: int) -> None:
    stream = b"\n".join(pieces)
    splitter = LineSplitter(limit)
    found = [line for at in range(0, len(stream), step) for line in splitter.feed(stream[at : at + step])]
    found += splitter.rest()
    expected = stream.split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    assert [line.size_bytes for line in found] == [len(line) for line in expected]
    for line, whole in zip(found, expected, strict=True):
        assert line.is_cut is (len(whole) > limit)
        if line.is_cut:
            assert whole.startswith(line.head[:KEPT_HEAD_BYTES])
            assert whole.endswith(line.tail)
        else:
            assert line.head == whole


@examples(80)
@given(LINES, LINES)
def test_what_cannot_be_read_can_be_logged_and_asked_for_its_id(head: bytes, tail: bytes) -> None:
    assert isinstance(response_id(Line(head, tail, is_cut=bool(tail))), int | str | None)
    assert printable(head + tail).isprintable() or not any(ord(one) < 32 for one in printable(head + tail))


@examples(60)
@given(JSON, st.integers() | TEXTS)
def test_the_id_of_a_whole_response_is_its_own(result: Any, identity: int | str) -> None:
    for message in ({"id": identity, "result": result}, {"result": result, "id": identity}):
        said = response_id(Line(json.dumps({"jsonrpc": "2.0", **message}).encode()))
        assert said in (identity, None)


@pytest.mark.anyio
@examples(30)
@given(lines=st.lists(LINES.map(lambda line: line.replace(b"\n", b" ")), max_size=6))
async def test_each_line_of_a_client_is_a_message_or_is_answered(lines: list[bytes]) -> None:
    source, answers = cast("Any", io.BufferedReader(io.BytesIO(b"\n".join(lines)))), io.BytesIO()
    taken: list[Any] = []
    async with client_streams(source, answers, ignore, ignore) as (incoming, _):
        with anyio.fail_after(LIMIT_S):
            taken += [item async for item in incoming]
    refused = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert len(taken) + len(refused) == sum(1 for line in lines if line.strip())
    assert all(isinstance(item, SessionMessage) for item in taken)
    for refusal in refused:
        assert refusal["error"]["code"] in (types.PARSE_ERROR, types.INVALID_REQUEST)
        assert isinstance(refusal["id"], int | str | None)


@pytest.mark.anyio
@examples(30)
@given(pieces=PIECES)
async def test_every_stream_of_events_gives_messages_or_one_refusal(pieces: list[bytes]) -> None:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    def serve(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body())

    heard: list[Any] = []
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(serve)) as client:
        try:
            with anyio.fail_after(LIMIT_S):
                async with sse_streams(client, "http://server/sse", max_result_bytes=1 << 20) as (read, _):
                    heard += [item async for item in read]
        except* NoEndpoint:
            heard = []
    assert all(isinstance(item, SessionMessage | ValueError) for item in heard)
