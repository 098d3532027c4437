"""A scripted model that plays a program step by step, awaiting what it must know and has not been told."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
from mcp_types import CallToolResult

from benchmarks.agents import AgentStep, Decode, await_all_s, await_s
from benchmarks.replay.reading import Heard, Said, heard_from_await, heard_from_call
from benchmarks.schedule import Taken
from benchmarks.workloads.program import Call, Program

INSTANT_S = 0.1
"""A token that came within this was not waited for."""
MOST_AWAITS = 1000


class Wire(Protocol):
    """The way to the tools."""

    async def call(self, server: str, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """Call a server's tool."""
        ...

    async def await_futures(self, tokens: Sequence[str]) -> CallToolResult:
        """Await futures, where there are any; none means all that is unsettled."""
        ...


class NeverTold(RuntimeError):
    """The model awaited again and again and was not told."""

    def __init__(self, program: str, calls: Sequence[int]) -> None:
        super().__init__(f"{program}: calls {', '.join(map(str, calls))} were awaited {MOST_AWAITS} times for nothing")


@dataclass(frozen=True, slots=True)
class Played:
    """How a program went."""

    took_s: float
    said: Mapping[int, Said]
    """What the model has read of each call's result."""
    taken: tuple[Taken, ...]
    awaits: int
    lines: tuple[str, ...]
    """The time-line, in words."""


class Conversation:
    """One run of one program."""

    def __init__(self, program: Program, steps: Sequence[AgentStep], decode: Decode, wire: Wire) -> None:
        self._program = program
        self._steps = steps
        self._decode: Decode = decode
        self._wire = wire
        self._said: dict[int, Said] = {}
        self._tokens: dict[int, str] = {}
        self._taken: list[Taken] = []
        self._lines: list[str] = []
        self._awaits = 0
        self._began_at = 0.0

    async def play(self) -> Played:
        """From the user's first message to the last answer."""
        self._began_at = time.monotonic()
        for step in self._steps:
            await self._be_told(step.sees)
            await anyio.sleep(step.decode_s)
            if step.calls:
                await self._send(step)
            else:
                self._taken.append(Taken(step.decode_s, (), frozenset()))
                self._note("answer")
        took_s = time.monotonic() - self._began_at
        return Played(took_s, dict(self._said), tuple(self._taken), self._awaits, tuple(self._lines))

    async def _be_told(self, calls: frozenset[int]) -> None:
        awaits = 0
        while missing := sorted(call for call in calls if call not in self._said):
            awaits += 1
            if awaits > MOST_AWAITS:
                raise NeverTold(self._program.name, missing)
            is_for_all = awaits == 1 and self._is_all_that_is_open(missing)
            tokens = [] if is_for_all else [self._tokens[call] for call in missing]
            written_s = await_all_s(self._decode) if is_for_all else await_s(self._decode, len(missing))
            await anyio.sleep(written_s)
            self._note("await all" if is_for_all else f"await {missing}")
            asked_at = time.monotonic()
            self._read(heard_from_await(await self._wire.await_futures(tokens), tokens))
            waited_s = time.monotonic() - asked_at
            settled = frozenset(call for call in missing if call in self._said)
            is_over = len(settled) == len(missing)
            self._taken.append(Taken(written_s, (), settled, 0.0 if is_over else waited_s))
            self._note(f"  told {sorted(settled)}")
        self._awaits += awaits

    def _is_all_that_is_open(self, missing: Sequence[int]) -> bool:
        """Whether to name none: nothing else is open, and that is shorter to write.

        What has ended by then, and is too long to be attached, has to be named in the next await.
        """
        is_shorter = await_all_s(self._decode) < await_s(self._decode, len(missing))
        return is_shorter and not self._tokens.keys() - self._said.keys() - set(missing)

    async def _send(self, step: AgentStep) -> None:
        for index in step.named:
            self._tokens[index] = f"fut_{_name(index)}"
        arguments = [self._written(call, step) for call in step.calls]
        self._note(
            "send "
            + ", ".join(f"{call.index} {call.tool} {given}" for call, given in zip(step.calls, arguments, strict=True))
        )
        heard: dict[int, Heard] = {}
        waited_s: dict[int, float] = {}

        async def send(call: Call, given: dict[str, Any]) -> None:
            sent_at = time.monotonic()
            heard[call.index] = heard_from_call(await self._wire.call(call.server, call.tool, given))
            waited_s[call.index] = time.monotonic() - sent_at

        await side_by_side(
            [lambda one=one, given=given: send(one, given) for one, given in zip(step.calls, arguments, strict=True)]
        )
        for call in step.calls:
            answer = heard[call.index]
            if answer.token is not None:
                self._tokens[call.index] = answer.token
        for call in step.calls:
            self._read(heard[call.index], call.index)
        tokens = [index for index, answer in heard.items() if answer.token is not None]
        at_least_s = max((waited_s[index] for index in tokens if waited_s[index] > INSTANT_S), default=0.0)
        inline = frozenset(heard) - frozenset(tokens)
        self._taken.append(Taken(step.decode_s, tuple(call.index for call in step.calls), inline, at_least_s))
        self._note(f"  values {sorted(inline)}, tokens {sorted(tokens)}, told by now {sorted(self._said)}")

    def _read(self, heard: Heard, call: int | None = None) -> None:
        if heard.own is not None and call is not None:
            self._said[call] = heard.own
        by_token = {token: index for index, token in self._tokens.items()}
        for token, said in heard.results.items():
            self._said.setdefault(by_token[token], said)

    def _written(self, call: Call, step: AgentStep) -> dict[str, Any]:
        """The arguments as the model writes them: what it was told in full, else the token."""
        arguments = copy.deepcopy(dict(call.arguments))
        for use in call.uses:
            if use.is_verbatim and use.producer not in self._said and use.producer in self._tokens:
                _put(arguments, use.into, self._tokens[use.producer] + use.path)
        if call.index in step.named:
            arguments["_as"] = _name(call.index)
        if call.index in step.wait_s:
            arguments["_wait_s"] = step.wait_s[call.index]
        return arguments

    def _note(self, what: str) -> None:
        self._lines.append(f"{time.monotonic() - self._began_at:9.3f}  {what}")


async def side_by_side(actions: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Do all at once, started in their order."""
    async with anyio.create_task_group() as tasks:
        for action in actions:
            tasks.start_soon(action)


def _name(call: int) -> str:
    return f"c{call}"


def _put(arguments: Any, into: Sequence[str | int], value: str) -> None:
    *outer, last = into
    for key in outer:
        arguments = arguments[key]
    arguments[last] = value
