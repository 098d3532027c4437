"""The scripted agent and its three ways of making the same calls."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from mcp_types import CallToolResult, TextContent

from asyncfc_mcp.demo.program import TRIP, Call, Ref, filled_in, parallel_steps
from asyncfc_mcp.demo.record import CallTimes, Span, Timeline, Way
from asyncfc_mcp.demo.simulation import Simulation, read_journal
from asyncfc_mcp.errors import GatewayError

CallTool = Callable[[str, dict[str, Any]], Awaitable[CallToolResult]]
"""How the agent reaches the gateway: a tool's name and its arguments."""

WAIT_S = 20
"""What an agent that wants the value itself asks the gateway to wait: longer than any tool here takes."""


class ToolFailed(GatewayError):
    """A call of the demonstration gave no value."""

    def __init__(self, tool: str, answer: str) -> None:
        super().__init__(f"the demonstration stopped: {tool} gave no value but answered: {answer}")
        self.tool = tool
        self.answer = answer


class Agent:
    """Thinks, calls and remembers; what it has done so far can be drawn at any time."""

    def __init__(self, call_tool: CallTool, simulation: Simulation, way: Way) -> None:
        self.results: dict[str, str] = {}
        self._call_tool = call_tool
        self._simulation = simulation
        self._way = way
        self._started_at = time.monotonic()
        self._ended_at: float | None = None
        self._thinking: list[tuple[float, float]] = []
        self._sent: list[tuple[str, float]] = []

    async def run(self) -> None:
        """Makes every call of the program in the agent's way, and ends with its answer."""
        match self._way:
            case Way.SYNCHRONOUS:
                await self._run_in_steps([[call] for call in TRIP])
            case Way.PARALLEL:
                await self._run_in_steps(parallel_steps(TRIP))
            case Way.FUTURES:
                await self._run_with_futures()
        await self._think(calls=1)
        self._ended_at = time.monotonic()

    async def read_futures(self) -> None:
        """Fetches each result by its token: for the comparison of the runs, and after the clock was stopped."""
        for call in TRIP:
            arguments: dict[str, Any] = {"futures": [f"fut_{call.name}"], "timeout_s": WAIT_S}
            self.results[call.name] = value_text(call.tool, await self._call_tool("await_future", arguments))

    def timeline(self) -> Timeline:
        """What has happened so far."""
        now = self._ended_at or time.monotonic()
        ran = read_journal(self._simulation.journal)
        calls: list[CallTimes] = []
        for tool, sent_at in tuple(self._sent):
            tool_run = ran.get(tool)
            span = self._span(tool_run.started_at, tool_run.finished_at or now) if tool_run else None
            calls.append(CallTimes(tool, sent_at - self._started_at, span))
        thinking = tuple(self._span(start, min(end, now)) for start, end in tuple(self._thinking))
        return Timeline(self._way, thinking, tuple(calls), now - self._started_at)

    async def _run_in_steps(self, steps: Sequence[Sequence[Call]]) -> None:
        for step in steps:
            await self._think(calls=len(step))
            async with anyio.create_task_group() as calls:
                for call in step:
                    calls.start_soon(self._call_and_wait, call)

    async def _run_with_futures(self) -> None:
        """Every call is answered by its token at once, so the agent writes the next one while the tools run."""
        for call in TRIP:
            await self._think(calls=1)
            await self._send(call, {"_as": call.name, "_wait_s": 0}, self._token)
        await self._think(calls=1)
        arguments: dict[str, Any] = {"futures": [f"fut_{call.name}" for call in TRIP], "timeout_s": WAIT_S}
        await self._call_tool("await_future", arguments)

    async def _call_and_wait(self, call: Call) -> None:
        result = await self._send(call, {"_wait_s": WAIT_S}, self._value)
        self.results[call.name] = value_text(call.tool, result)

    async def _send(self, call: Call, extra: dict[str, Any], value: Callable[[Ref], Any]) -> CallToolResult:
        arguments = {name: filled_in(argument, value) for name, argument in call.arguments.items()}
        self._sent.append((call.tool, time.monotonic()))
        return await self._call_tool(call.gateway_tool, arguments | extra)

    async def _think(self, calls: int) -> None:
        start, length_s = time.monotonic(), self._simulation.thinking_s(calls)
        self._thinking.append((start, start + length_s))
        await anyio.sleep(length_s)
        self._thinking[-1] = (start, time.monotonic())

    def _token(self, ref: Ref) -> str:
        return f"fut_{ref.call}{ref.pointer}"

    def _value(self, ref: Ref) -> Any:
        text = self.results[ref.call]
        if not ref.pointer:
            return text
        value: Any = json.loads(text)
        for segment in ref.pointer.split("/")[1:]:
            value = value[int(segment) if segment.isdecimal() else segment]
        return value

    def _span(self, start_at: float, end_at: float) -> Span:
        return Span(start_at - self._started_at, end_at - self._started_at)


def value_text(tool: str, result: CallToolResult) -> str:
    """The text of a result that is a value; an error or a token is none."""
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    if result.is_error or "asyncfc/future" in (result.meta or {}):
        raise ToolFailed(tool, text)
    return text
