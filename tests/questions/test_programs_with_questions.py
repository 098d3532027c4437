"""Random programs whose calls ask their user in the middle: they give what they give one after another."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult, ErrorData, TextContent

from asyncfc_mcp.core.invariants import check
from tests.fuzz.budget import LIVES_S, examples
from tests.harness import FREE, Era, GatewayClient, running, text_of, toy
from tests.questions.support import User

pytestmark = pytest.mark.anyio

NUMBERS = itertools.count()


class SlowUser(User):
    """Answers each question with itself, after the time that it names."""

    async def elicit(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        self.asked.append(params.message)
        await anyio.sleep(float(params.message.rpartition(" ")[2]))
        return ElicitResult(action="accept", content={"colour": params.message})


@dataclass(frozen=True, slots=True)
class Step:
    """What a client does next."""

    kind: Literal["ask", "append", "await"]
    wait_s: float
    """Of a call its `_wait_s`, of an await its `timeout_s`."""
    key: str
    of: tuple[int, ...]
    """Earlier calls, counted backwards: whose value is appended, or what is awaited."""
    mode: Literal["all", "any"]
    think_s: float
    """What the user needs for an answer."""


STEPS = st.builds(
    Step,
    kind=st.sampled_from(["ask", "ask", "append", "append", "await"]),
    wait_s=st.sampled_from([0, 0, 0.02, 0.3, 5]),
    key=st.sampled_from(["x", "y"]),
    of=st.lists(st.integers(0, 5), max_size=2).map(tuple),
    mode=st.sampled_from(["all", "any"]),
    think_s=st.sampled_from([0, 0, 0.01, 0.05]),
)


@dataclass(frozen=True, slots=True)
class Played:
    """A gateway and the user in front of it."""

    gateway: GatewayClient
    user: SlowUser


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


DECLARED = {"append": {"writes": ["kv/{key}"]}, "ask": FREE}
GATEWAYS: dict[str, tuple[Era, dict[str, Any]]] = {
    "modern": ("auto", {"concurrency": 8}),
    "legacy": ("legacy", {"concurrency": 2}),
    "declared-modern": ("auto", {"concurrency": 2, "tools": DECLARED}),
    "declared-legacy": ("legacy", {"concurrency": 1, "tools": DECLARED}),
}


@pytest.fixture(scope="module", params=GATEWAYS)
async def played(request: pytest.FixtureRequest) -> AsyncGenerator[Played]:
    era, entry = GATEWAYS[request.param]
    user = SlowUser()
    servers = {"toy": toy(**entry)}
    asked: dict[str, Any] = {"client_options": user.options, "inline_wait_s": 0.05, "await_cap_s": 15}
    async with running(servers, era=era, lives_s=LIVES_S, **asked) as gateway:
        yield Played(gateway, user)


class Program:
    """One program in a scope of its own, beside the model that says what it must give."""

    def __init__(self, played: Played) -> None:
        self.name = f"p{next(NUMBERS)}"
        self.gateway = played.gateway
        self.user = played.user
        self.expected: list[str] = []
        self.state: dict[str, str] = {}
        self.questions: list[str] = []

    def token(self, index: int) -> str:
        return f"fut_{self.name}_{index}"

    def earlier(self, step: Step) -> list[int]:
        count = len(self.expected)
        return sorted({count - 1 - back % count for back in step.of}) if count else []

    async def do(self, step: Step) -> None:
        match step.kind:
            case "ask":
                await self.ask(step)
            case "append":
                await self.append(step)
            case _:
                futures = [self.token(index) for index in self.earlier(step)]
                if futures:
                    await self.call("await_future", futures=futures, mode=step.mode, timeout_s=step.wait_s)

    async def ask(self, step: Step) -> None:
        message = f"{self.name} number {len(self.expected)}? {step.think_s}"
        schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
        form = {"mode": "form", "message": message, "requestedSchema": schema}
        answer = {"result": {"action": "accept", "content": {"colour": message}}}
        self.questions.append(message)
        await self.submit("ask", json.dumps(answer, sort_keys=True), step, method="elicitation/create", params=form)

    async def append(self, step: Step) -> None:
        key = f"{self.name}_{step.key}"
        earlier = self.earlier(step)
        literal = f"v{len(self.expected)}"
        value, text = (self.token(earlier[0]), self.expected[earlier[0]]) if earlier else (literal, literal)
        self.state[key] = self.state.get(key, "") + text
        await self.submit("append", self.state[key], step, key=key, value=value)

    async def submit(self, tool: str, expected: str, step: Step, **arguments: Any) -> None:
        name = self.token(len(self.expected)).removeprefix("fut_")
        self.expected.append(expected)
        await self.call(tool, _as=name, _wait_s=step.wait_s, **arguments)

    async def call(self, tool: str, **arguments: Any) -> str:
        answer = await self.gateway.call(tool, scope=self.name, **arguments)
        check(self.gateway.app.gateway.runner.scheduler)
        assert not answer.is_error, text_of(answer)
        # What stands behind the first block is the gateway's own words.
        block = answer.content[0]
        assert isinstance(block, TextContent)
        return block.text


@examples(6)
@given(steps=st.lists(STEPS, min_size=2, max_size=9), seed=st.integers(0, 2**32))
async def test_a_program_with_questions_gives_what_it_gives_one_after_another(
    played: Played, steps: list[Step], seed: int
) -> None:
    program = Program(played)
    for step in steps:
        await program.do(step)
    indices = list(range(len(program.expected)))
    random.Random(seed).shuffle(indices)
    for index in indices:
        assert await program.call("await_future", futures=[program.token(index)]) == program.expected[index]
    state = json.loads(await program.call("state", _wait_s=10))
    assert {key: text for key, text in state.items() if key.startswith(f"{program.name}_")} == program.state
    asked = [question for question in played.user.asked if question.startswith(f"{program.name} ")]
    assert sorted(asked) == sorted(program.questions)
    inner = played.gateway.app.gateway
    assert [question for future in inner.table for question in inner.questions.open(future)] == []
    assert all(scope.tree.is_empty and scope.unsettled == 0 for scope in inner.runner.scheduler.scopes.values())
