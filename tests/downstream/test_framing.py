from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.downstream.links.framing import Line, LineSplitter, printable, response_id


@given(st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b""))), st.integers(1, 7))
def test_lines_do_not_depend_on_how_the_bytes_arrive(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    splitter = LineSplitter(1000)
    found = [line for at in range(0, len(stream), step) for line in splitter.feed(stream[at : at + step])]
    assert [line.head for line in found] == lines


def test_a_line_over_the_limit_keeps_only_its_ends() -> None:
    splitter = LineSplitter(200_000)
    lines: list[Line] = []
    for _ in range(10):
        lines += splitter.feed(b"a" * 100_000)
    lines += splitter.feed(b"the end\nnext\n")
    assert [line.is_cut for line in lines] == [True, False]
    assert lines[0].size_bytes == 1_000_007
    assert lines[0].tail.endswith(b"athe end")
    assert lines[1].head == b"next"


def test_a_line_over_the_limit_in_one_chunk_is_cut_too() -> None:
    (line,) = LineSplitter(10).feed(b"0123456789abc\n")
    assert line.is_cut
    assert line.tail == b"0123456789abc"


def test_the_rest_is_the_line_without_a_newline() -> None:
    splitter = LineSplitter(100)
    assert splitter.feed(b"one\ntw") == [Line(b"one", size_bytes=3)]
    splitter.feed(b"o")
    assert [line.head for line in splitter.rest()] == [b"two"]
    assert splitter.rest() == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"jsonrpc":"2.0","id":5,"result":{', 5),
        (b'{"id": "a\\"b" , "jsonrpc":"2.0","result":{', 'a"b'),
        (b'{"result":{"id":9},"jsonrpc":"2.0","id":7}', 7),
        (b'{"jsonrpc":"2.0","result":{},"id":7}\r', 7),
        (b'{"jsonrpc":"2.0","result":{"id":9}}', None),
        (b'{"jsonrpc":"2.0","id":5,"method":"roots/list"', None),
        (b"Listening on port 80", None),
        (b"[1,2]", None),
        (b"", None),
    ],
)
def test_an_id_is_believed_only_where_it_is_the_messages_own(line: bytes, expected: object) -> None:
    assert response_id(Line(line)) == expected


def test_printable_text_cannot_move_the_cursor_or_forge_a_line() -> None:
    assert printable(b"\x1b[2Jred\x07\xe2\x80\xae\n\xff") == "\\x1b[2Jred\\x07\\u202e\\x0a\ufffd"


def test_printable_text_is_cut() -> None:
    assert len(printable(b"z" * 100_000)) == 2000
