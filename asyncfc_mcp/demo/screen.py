"""What a person sees: the charts as they grow (plain lines when the output is no terminal), and the summary."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from asyncfc_mcp.demo.program import TRIP
from asyncfc_mcp.demo.record import Timeline, Way
from asyncfc_mcp.demo.report import DemoReport
from asyncfc_mcp.demo.simulation import THINKING_S_PER_CALL, THINKING_S_PER_STEP, TOOL_DELAYS_S
from asyncfc_mcp.demo.timeline import ASCII, UNICODE, Canvas, chart, legend

MAX_WIDTH = 100
TOOLS = tuple(call.tool for call in TRIP)


class Screen:
    """Shows one demonstration on a console."""

    def __init__(self, console: Console, speed: float) -> None:
        self._console = console
        self._speed = speed
        # Before anything is measured the sum of the simulated delays sets the scale; the first run is the longest.
        steps = len(TRIP) + 1
        self._scale_s = (sum(TOOL_DELAYS_S.values()) + steps * (THINKING_S_PER_STEP + THINKING_S_PER_CALL)) / speed

    @contextmanager
    def starting(self) -> Generator[None]:
        """While the gateway and its servers start."""
        self._say("A scripted agent plans a trip three times, through one gateway process.", "bold")
        words = "Starting the gateway and three small servers ..."
        if self._console.is_terminal:
            with self._console.status(words):
                yield
        else:
            self._say(words)
            yield

    @contextmanager
    def watching(self, way: Way, timeline: Callable[[], Timeline]) -> Generator[None]:
        """While a run goes on; its chart stays when it is over."""
        self._say()
        if self._console.is_terminal:
            with Live(
                get_renderable=lambda: self._chart(timeline()),
                console=self._console,
                refresh_per_second=10,
                transient=True,
            ):
                yield
        else:
            self._say(f"{way.value}: running ...")
            yield
        finished = timeline()
        self._scale_s = max(self._scale_s, finished.end_s)
        self._console.print(self._chart(finished), no_wrap=True)

    def conclude(self, report: DemoReport) -> None:
        """The scale, the figures and what they rest on."""
        self._console.print(legend(self._canvas()), no_wrap=True)
        self._say()
        for line in summary(report, self._speed):
            self._console.print(Text(line))

    def _say(self, words: str = "", style: str = "") -> None:
        self._console.print(Text(words, style))

    def _chart(self, timeline: Timeline) -> Text:
        return chart(timeline, TOOLS, self._canvas(at_least_s=timeline.end_s))

    def _canvas(self, at_least_s: float = 0.0) -> Canvas:
        marks = ASCII if self._console.options.ascii_only else UNICODE
        return Canvas(min(self._console.width, MAX_WIDTH), max(self._scale_s, at_least_s), marks)


def summary(report: DemoReport, speed: float) -> list[str]:
    """The figures in words and columns; nothing here but what was measured, or computed from it."""
    synchronous, parallel, futures = (report.runs[way].timeline.end_s for way in Way)
    bound = report.bound
    llm = f"{bound.thinking_s:.2f}"
    thinking = f"{THINKING_S_PER_STEP / speed:.2g} s a step and {THINKING_S_PER_CALL / speed:.2g} s a call"
    return [
        f" {'':<38}{'wall time':>12}{'futures gain':>16}",
        f" {Way.SYNCHRONOUS.value:<38}{synchronous:>10.2f} s{synchronous / futures:>15.2f}x",
        f" {Way.PARALLEL.value:<38}{parallel:>10.2f} s{parallel / futures:>15.2f}x",
        f" {Way.FUTURES.value:<38}{futures:>10.2f} s",
        f" {'Best schedule for that agent':<38}{report.best_s:>10.2f} s",
        "",
        f" Bound on any gain over the first run: R = {bound.ratio:.2f}x",
        "   (T_LLM + T_tool) / max(T_LLM, T_critical_path)",
        f"   = ({llm} + {bound.tools_s:.2f}) / max({llm}, {bound.critical_path_s:.2f})",
        "",
        " Results and files of all three runs are the same.",
        f" Simulated: the agent, its thinking ({thinking}),",
        " and the delays and answers of the tools. Measured: every time above, with the",
        " gateway and its servers as real processes over stdio.",
    ]
