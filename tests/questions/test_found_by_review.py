"""Faults that reviewers found by trying, each kept from coming back: questions, and strangers at one door."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.core.future import FutureState
from tests.harness import FREE, LIMIT_S, Era, running, toy
from tests.questions.support import FORM, User, asking
from tests.transports.support import BOTH, LEGACY, Json, RawHttp, answer_in, serving, token_of

pytestmark = pytest.mark.anyio

ERAS: tuple[Era, ...] = ("legacy", "auto")
PROMPTING = Path(__file__).parent / "servers" / "prompting.py"
CAPABILITIES: Json = {"elicitation": {"form": {}}}
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL = {"io.modelcontextprotocol/logLevel": "debug"}
TOOLS = {"ask": FREE, "hold": FREE, "log_messages": FREE}


class Visitor:
    """A client over HTTP that says everything by hand; of the later era unless it opens a session."""

    def __init__(self, http: RawHttp) -> None:
        self.http = http

    async def open_session(self) -> None:
        info = {"name": "raw", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": CAPABILITIES, "clientInfo": info}
        answer = await self.http.post(self.http.message("initialize", params))
        self.http.session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": LEGACY}
        await self.http.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def send(self, tool: str, arguments: Json, *, meta: Mapping[str, Any] | None = None, **params: Any) -> Any:
        """Call a tool; the whole response."""
        if self.http.session:
            return await self.http.post(self.http.call_message(tool, arguments))
        message, headers = self.http.modern(tool, arguments)
        message["params"]["_meta"] |= {CAPABILITIES_KEY: CAPABILITIES, **(meta or {})}
        message["params"] |= params
        return await self.http.post(message, **headers)

    async def call(self, tool: str, **arguments: Any) -> Json:
        return answer_in(await self.send(tool, arguments))["result"]

    async def token(self, tool: str, **arguments: Any) -> str:
        return token_of({"result": await self.call(tool, _wait_s=0, **arguments)})

    async def steer(self, tool: str, key: str) -> None:
        await self.call(tool, key=key, _wait_s=LIMIT_S)

    async def first_message(self, tool: str, **arguments: Any) -> Json:
        """Call and be gone with the first message that comes."""
        http = self.http
        sent = json.dumps(http.call_message(tool, arguments)).encode()
        with anyio.fail_after(LIMIT_S):
            async with http.client.stream("POST", http.url, content=sent, headers=http.session) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: {"):
                        return json.loads(line.removeprefix("data: "))
        raise AssertionError("nothing came")

    async def asks(self, message: str) -> str:
        """Have a call ask that, whose token is out."""
        params = {**FORM, "message": message}
        token = await self.token("ask", method="elicitation/create", params=params, gate=message)
        await self.steer("started", message)
        await self.steer("release", message)
        return token


@asynccontextmanager
async def two_visitors(folder: Path) -> AsyncGenerator[tuple[Visitor, Visitor, App]]:
    document = {"mcpServers": {"toy": toy(tools=TOOLS), "asking": asking(prefix="asking")}}
    file = folder / "config.json"
    file.write_text(json.dumps(document))
    app = App(load_file(file, os.environ), None, serves_network=True)
    with anyio.fail_after(60):
        async with (
            serving(app, "http") as url,
            httpx2.AsyncClient(headers=BOTH, timeout=LIMIT_S) as one,
            httpx2.AsyncClient(headers=BOTH, timeout=LIMIT_S) as other,
        ):
            yield Visitor(RawHttp(one, url)), Visitor(RawHttp(other, url)), app


def named(name: str) -> Json:
    return {"name": {"action": "accept", "content": {"name": name}}}


async def test_answers_without_the_state_never_reach_a_strangers_call(tmp_path: Path) -> None:
    async with two_visitors(tmp_path) as (alice, eve, _):
        shown = await alice.call("asking_greet")
        await eve.send("asking_greet", {}, inputResponses=named("Eve"))
        answered = await alice.send(
            "asking_greet", {}, inputResponses=named("Alice"), requestState=shown["requestState"]
        )
        assert answer_in(answered)["result"]["content"][0]["text"] == "accept: Alice"


async def test_nobody_is_asked_when_strangers_may_be_meant(tmp_path: Path) -> None:
    async with two_visitors(tmp_path) as (alice, eve, _):
        eves = await eve.token("hold", key="eves")
        hers = await alice.asks("The password?")
        said = await alice.call("await_future", futures=[hers], timeout_s=LIMIT_S)
        seen = await eve.call("await_future", futures=[eves], timeout_s=0)
        assert "several clients" in json.dumps(said)
        assert "password" not in json.dumps(seen)
        await eve.steer("release", "eves")


async def test_what_a_server_asks_for_a_prompt_is_not_asked_of_whose_call_is_running(tmp_path: Path) -> None:
    user = User({"password": "alice's"})
    options: Any = user.options
    entry = {"command": sys.executable, "args": [str(PROMPTING)], "asyncfc": {"prefix": ""}}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"mcpServers": {"prompting": entry}}))
    app = App(load_file(file, os.environ), None, serves_network=True)
    with anyio.fail_after(60):
        async with (
            serving(app, "http") as url,
            Client(url, mode="legacy", **options) as alice,
            Client(url, mode="legacy") as eve,
        ):
            hers = await alice.call_tool("wait", {"_wait_s": 0})
            filled = await eve.get_prompt("fill")
            await alice.call_tool("await_future", {"futures": [token_of({"result": hers.model_dump(by_alias=True)})]})
    assert user.asked == []
    assert "several clients" in str(filled.messages[0].content)


async def test_a_strangers_failure_stops_no_write_and_is_not_told(tmp_path: Path) -> None:
    async with two_visitors(tmp_path) as (alice, bob, app):
        await alice.token("hold_and_fail", key="hers", message="a secret")
        await alice.steer("started", "hers")
        his = await bob.token("append", key="x", value="1")
        assert app.gateway.table.by_identity(his).record.state is FutureState.PENDING
        await alice.steer("release", "hers")
        said = await bob.call("await_future", futures=[his], timeout_s=LIMIT_S)
        assert said["content"][0]["text"] == "1"


async def test_a_log_message_never_reaches_a_strangers_waiting_request(tmp_path: Path) -> None:
    heard: list[str] = []

    async def wait() -> None:
        heard.append((await eve.send("hold", {"key": "eves", "_wait_s": LIMIT_S}, meta=LOG_LEVEL)).text)

    async with two_visitors(tmp_path) as (alice, eve, _):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await alice.steer("started", "eves")
            await alice.call("log_messages", level="info", data="a secret", _wait_s=LIMIT_S)
            await alice.steer("release", "eves")
        assert "held eves" in heard[0]
        assert "a secret" not in heard[0]


async def test_a_log_message_never_reaches_a_strangers_session(tmp_path: Path) -> None:
    async with two_visitors(tmp_path) as (alice, eve, _):
        await alice.open_session()
        await eve.open_session()
        await eve.token("hold", key="eves")
        await alice.token("hold", key="hers")
        with anyio.fail_after(LIMIT_S):
            async with eve.http.client.stream("GET", eve.http.url, headers=eve.http.session) as stream:
                lines = stream.aiter_lines()
                await alice.token("log_messages", level="info", data="a secret")
                await alice.steer("release", "hers")
                await eve.call("change_tools", _wait_s=LIMIT_S)
                said = [line async for line in _until(lines, "list_changed")]
        assert "a secret" not in "".join(said)
        await eve.steer("release", "eves")


async def _until(lines: Any, word: str) -> AsyncGenerator[str]:
    async for line in lines:
        yield line
        if word in line:
            return


@pytest.mark.parametrize("tool", ["echo", "await_future"])
async def test_whoever_hangs_on_a_call_is_shown_its_question_also_among_strangers(tmp_path: Path, tool: str) -> None:
    async with two_visitors(tmp_path) as (alice, _, __):
        asks = await alice.asks("Which colour?")
        if tool == "await_future":
            shown = await alice.call(tool, futures=[await alice.token("echo", text=asks)], timeout_s=LIMIT_S)
        else:
            shown = await alice.call(tool, text=asks, _wait_s=LIMIT_S)
        assert shown["resultType"] == "input_required"


async def test_a_question_is_put_again_when_the_request_that_carried_it_was_dropped(tmp_path: Path) -> None:
    async with two_visitors(tmp_path) as (alice, _, __):
        await alice.open_session()
        asks = await alice.asks("Which colour?")
        for _ in range(2):
            put = await alice.first_message("await_future", futures=[asks], timeout_s=LIMIT_S)
            assert put["method"] == "elicitation/create"


@pytest.mark.parametrize("era", ERAS)
async def test_whoever_only_lacks_room_behind_a_question_is_shown_it(era: Era) -> None:
    user = User()
    tools = {"ask": FREE, "echo": FREE}
    async with running({"toy": toy(tools=tools, concurrency=1)}, era=era, client_options=user.options) as gateway:
        await gateway.token("ask", method="elicitation/create", params=FORM, _wait_s=0)
        assert await gateway.text("echo", text="at last", _wait_s=LIMIT_S) == "at last"
        assert user.asked == ["Which colour?"]


async def test_who_passes_a_token_on_is_told_it_as_the_reason_to_wait(tmp_path: Path) -> None:
    async with two_visitors(tmp_path) as (alice, _, __):
        token = await alice.token("hold_and_fail", key="hers", message="no")
        said = await alice.send("append", {"key": "x", "value": token, "_wait_s": 0})
        assert f"waits for the value of {token} and behind {token} (its write" in said.text
        await alice.steer("release", "hers")
