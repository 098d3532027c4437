"""Claude Code as a real agent loop, whose model is a script: what the model is shown, and what the gateway is asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass

import pytest

from tests.clients.model_stub import ModelStub, Turn, model_stub, text, tool_results, tool_use
from tests.clients.programs import NPM, WITHOUT_NPM, npm_program
from tests.clients.support import LIMIT_S, Door, Json, Place, make_place

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not NPM, reason=WITHOUT_NPM),
    pytest.mark.parametrize("agent", ["stdio", "http"], indirect=True),
]

WANTED = ("hold", "echo", "release", "add")
TURNS: list[Turn] = [
    lambda _: [tool_use("ToolSearch", query=f"select:{','.join(map('mcp__gateway__{}'.format, WANTED))}")],
    lambda _: [gateway_tool("hold", key="a")],
    lambda said: [gateway_tool("echo", text=token_in(said, HELD))],
    lambda _: [gateway_tool("add", a=1, b=2)],
    lambda said: [tool_use("ReadMcpResourceTool", server="gateway", uri=f"future://{token_in(said, HELD)}")],
    lambda _: [gateway_tool("release", key="a")],
    lambda said: [gateway_tool("await_future", futures=[token_in(said, PASSED_ON)])],
    lambda _: [gateway_tool("hold", key="b", _wait_s=0)],
    lambda said: [gateway_tool("cancel_future", futures=[token_in(said, UNWANTED)])],
    lambda said: [text(f"The value is: {tool_results(said)[AWAITED]}")],
]
_, HELD, PASSED_ON, ADDED, READ, _, AWAITED, UNWANTED, CANCELLED = range(9)
"""Which tool result is which."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A finished run of the agent."""

    stub: ModelStub
    answer: str
    requests: list[Json]

    @property
    def results(self) -> list[str]:
        """The tool results, as the model was shown them at last."""
        return tool_results(self.stub.shown[-1]["messages"])


@pytest.fixture(scope="module")
def agent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Agent:
    door: Door = request.param
    place = make_place(tmp_path_factory.mktemp(f"agent-{door}"))
    with place.reached(door) as where, model_stub(*TURNS) as stub:
        answer = run(place, door, where, stub)
    if stub.failure is not None:
        raise stub.failure
    return Agent(stub, answer, place.said_by_client())


def test_the_model_has_the_tools_for_futures_from_the_start_and_others_when_it_asks(agent: Agent) -> None:
    at_first, later = (names_offered(request) for request in agent.stub.shown[:2])
    own = {f"mcp__gateway__{name}" for name in ("await_future", "get_future", "cancel_future", "list_futures")}
    assert own <= at_first
    assert "mcp__gateway__hold" not in at_first
    assert {"mcp__gateway__hold", "mcp__gateway__echo"} <= later


def test_the_model_is_shown_the_instructions_of_the_gateway(agent: Agent) -> None:
    assert "await_future" in json.dumps([agent.stub.shown[0]["system"], agent.stub.shown[0]["messages"]])


def test_a_slow_call_shows_the_model_a_token(agent: Agent) -> None:
    assert re.match(r"fut_hold_\w+ stands for the result of hold\. It is still running\.", agent.results[HELD])


def test_a_token_passed_on_shows_the_model_what_it_waits_for(agent: Agent) -> None:
    waits = f"It waits for the value of {token_in_text(agent.results[HELD])}."
    assert waits in agent.results[PASSED_ON]


def test_a_fast_call_shows_the_model_its_value(agent: Agent) -> None:
    assert agent.results[ADDED].startswith("3")


def test_the_model_can_read_a_future_as_a_resource(agent: Agent) -> None:
    assert token_in_text(agent.results[HELD]) in agent.results[READ]
    assert "running" in agent.results[READ]


def test_awaiting_shows_the_model_the_value_and_it_is_what_the_user_gets(agent: Agent) -> None:
    assert agent.results[AWAITED].startswith("held a")
    assert agent.answer.startswith("The value is: held a")


def test_the_model_can_cancel(agent: Agent) -> None:
    assert re.search(r"fut_hold_\w+ \(toy: hold\) cancell(ing|ed)", agent.results[CANCELLED])


def test_it_speaks_the_stateless_revision_and_listens_to_changed_lists_only(agent: Agent) -> None:
    calls = [one["params"]["_meta"] for one in agent.requests if one["method"] == "tools/call"]
    assert {meta["io.modelcontextprotocol/protocolVersion"] for meta in calls} == {"2026-07-28"}
    listened = [one["params"]["notifications"] for one in agent.requests if one["method"] == "subscriptions/listen"]
    assert any(wanted.get("toolsListChanged") for wanted in listened)
    assert not any("resourceSubscriptions" in wanted for wanted in listened)


def test_it_names_itself_and_declares_no_tasks(agent: Agent) -> None:
    metas = [one["params"]["_meta"] for one in agent.requests if one["method"] == "tools/call"]
    assert {meta["io.modelcontextprotocol/clientInfo"]["name"] for meta in metas} == {"claude-code"}
    assert not any("extensions" in meta["io.modelcontextprotocol/clientCapabilities"] for meta in metas)


def run(place: Place, door: Door, where: list[str], stub: ModelStub) -> str:
    """Let it answer one question in a home of its own; the answer."""
    state = {"ASYNCFC_STATE_FOLDER": str(place.folder / "state")}
    entry: Json = {"command": where[0], "args": where[1:], "env": state}
    if door == "http":
        entry = {"type": "http", "url": where[0]}
    servers = place.folder / "servers.json"
    servers.write_text(json.dumps({"mcpServers": {"gateway": entry}}))
    # nothing of the user's own may reach it
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place.folder),
        "CLAUDE_CONFIG_DIR": str(place.folder / "claude"),
        "ANTHROPIC_BASE_URL": stub.url,
        "ANTHROPIC_API_KEY": "none-is-needed",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    allowed = ["--allowedTools", "mcp__gateway", "ToolSearch", "ReadMcpResourceTool"]
    command = [npm_program("claude"), "--print", "What does a hold?", "--output-format", "json", *allowed]
    command += ["--strict-mcp-config", "--mcp-config", str(servers)]
    finished = subprocess.run(
        command,
        env=environment,
        cwd=place.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    return json.loads(finished.stdout)["result"]


def gateway_tool(name: str, **arguments: object) -> Json:
    return tool_use(f"mcp__gateway__{name}", **arguments)


def names_offered(request: Json) -> set[str]:
    return {tool["name"] for tool in request["tools"]}


def token_in(messages: list[Json], number: int) -> str:
    return token_in_text(tool_results(messages)[number])


def token_in_text(said: str) -> str:
    found = re.search(r"fut_\w+", said)
    assert found is not None, said
    return found[0]
