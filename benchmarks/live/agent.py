"""The agent loop: asks the model, does what it calls, until it answers; turn by turn, with an account of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import anyio
from mcp_types import CallToolResult, ImageContent, TextContent

from benchmarks.live.endpoint import Completion, Endpoint, EndpointError, ToolCall
from benchmarks.live.ledger import Ledger, shown_text
from benchmarks.live.tasks import Task
from benchmarks.live.tools import Toolbox

Json = dict[str, Any]
SYSTEM = (
    "You are a careful assistant with tools. Use them for what you do not know, do what the user asks and nothing "
    "else, and never make anything up. Calls that do not need each other's results may stand in one message."
)
ONE_BY_ONE = " Call one tool at a time."

Ending = Literal["answered", "rounds", "time", "endpoint"]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a conversation is given up."""

    rounds_a_turn: int = 40
    seconds: float = 600.0


@dataclass(slots=True)
class Conversation:
    """What happened."""

    ledger: Ledger
    answers: list[str] = field(default_factory=list[str])
    ended: Ending = "time"
    fault: str = ""
    """What the endpoint said, when it ended the conversation."""
    rounds: int = 0
    calls: int = 0
    broken_calls: int = 0
    """Of unknown tools, or with arguments that are no JSON object; they are sent nowhere."""
    prompt_tokens: int | None = 0
    """None: the endpoint does not say."""
    completion_tokens: int | None = 0
    wall_s: float = 0.0
    first_answer_s: float | None = None
    """Until the user has the answer of the first turn."""
    paused_s: float = 0.0
    """Part of the wall time: between tries of an overloaded endpoint."""
    settling_s: float = 0.0
    """No part of the wall time: from the last answer until nothing runs behind the gateway any more."""
    images: set[str] = field(default_factory=set[str])


async def converse(
    endpoint: Endpoint, toolbox: Toolbox, task: Task, limits: Limits, *, one_by_one: bool, seed: int
) -> Conversation:
    """Play all turns of a task; what goes wrong stands in the account."""
    conversation = Conversation(Ledger(task.facts))
    agent = _Agent(endpoint, toolbox, conversation, one_by_one=one_by_one, seed=seed)
    started, paused_before_s = time.monotonic(), endpoint.paused_s
    try:
        with anyio.move_on_after(limits.seconds):
            conversation.ended = await agent.play(task.prompts, limits.rounds_a_turn, started)
    except EndpointError as error:
        conversation.ended, conversation.fault = "endpoint", str(error)
    conversation.wall_s = time.monotonic() - started
    conversation.paused_s = endpoint.paused_s - paused_before_s
    answered = time.monotonic()
    await toolbox.settle()
    conversation.settling_s = time.monotonic() - answered
    return conversation


class _Agent:
    def __init__(
        self, endpoint: Endpoint, toolbox: Toolbox, account: Conversation, *, one_by_one: bool, seed: int
    ) -> None:
        self._endpoint = endpoint
        self._toolbox = toolbox
        self._account = account
        self._ledger = account.ledger
        self._one_by_one = one_by_one
        self._options: Json = {"seed": seed, **({"parallel_tool_calls": False} if one_by_one else {})}
        system = SYSTEM + (ONE_BY_ONE if one_by_one else "")
        told = "\n\n".join(part for part in (system, toolbox.instructions) if part)
        self._messages: list[Json] = [{"role": "system", "content": told}]

    async def play(self, prompts: Sequence[str], most_rounds: int, started: float) -> Ending:
        for prompt in prompts:
            self._ledger.show(prompt)
            self._messages.append({"role": "user", "content": prompt})
            answer = await self._turn(most_rounds)
            if answer is None:
                return "rounds"
            self._account.answers.append(answer)
            if self._account.first_answer_s is None:
                self._account.first_answer_s = time.monotonic() - started
        return "answered"

    async def _turn(self, most_rounds: int) -> str | None:
        """What the model says to the user; None when it does not come to an end."""
        for _ in range(most_rounds):
            completion = await self._endpoint.complete(self._messages, self._toolbox.definitions, **self._options)
            self._count(completion)
            self._ledger.wrote(completion.text)
            if not completion.calls:
                self._messages.append({"role": "assistant", "content": completion.text})
                return completion.text
            await self._do(completion)
        return None

    def _count(self, completion: Completion) -> None:
        account = self._account
        account.rounds += 1
        account.calls += len(completion.calls)
        account.prompt_tokens = _sum(account.prompt_tokens, completion.prompt_tokens)
        account.completion_tokens = _sum(account.completion_tokens, completion.completion_tokens)

    async def _do(self, completion: Completion) -> None:
        """All calls of a message; what they give goes to the model in the order in which it wrote them."""
        for call in completion.calls:
            self._ledger.called(call.name, call.arguments)
        asked = [_arguments(call.arguments) for call in completion.calls]
        self._messages.append(_as_message(completion, asked))
        results: list[CallToolResult | None] = [None] * len(asked)

        async def run(number: int) -> None:
            results[number] = await self._result(completion.calls[number], asked[number])

        if self._one_by_one:
            for number in range(len(asked)):
                await run(number)
        else:
            async with anyio.create_task_group() as side_by_side:
                for number in range(len(asked)):
                    side_by_side.start_soon(run, number)
        for call, arguments, result in zip(completion.calls, asked, results, strict=True):
            if result is not None:
                self._read(call, arguments or {}, result)

    async def _result(self, call: ToolCall, arguments: Json | None) -> CallToolResult:
        if arguments is None:
            self._account.broken_calls += 1
            return _refusal(f"The arguments of {call.name} are no JSON object. Send the call again.")
        if call.name not in self._toolbox.clients:
            self._account.broken_calls += 1
            return _refusal(f"There is no tool {call.name}; there are: {', '.join(self._toolbox.clients)}.")
        return await self._toolbox.call(call.name, arguments)

    def _read(self, call: ToolCall, arguments: Json, result: CallToolResult) -> None:
        self._ledger.answered(call.name, arguments, result)
        self._account.images |= {block.data for block in result.content if isinstance(block, ImageContent)}
        self._messages.append({"role": "tool", "tool_call_id": call.id, "content": shown_text(result)})


def _arguments(written: str) -> Json | None:
    """None: it is no JSON object."""
    try:
        read = json.loads(written)
    except ValueError:
        return None
    return cast("Json", read) if isinstance(read, dict) else None


def _as_message(completion: Completion, asked: Sequence[Json | None]) -> Json:
    """The model's message for the endpoint; some refuse a history with arguments that are no JSON."""
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": "{}" if arguments is None else call.arguments},
        }
        for call, arguments in zip(completion.calls, asked, strict=True)
    ]
    return {"role": "assistant", "content": completion.text or None, "tool_calls": calls}


def _refusal(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _sum(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more
