"""The charts, drawn from fixed times."""

from __future__ import annotations

import pytest

from asyncfc_mcp.demo.record import CallTimes, Span, Timeline, Way
from asyncfc_mcp.demo.timeline import ASCII, UNICODE, Canvas, chart, legend

TOOLS = ("search", "book", "note", "rest")
RUN = Timeline(
    way=Way.FUTURES,
    thinking=(Span(0, 1), Span(1, 2), Span(5, 6)),
    calls=(
        CallTimes("search", 1, Span(1, 3)),
        CallTimes("book", 2, Span(3, 5)),
        CallTimes("note", 2, None),
    ),
    end_s=6,
)


def drawn(width: int, *, ascii_only: bool = False) -> list[str]:
    canvas = Canvas(width=width, scale_s=12, marks=ASCII if ascii_only else UNICODE)
    return [line.rstrip() for line in chart(RUN, TOOLS, canvas).plain.splitlines()]


def test_a_chart_shows_who_thinks_waits_and_runs() -> None:
    assert drawn(42) == [
        " Futures                            6.0 s",
        "  agent          ▒▒▒▒······▒▒",
        "  search           ████",
        "  book               ··████",
        "  note               ········",
        "  rest",
    ]


def test_a_chart_can_do_without_unicode() -> None:
    assert drawn(42, ascii_only=True)[1:4] == [
        "  agent          ~~~~......~~",
        "  search           ####",
        "  book               ..####",
    ]


@pytest.mark.parametrize("width", [30, 80, 100])
def test_no_line_is_wider_than_the_canvas(width: int) -> None:
    assert max(map(len, drawn(width))) <= width
    assert len(legend(Canvas(width=max(width, 60), scale_s=12, marks=UNICODE)).plain) <= max(width, 60)


def test_a_call_too_short_for_a_cell_is_drawn_all_the_same() -> None:
    run = Timeline(Way.FUTURES, (), (CallTimes("book", 1, Span(1, 1.001)),), end_s=12)
    assert chart(run, ("book",), Canvas(width=42, scale_s=12, marks=UNICODE)).plain.count("█") == 1


def test_the_legend_names_the_scale_and_the_marks() -> None:
    text = legend(Canvas(width=80, scale_s=8.4, marks=ASCII)).plain
    assert text.split() == ["0", "s", "~", "thinks", ".", "waits", "#", "runs", "8.4", "s"]
