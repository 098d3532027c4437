"""Draws a run as a time-line: a row for the agent and one for each call, on a scale that all runs share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from asyncfc_mcp.demo.record import Span, Timeline

LABEL_WIDTH = 17


@dataclass(frozen=True, slots=True)
class Marks:
    """The character of each kind of cell."""

    thinks: str
    waits: str
    runs: str


UNICODE = Marks(thinks="▒", waits="·", runs="█")
ASCII = Marks(thinks="~", waits=".", runs="#")


@dataclass(frozen=True, slots=True)
class Canvas:
    """What all charts of one demonstration share."""

    width: int
    """Columns in all, labels included."""
    scale_s: float
    """The seconds that the whole width stands for."""
    marks: Marks

    @property
    def cells(self) -> int:
        """Columns for time."""
        return max(self.width - LABEL_WIDTH - 1, 10)

    def range(self, span: Span) -> tuple[int, int]:
        """First cell and the one behind the last; never empty, so that a short call stays visible."""
        first = min(self._cell(span.start_s), self.cells - 1)
        return first, max(first + 1, min(self._cell(span.end_s), self.cells))

    def _cell(self, at_s: float) -> int:
        return round(at_s / self.scale_s * self.cells)


def chart(timeline: Timeline, tools: Sequence[str], canvas: Canvas) -> Text:
    """The chart of a run, whole or so far."""
    seconds = f"{timeline.end_s:.1f} s"
    room = canvas.width - len(seconds) - 1
    title = f" {timeline.way.value}"[:room].ljust(room)
    lines = [Text.assemble((title, "bold"), (seconds, "bold"))]
    lines.append(_agent_row(timeline, canvas))
    lines += [_call_row(timeline, tool, canvas) for tool in tools]
    return Text("\n").join(lines)


def legend(canvas: Canvas) -> Text:
    """The scale and what the marks mean: once, below the last chart."""
    end = f"{canvas.scale_s:.1f} s"
    marks = canvas.marks
    words = Text.assemble(
        (marks.thinks, "yellow"), " thinks   ", (marks.waits, "dim"), " waits   ", (marks.runs, "green"), " runs"
    )
    room = canvas.cells - len("0 s") - len(end) - len(words)
    left = max(room // 2, 1)
    return Text.assemble(" " * LABEL_WIDTH, "0 s", " " * left, words, " " * max(room - left, 1), end)


def _agent_row(timeline: Timeline, canvas: Canvas) -> Text:
    waits, thinks = canvas.marks.waits, canvas.marks.thinks
    cells = _cells(canvas, [(Span(0.0, timeline.end_s), waits), *((span, thinks) for span in timeline.thinking)])
    return _row("agent", cells, canvas.marks, "bold")


def _call_row(timeline: Timeline, tool: str, canvas: Canvas) -> Text:
    layers: list[tuple[Span, str]] = []
    for call in timeline.calls:
        if call.tool != tool:
            continue
        started_s = call.ran.start_s if call.ran else timeline.end_s
        if canvas.range(Span(0.0, started_s))[1] > canvas.range(Span(0.0, call.sent_s))[1]:
            layers.append((Span(call.sent_s, started_s), canvas.marks.waits))
        if call.ran:
            layers.append((call.ran, canvas.marks.runs))
    return _row(tool, _cells(canvas, layers), canvas.marks, "")


def _cells(canvas: Canvas, layers: Sequence[tuple[Span, str]]) -> str:
    cells = [" "] * canvas.cells
    for span, mark in layers:
        first, behind = canvas.range(span)
        cells[first:behind] = mark * (behind - first)
    return "".join(cells).rstrip()


def _row(label: str, cells: str, marks: Marks, label_style: str) -> Text:
    row = Text.assemble((f"  {label}"[: LABEL_WIDTH - 1].ljust(LABEL_WIDTH), label_style), cells)
    for mark, style in ((marks.thinks, "yellow"), (marks.waits, "dim"), (marks.runs, "green")):
        row.highlight_regex(f"{re.escape(mark)}+", style)
    return row
