"""What is secret in a configuration or a call is in no file and no line of ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness import FREE, TOY, running
from tests.process.support import started
from tests.security.support import Shifty

pytestmark = pytest.mark.anyio

ENVIRONMENT, HEADER, ARGUMENT, VALUE = (
    f"planted-{what}-7c1f" for what in ("environment", "header", "argument", "value")
)


def _files_with(folder: Path, secret: str) -> list[str]:
    return [
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and secret.encode() in file.read_bytes()
    ]


async def test_no_secret_of_the_configuration_and_no_value_is_logged_audited_or_in_an_error(tmp_path: Path) -> None:
    shifty = Shifty(tmp_path)
    shifty.answers(VALUE)
    toy = {"command": sys.executable, "args": [str(TOY)], "env": {"KEY": ENVIRONMENT}}
    gone = {"url": "http://127.0.0.1:9/mcp", "headers": {"Authorization": f"Bearer {HEADER}"}, "type": "http"}
    servers = {
        "notes": {**shifty.entry(), "env": {"KEY": ENVIRONMENT}},
        "toy": {**toy, "asyncfc": {"tools": {"echo": FREE, "fail": FREE}}},
        "gone": gone,
    }
    settings = {"piggyback": "off", "flows": [{"from": "toy", "to": "notes", "policy": "deny"}]}
    async with started(tmp_path, servers, "--log-level", "debug", settings=settings) as gateway:
        await gateway.initialize()
        token = await gateway.token("notes_say", _wait_s=0)
        await gateway.call("toy_echo", text=token, _wait_s=10)
        await gateway.call("toy_echo", text=f"{ARGUMENT} and " + "${" + token + "}", _wait_s=10)
        refused = await gateway.token("toy_echo", text=ARGUMENT, _wait_s=0)
        errors = [await gateway.text("notes_relay", text=refused), await gateway.text("list_futures")]
        gateway.close_stdin()
        await gateway.exit_code()
        said = await gateway.stderr() + "".join(errors)
    state = tmp_path / "state"
    assert "audit.jsonl" in {file.name for file in state.rglob("*")}
    for secret in (ENVIRONMENT, HEADER):
        assert secret not in said
        assert _files_with(state, secret) == []
    for told in (ARGUMENT, VALUE):
        assert told not in said
        assert [file for file in _files_with(state, told) if file.endswith(".jsonl")] == []


async def test_values_that_are_not_to_be_stored_are_in_no_file(tmp_path: Path) -> None:
    shifty = Shifty(tmp_path)
    shifty.answers(VALUE)
    script = shifty.entry()
    state = tmp_path / "state"
    async with running({"notes": script, "web": script}, state_folder=state, store_values=False) as gateway:
        token = await gateway.named("notes_say")
        assert await gateway.text("web_relay", text=token) == VALUE
        assert _files_with(state, VALUE) == []
    assert _files_with(state, VALUE) == []
