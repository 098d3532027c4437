"""A wrong start: one message that names the thing, exit code 2, and nothing on stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from asyncfc_mcp.cli.main import main
from tests.harness import toy
from tests.process.support import LIMIT_S, run, started

pytestmark = pytest.mark.anyio

ECHO = {"command": "echo"}


async def refusal(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> tuple[int | None, str, list[bytes]]:
    async with run(folder, ["serve", *arguments], environment=environment) as gateway:
        code = await gateway.exit_code()
        return code, await gateway.stderr(), await gateway.rest()


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{", ["config.json", "line 1"]),
        ("[]", ["config.json"]),
        ("{}", ["config.json", "mcpServers"]),
        ({"mcpServers": {}}, ["config.json", "mcpServers"]),
        ({"mcpServers": {"a": {}}}, ["config.json", "mcpServers.a"]),
        ({"mcpServers": {"a": {"command": 5}}}, ["config.json", "mcpServers.a.command", "5"]),
        ({"mcpServers": {"a": {**ECHO, "asyncfc": {"mode": "fast"}}}}, ["mcpServers.a.asyncfc.mode", "fast", "sync"]),
        ({"mcpServers": {"a": {**ECHO, "asyncfc": {"modes": 1}}}}, ["mcpServers.a.asyncfc", "modes", "mode"]),
        ({"mcpServers": {"a": ECHO}, "asyncfc": {"inline_wait_s": -1}}, ["asyncfc.inline_wait_s", "-1"]),
        ({"mcpServers": {"a": {"command": "${NOT_SET_ANYWHERE}"}}}, ["mcpServers.a.command", "NOT_SET_ANYWHERE"]),
    ],
)
def test_a_wrong_file_is_one_message_and_exit_code_2(tmp_path: Path, document: Any, named: list[str]) -> None:
    file = tmp_path / "config.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    refused = CliRunner().invoke(main, ["serve", "--config", str(file)])
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("asyncfc-mcp: ")
    assert "Traceback" not in refused.stderr
    assert [part for part in named if part not in refused.stderr] == []


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, stderr, stdout = await refusal(tmp_path, "--config", str(tmp_path / "missing.json"))
    assert (code, stdout) == (2, [])
    assert "missing.json" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize("arguments", [[], ["--config", "a.json", "--", "echo"], ["--config"], ["--no-such-flag"]])
async def test_a_wrong_command_line_is_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    code, stderr, stdout = await refusal(tmp_path, *arguments)
    assert (code, stdout) == (2, [])
    assert "asyncfc-mcp: " in stderr
    assert "Traceback" not in stderr


async def test_two_tools_of_one_name_stop_the_start(tmp_path: Path) -> None:
    named = {"tools": {"x": {"name": "twice"}, "y": {"name": "twice"}}}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"mcpServers": {"a": {**ECHO, "asyncfc": named}}}))
    code, stderr, _ = await refusal(tmp_path, "--config", str(file))
    assert code == 2
    assert "twice" in stderr
    assert "Traceback" not in stderr


async def test_it_refuses_to_run_inside_another_gateway(tmp_path: Path) -> None:
    code, stderr, stdout = await refusal(tmp_path, "--", "echo", environment={"ASYNCFC_INSIDE": "1"})
    assert (code, stdout) == (2, [])
    assert "will not run behind itself" in stderr
    assert "ASYNCFC_INSIDE" in stderr


async def test_a_gateway_hidden_behind_a_script_ends_and_the_others_work(tmp_path: Path) -> None:
    script = tmp_path / "innocent.py"
    script.write_text("from asyncfc_mcp.cli.main import main\nmain(['serve', '--', 'echo'])\n")
    hidden = {"command": sys.executable, "args": [str(script)]}
    async with started(tmp_path, {"hidden": hidden, "toy": toy()}) as gateway:
        await gateway.initialize()
        failed = await gateway.logged("server_start_failed")
        assert failed["server"] == "hidden"
        assert "exited with code 2" in failed["why"]
        assert "will not run behind itself" in (await gateway.logged("server_stderr"))["line"]
        assert await gateway.text("echo", text="hi", _wait_s=LIMIT_S) == "hi"
        assert "Server hidden is" in await gateway.text("list_futures")


async def test_two_servers_whose_tools_would_have_one_name_are_a_wrong_start(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"mcpServers": {"one": toy(), "two": toy()}}))
    code, stderr, stdout = await refusal(tmp_path, "--config", str(file))
    assert (code, stdout) == (2, [])
    (line,) = [line for line in stderr.splitlines() if line.startswith("asyncfc-mcp: ")]
    assert "'one'" in line
    assert "'two'" in line
    assert "prefix" in line
