"""The Inspector's command line: one process and one call each; on stdio a token never outlives its command."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import NPM, WITHOUT_NPM, npm_program
from tests.clients.support import LIMIT_S, Json, Place, make_place

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NPM, reason=WITHOUT_NPM)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with make_place(tmp_path_factory.mktemp("served")).served("http") as url:
        yield url


def test_on_stdio_it_lists_the_tools_and_gives_a_name_of_its_own(place: Place) -> None:
    assert [tool["name"] for tool in on_stdio(place, "tools/list")["tools"]][:5] == [
        "await_future",
        "get_future",
        "cancel_future",
        "list_futures",
        "echo",
    ]
    assert place.said_by_client()[0]["params"]["clientInfo"]["name"] == "inspector-cli"


def test_on_stdio_a_slow_call_answers_with_a_token(place: Place) -> None:
    result = on_stdio(place, *call("hold", key="a"))
    assert result["_meta"]["asyncfc/future"]["state"] == "running"
    assert text_of(result).startswith("fut_hold_")


def test_a_token_in_the_place_of_a_number_arrives_as_it_was_written(place: Place) -> None:
    on_stdio(place, *call("add", a="fut_sum", b=1))
    assert arguments_sent(place)["a"] == "fut_sum"


@pytest.mark.parametrize("program", ["mcp-inspector", "mcp-inspector-cli"])
def test_a_fast_call_answers_with_its_value_whether_numbers_come_as_numbers_or_as_text(
    place: Place, program: str
) -> None:
    assert text_of(on_stdio(place, *call("add", a=1.5, b=2), program=program)) == "3.5"


def test_the_tools_for_futures_take_the_tokens_that_it_sends(url: str) -> None:
    unknown = over_http(url, *call("await_future", futures='["fut_gone"]'))
    assert unknown["isError"]
    assert "fut_gone" in text_of(unknown)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_over_http_later_commands_find_the_token_of_an_earlier_one(url: str, era: str) -> None:
    token = token_of(over_http(url, *call("hold", key=era, _wait_s=0), era=era))
    chained = token_of(over_http(url, *call("echo", text=token, _wait_s=0), era=era))
    over_http(url, *call("release", key=era), era=era)
    assert text_of(over_http(url, *call("await_future", futures=chained), era=era)) == f"held {era}"


def test_over_http_later_commands_can_read_and_cancel_a_future(url: str) -> None:
    token = token_of(over_http(url, *call("hold", key="unwanted", _wait_s=0)))
    assert state_read(over_http(url, "resources/read", "--uri", f"future://{token}")) == "running"
    assert re.search("cancell(ing|ed)", text_of(over_http(url, *call("cancel_future", futures=token))))


def test_it_reads_resources_and_prompts_of_a_server(url: str) -> None:
    note = over_http(url, "resources/read", "--uri", "shelf://note")
    assert [content["text"] for content in note["contents"]] == ["Water the plants."]
    greeting = over_http(url, "prompts/get", "--prompt-name", "greet", "--prompt-args", "name=Ada")
    assert [message["content"]["text"] for message in greeting["messages"]] == ["Greet Ada."]


def call(tool: str, **arguments: Any) -> list[str]:
    written = [part for name, value in arguments.items() for part in ("--tool-arg", f"{name}={value}")]
    return ["tools/call", "--tool-name", tool, *written]


def on_stdio(place: Place, method: str, *options: str, program: str = "mcp-inspector") -> Json:
    command, *arguments = place.command
    # what it does not know it hands to the server, so the server's own command stands in a file
    entry = {"command": command, "args": arguments, "env": {"ASYNCFC_STATE_FOLDER": str(place.folder / "state")}}
    file = place.folder / "inspector.json"
    file.write_text(json.dumps({"mcpServers": {"gateway": entry}}))
    return ask(program, "--config", str(file), "--server", "gateway", "--method", method, *options)


def over_http(url: str, method: str, *options: str, era: str = "legacy") -> Json:
    return ask("mcp-inspector", url, "--transport", "http", "--protocol-era", era, "--method", method, *options)


def ask(program: str, *options: str) -> Json:
    """One command, and the JSON that it prints."""
    asked = [npm_program(program), "--cli", *options]
    finished = subprocess.run(asked, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    # it ends with a code of its own when a tool says that it failed
    assert finished.stdout, finished.stderr[-3000:]
    return json.loads(finished.stdout)


def arguments_sent(place: Place) -> Json:
    return next(one["params"]["arguments"] for one in place.said_by_client() if one["method"] == "tools/call")


def token_of(result: Json) -> str:
    return result["_meta"]["asyncfc/future"]["token"]


def state_read(result: Json) -> str:
    return json.loads(result["contents"][0]["text"])["state"]


def text_of(result: Json) -> str:
    return "\n".join(block["text"] for block in result["content"])
