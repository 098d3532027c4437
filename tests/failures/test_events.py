"""Server-sent events are read whole however their bytes arrive, and a long one keeps its ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.downstream.links.events import Event, EventReader

pytestmark = pytest.mark.anyio


async def read(*chunks: bytes, limit_bytes: int = 1000) -> list[Event]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [event async for event in EventReader(limit_bytes).read(stream())]


async def said(*chunks: bytes) -> list[tuple[str, bytes]]:
    return [(event.name, event.data.head) for event in await read(*chunks)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
async def test_an_event_ends_with_an_empty_line_of_any_kind(end: bytes) -> None:
    text = end.join([b": hello", b"event: endpoint", b"data: /here", b"", b"data:a", b"data: b", b"id: 7", b"", b""])
    assert await said(text) == [("endpoint", b"/here"), ("message", b"a\nb")]


async def test_of_two_newlines_behind_a_return_the_second_is_an_empty_line() -> None:
    assert await said(b"data: 1\r", b"\n", b"\n") == [("message", b"1")]


@given(st.integers(1, 9), st.sampled_from([b"\n", b"\r\n", b"\r"]))
async def test_events_do_not_depend_on_how_the_bytes_arrive(step: int, end: bytes) -> None:
    text = end.join([b"event: one", b"data: 1", b"", b"retry: 5", b"", b"data: 2", b"data: 3", b"", b""])
    chunks = [text[at : at + step] for at in range(0, len(text), step)]
    assert await said(*chunks) == [("one", b"1"), ("message", b"2\n3")]


async def test_an_event_over_the_limit_keeps_its_ends_and_those_after_it_come() -> None:
    long = b'data: {"id":1,' + b"x" * 5000 + b'"end":1}\n\n'
    first, second = await read(long, b"data: next\n\n")
    assert first.data.is_cut
    assert first.data.size_bytes == len(long) - len(b"data: \n\n")
    assert first.data.head.startswith(b'{"id":1,')
    assert first.data.tail.endswith(b'"end":1}')
    assert (second.data.head, second.data.is_cut) == (b"next", False)


async def test_many_lines_that_are_too_long_together_are_skipped_as_well() -> None:
    first, second = await read(*[b"data: " + b"y" * 400 + b"\n"] * 50, b"data: z\n\n", b"data: next\n\n")
    assert first.data.is_cut
    assert first.data.size_bytes == 50 * 400 + 1
    assert first.data.tail == b"z"
    assert second.data.head == b"next"


async def test_an_unfinished_event_is_none() -> None:
    assert await said(b"data: 1\n") == []
