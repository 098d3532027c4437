"""The Inspector's command line: one process and one call each, so a token never outlives the command that got it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.support import LIMIT_S, NPM, WITHOUT_NPM, Json, Place, make_place

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NPM, reason=WITHOUT_NPM)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def test_it_lists_the_tools_and_gives_a_name_of_its_own(place: Place) -> None:
    assert [tool["name"] for tool in ask(place, "tools/list")["tools"]][:5] == [
        "await_future",
        "get_future",
        "cancel_future",
        "list_futures",
        "echo",
    ]
    assert place.said_by("client")[0]["params"]["clientInfo"]["name"] in {"inspector-cli", "inspector"}


def test_a_slow_call_answers_with_a_token(place: Place) -> None:
    result = call(place, "hold", key="a")
    assert result["_meta"]["asyncfc/future"]["state"] == "running"
    assert text_of(result).startswith("fut_hold_")


def test_a_token_in_the_place_of_a_number_arrives_as_it_was_written(place: Place) -> None:
    call(place, "add", a="fut_sum", b=1)
    assert arguments_sent(place)["a"] == "fut_sum"


def test_a_fast_call_answers_with_its_value_though_numbers_come_as_text(place: Place) -> None:
    assert text_of(call(place, "add", a=1.5, b=2)) == "3.5"


def test_the_tools_for_futures_take_the_tokens_that_it_sends(place: Place) -> None:
    for tool in ("await_future", "cancel_future"):
        unknown = call(place, tool, futures='["fut_gone"]')
        assert unknown["isError"]
        assert "fut_gone" in text_of(unknown)


def call(place: Place, tool: str, **arguments: Any) -> Json:
    written = [part for name, value in arguments.items() for part in ("--tool-arg", f"{name}={value}")]
    return ask(place, "tools/call", "--tool-name", tool, *written)


def ask(place: Place, method: str, *options: str) -> Json:
    """One command, and the JSON that it prints."""
    command, *arguments = place.command
    entry = {"command": command, "args": arguments, "env": {"ASYNCFC_STATE_FOLDER": str(place.folder / "state")}}
    file = place.folder / "inspector.json"
    file.write_text(json.dumps({"mcpServers": {"gateway": entry}}))
    program = shutil.which("mcp-inspector-cli", path=str(Path(NPM, "node_modules", ".bin")))
    assert program is not None, "the Inspector is not installed beside the servers"
    asked = [program, "--cli", "--config", str(file), "--server", "gateway", "--method", method, *options]
    finished = subprocess.run(asked, env=place.env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    # newer ones end with a code of their own when a tool says that it failed
    assert finished.stdout, finished.stderr[-3000:]
    return json.loads(finished.stdout)


def arguments_sent(place: Place) -> Json:
    return next(one["params"]["arguments"] for one in place.said_by("client") if one["method"] == "tools/call")


def text_of(result: Json) -> str:
    return "\n".join(block["text"] for block in result["content"])
