"""`mcpdo`, the Inspector's other command line: a daemon holds the connection, each command uses it and ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import NPM, WITHOUT_NPM, npm_program
from tests.clients.support import LIMIT_S, Door, Json, Place, make_place

WAYS: list[tuple[Door, str]] = [("stdio", "legacy"), ("http", "auto")]

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NPM, reason=WITHOUT_NPM)]


@dataclass(frozen=True, slots=True)
class Mcpdo:
    """A daemon of its own, and commands for it."""

    env: dict[str, str]
    connection: str = ""

    def command(self, *words: str) -> list[str]:
        return [npm_program("mcpdo"), "--format", "json", *([self.connection] if self.connection else []), *words]

    @contextmanager
    def listening(self, *words: str) -> Generator[Iterator[str]]:
        """A command that goes on until this is left; the types of what it prints, as it comes."""
        command = self.command(*words)
        with subprocess.Popen(
            command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            too_long = threading.Timer(LIMIT_S, process.kill)
            too_long.start()
            try:
                yield (found[1] for line in process.stdout if (found := re.search(r'"type": "(.+)"', line)))
            finally:
                too_long.cancel()
                process.terminate()

    def ask(self, *words: str) -> Json:
        """One command, and the JSON that it prints."""
        finished = subprocess.run(
            self.command(*words),
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        # it ends with a code of its own when a tool says that it failed
        assert finished.stdout, finished.stderr[-3000:]
        return json.loads(finished.stdout)

    def call(self, tool: str, **arguments: Any) -> Json:
        return self.ask("tools/call", tool, *(f"{name}:={json.dumps(value)}" for name, value in arguments.items()))


@contextmanager
def mcpdo(home: Path) -> Generator[Mcpdo]:
    # the path of its socket must be short
    with tempfile.TemporaryDirectory() as sockets:
        own = {
            "HOME": str(home),
            "MCP_INSPECTOR_DAEMON_DIR": sockets,
            "MCP_INSPECTOR_DAEMON_TOKEN": "for-this-test-only",
        }
        client = Mcpdo({**os.environ, **own, "MCP_INSPECTOR_SECRET_STORE": "file"})
        try:
            yield client
        finally:
            client.ask("daemon", "stop")


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def connected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mcpdo]:
    door, era = request.param
    place = make_place(tmp_path_factory.mktemp(f"mcpdo-{door}"))
    with place.reached(door) as where, mcpdo(place.folder) as client:
        file = place.folder / "mcpdo.json"
        file.write_text(json.dumps({"mcpServers": {"gateway": entry(place, door, where)}}))
        client.ask("connect", "gateway", "--config", str(file), "--era", era)
        yield replace(client, connection="@gateway")


def test_one_command_gets_a_token_and_later_ones_use_it(connected: Mcpdo) -> None:
    token = token_of(connected.call("hold", key="a", _wait_s=0))
    chained = token_of(connected.call("echo", text=token, _wait_s=0))
    connected.call("release", key="a")
    assert text_of(connected.call("await_future", futures=[chained])).startswith("held a")
    assert state_read(connected.ask("resources/read", f"future://{token}")) == "resolved"


def test_a_fast_call_answers_with_its_value(connected: Mcpdo) -> None:
    assert text_of(connected.call("add", a=1.5, b=2)).startswith("3.5")


def test_who_subscribed_to_a_future_hears_when_it_is_cancelled(connected: Mcpdo) -> None:
    token = token_of(connected.call("hold", key="b", _wait_s=0))
    with connected.listening("resources/subscribe", f"future://{token}") as heard:
        assert next(heard) == "subscribed"
        assert re.search("cancell(ing|ed)", text_of(connected.call("cancel_future", futures=[token])))
        assert next(heard) == "resources/updated"


def test_it_lists_tools_and_reads_resources_and_prompts(connected: Mcpdo) -> None:
    assert {"await_future", "echo"} <= {tool["name"] for tool in connected.ask("tools/list")["tools"]}
    assert [one["text"] for one in connected.ask("resources/read", "shelf://note")["contents"]] == ["Water the plants."]
    greeting = connected.ask("prompts/get", "greet", "--prompt-args", "name=Ada")
    assert [message["content"]["text"] for message in greeting["messages"]] == ["Greet Ada."]


def entry(place: Place, door: Door, where: list[str]) -> Json:
    if door == "http":
        return {"type": "streamable-http", "url": where[0]}
    return {"command": where[0], "args": where[1:], "env": {"ASYNCFC_STATE_FOLDER": str(place.folder / "state")}}


def token_of(result: Json) -> str:
    return result["_meta"]["asyncfc/future"]["token"]


def state_read(result: Json) -> str:
    return json.loads(result["contents"][0]["text"])["state"]


def text_of(result: Json) -> str:
    return "\n".join(block["text"] for block in result["content"])
