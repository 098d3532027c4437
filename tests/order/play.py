"""Plays programs through a gateway in front of two toy servers, the way a client without any knowledge of it would."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp_types import CallToolResult, TextContent

from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.transports.stdio import PRINCIPAL
from tests.harness import FREE, GatewayClient, running, toy
from tests.order.model import Labels, Result, State, inherited
from tests.order.program import Earlier, Program

SERVERS = ("one", "two")
LANES = 8
"""Programs that are played at once, each in a scope of its own."""

_FAILURE = re.compile(r"(?:fut_\S+|the call) \(\S+\) failed \((?P<reason>\w+)\): (?P<message>.*)", re.DOTALL)
_ENDS = {"poisoned": "poisoned", "unseen_failure": "stopped"}


@dataclass(slots=True)
class Played:
    """What a client saw of one program."""

    program: Program
    results: list[Result | None]
    state: State = field(default_factory=State)
    tokens: dict[int, str] = field(default_factory=dict[int, str])
    """The operations that were answered with a token."""
    told_before: dict[int, frozenset[int]] = field(default_factory=dict[int, frozenset[int]])
    """What the client had been told of when it sent each operation, beyond what was answered with its value."""
    arrived: list[int] = field(default_factory=list[int])
    """The operations in the order in which the gateway took them in; only where all are named."""


def servers(labels: Labels, *, labels_off: bool = False, **settings: Any) -> dict[str, Any]:
    """Two toys that label their state as asked; `labels_off`: every tool conflicts with nothing at all."""
    write, read = {"writes": ["db/{key}"]}, {"reads": ["db/{key}"]}
    tools: dict[str, Any] = {}
    if labels_off:
        tools = dict.fromkeys(("put", "append", "get"), FREE)
    elif labels == "declared":
        tools = {"put": write, "append": write, "get": read}
    elif labels == "mixed":
        tools = {"append": write, "get": read}
    own = {"tools": tools, "isolated": labels == "isolated", "concurrency": 64, **settings}
    return {name: toy(**{**own, "prefix": name}) for name in SERVERS}


@asynccontextmanager
async def gateway_for(
    labels: Labels, *, labels_off: bool = False, concurrency: int = 64, **settings: Any
) -> AsyncGenerator[GatewayClient]:
    """A gateway whose calls are answered with tokens as early as can be."""
    entries = servers(labels, labels_off=labels_off, concurrency=concurrency)
    asked: dict[str, Any] = {"inline_wait_s": 0, "await_cap_s": 20, **settings}
    async with running(entries, **asked) as gateway:
        yield gateway


async def play_all(
    gateway: GatewayClient,
    programs: Sequence[Program],
    *,
    named: bool = False,
    gated: bool = False,
    backwards: bool = False,
) -> list[Played]:
    """Play programs, several at once, and look at the state when all have settled.

    Args:
        gateway: in front of the two toys.
        programs: each with a seed of its own.
        named: every call bears a name, by which others refer to it.
        gated: nothing starts until the whole program has been sent.
        backwards: the calls of a step are sent last one first, so that references come before what they name.
    """
    waiting = iter(programs)
    played: list[Played] = []

    async def play_some() -> None:
        for program in waiting:
            player = _Player(gateway, program, is_named=named, is_gated=gated, is_backwards=backwards)
            await player.play()
            played.append(player.seen)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as lanes:
            for _ in range(LANES):
                lanes.start_soon(play_some)
    states = {server: await _state(gateway, server) for server in SERVERS}
    listed = [one.token.removeprefix("fut_") for one in gateway.app.gateway.futures(Caller(PRINCIPAL, PRINCIPAL))]
    for one in played:
        prefix = f"{one.program.name}_"
        one.state = {
            (server, key): value
            for server, values in states.items()
            for key, value in values.items()
            if key.startswith(prefix)
        }
        if named:
            one.arrived = [int(name.removeprefix(prefix)) for name in listed if name.startswith(prefix)]
    return sorted(played, key=lambda one: one.program.seed)


async def _state(gateway: GatewayClient, server: str) -> dict[str, str]:
    """All that a server holds; the blocks behind the first are the gateway's own words."""
    block = (await gateway.call(f"{server}_state", _wait_s=10)).content[0]
    assert isinstance(block, TextContent)
    return json.loads(block.text)


class _Player:
    """One client in one scope."""

    def __init__(
        self, gateway: GatewayClient, program: Program, *, is_named: bool, is_gated: bool, is_backwards: bool
    ) -> None:
        self._gateway = gateway
        self._program = program
        self._is_named = is_named
        self._is_gated = is_gated
        self._is_backwards = is_backwards
        self._told: set[int] = set()
        self._delivered: set[int] = set()
        self.seen = Played(program, [None] * len(program.operations))

    async def play(self) -> None:
        if self._is_gated:
            for server in SERVERS:
                await self._call(f"{server}_hold", key=self._program.name)
        for step in self._program.steps:
            async with anyio.create_task_group() as side_by_side:
                for index in reversed(step) if self._is_backwards else step:
                    side_by_side.start_soon(self._perform, index)
        if self._is_gated:
            for server in SERVERS:
                await self._call(f"{server}_release", key=self._program.name)
        tokens = list(self.seen.tokens.values())
        if tokens:
            # All at once first: looking at one alone would tell its failure while others still wait behind it.
            await self._call("await_future", futures=tokens)
        for index in self.seen.tokens:
            await self._await(index)

    async def _perform(self, index: int) -> None:
        operation = self._program.operations[index]
        if operation.awaits is not None:
            await self._await(operation.awaits.index)
        need = operation.need
        if need is not None and not self._is_named and need.index not in self.seen.tokens:
            # It was answered with its value, so the client writes that, and nothing at all after a failure.
            self.seen.results[index] = inherited(operation, self.seen.results)
            if self.seen.results[index] is not None:
                return
        self.seen.told_before[index] = frozenset(self._told | self._delivered)
        arguments: dict[str, Any] = {"key": self._written(operation.key), "delay_s": operation.delay_s}
        if operation.writes:
            arguments |= {"value": self._written(operation.value), "fails": operation.fails}
        if self._is_named:
            arguments["_as"] = f"{self._program.name}_{index}"
        answer = await self._call(f"{operation.server}_{operation.kind}", **arguments)
        future: dict[str, str] = (answer.meta or {}).get("asyncfc/future") or {}
        if future:
            self.seen.tokens[index] = future["token"]
        else:
            self.seen.results[index] = self._read(answer)

    def _written(self, argument: str | Earlier) -> str:
        """How the client writes an argument: the token as long as it does not know the value."""
        if isinstance(argument, str):
            return argument
        if self._is_named:
            return f"fut_{self._program.name}_{argument.index}"
        if argument.index in self.seen.tokens:
            return self.seen.tokens[argument.index]
        result = self.seen.results[argument.index]
        assert result is not None
        return result.text

    async def _await(self, index: int) -> None:
        if index in self.seen.tokens:
            answer = await self._call("await_future", futures=[self.seen.tokens[index]])
            self.seen.results[index] = self._read(answer)
            self._told.add(index)

    async def _call(self, tool: str, **arguments: Any) -> CallToolResult:
        answer = await self._gateway.call(tool, scope=self._program.name, **arguments)
        delivered: list[dict[str, str]] = (answer.meta or {}).get("asyncfc/delivered") or []
        tokens = {one["token"] for one in delivered}
        self._delivered |= {index for index, token in self.seen.tokens.items() if token in tokens}
        return answer

    def _read(self, answer: CallToolResult) -> Result:
        block = answer.content[0]
        assert isinstance(block, TextContent), answer
        if not answer.is_error:
            return Result("value", block.text)
        failure = _FAILURE.fullmatch(block.text)
        if failure is None:
            return Result("failed", block.text)
        end = _ENDS.get(failure["reason"])
        assert end == "poisoned" or end == "stopped", f"{self._program}\n{block.text}"
        cause = re.search(r"fut_\w+", failure["message"])
        assert cause is not None, block.text
        return Result(end, cause=self._index_of(cause[0]))

    def _index_of(self, token: str) -> int | None:
        if self._is_named:
            return int(token.rpartition("_")[2])
        return next((index for index, known in self.seen.tokens.items() if known == token), None)
