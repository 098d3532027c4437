"""`asyncfc-mcp call`: one call through a gateway, in this process or at an address."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from anyio.streams.text import TextReceiveStream
from click.testing import CliRunner, Result

from asyncfc_mcp.cli.main import main
from tests.bounds import bound_s
from tests.downstream.support import free_port
from tests.harness import FREE, toy
from tests.inspection.support import needs_npm, npm, shaped, tool

TOKEN = "a-token-that-nobody-guesses"
HOLDS = {"hold": FREE}


class Caller:
    """Calls in front of a toy server."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "servers.json"
        self.has({"toy": toy(tools=HOLDS)})

    def has(self, servers: Mapping[str, Any], **settings: Any) -> None:
        self.file.write_text(json.dumps({"mcpServers": servers, "asyncfc": settings}))

    def call(self, *words: str, stdin: str | None = None) -> Result:
        return self.say("--config", str(self.file), *words, stdin=stdin)

    def say(self, *words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, ["call", *words], input=stdin)


@pytest.fixture
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Caller:
    monkeypatch.setenv("ASYNCFC_STATE_FOLDER", str(tmp_path / "state"))
    return Caller(tmp_path)


def test_the_result_is_on_stdout_and_nothing_else(caller: Caller) -> None:
    result = caller.call("echo", "text=hi there")
    assert (result.exit_code, result.stdout) == (0, "hi there\n")


def test_the_states_of_the_future_are_on_stderr_with_their_times(caller: Caller) -> None:
    lines = caller.call("sleep", "seconds=0.3").stderr.splitlines()
    times = [float(line.split()[0]) for line in lines]
    assert all(line.split()[1] == "s" and line.split()[2].startswith("fut_sleep_") for line in lines)
    assert lines[0].split()[3].startswith("running")
    assert lines[-1].endswith("resolved")
    assert times == sorted(times)
    assert times[-1] >= 0.29


def test_values_have_the_types_of_the_schema(caller: Caller) -> None:
    assert caller.call("add", "a=2", "b=0.5").stdout == "2.5\n"
    assert caller.call("echo", "text=5").stdout == "5\n"
    words = ("list_arguments", 'values=["a", "b"]', 'options={"deep": [1]}')
    assert json.loads(caller.call(*words).stdout) == {"values": ["a", "b"], "options": {"deep": [1]}}


def test_a_value_that_does_not_fit_is_told_before_anything_is_called(caller: Caller) -> None:
    result = caller.call("add", "a=two", "b=1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "asyncfc-mcp: a=two does not fit: the tool takes number there\n"
    assert "write JSON, such as 'values=[1, 2]'" in caller.call("list_arguments", "values=a").stderr


def test_nested_arguments_come_as_json_also_from_stdin_and_words_go_before_them(caller: Caller) -> None:
    whole = json.dumps({"values": ["a"], "options": {"x": {"y": 1}}})
    assert json.loads(caller.call("list_arguments", "--args", whole).stdout)["options"] == {"x": {"y": 1}}
    result = caller.call("list_arguments", "--args", "-", "values=[]", stdin=whole)
    assert json.loads(result.stdout) == {"values": [], "options": {"x": {"y": 1}}}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("echo", "txt=hi"), "there is no argument 'txt'; did you mean text?"),
        (("echo", "hi"), "'hi' is no argument; write key=value"),
        (("echo", "--args", "[1]"), "--args is no JSON object"),
        (("echo", "--args", "{"), "--args is no JSON: "),
        (("ecko", "text=hi"), "there is no tool 'ecko'; did you mean echo"),
    ],
)
def test_what_cannot_be_called_is_one_line_and_exit_code_2(caller: Caller, words: tuple[str, ...], said: str) -> None:
    result = caller.call(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"asyncfc-mcp: {said}")
    assert len(result.stderr.splitlines()) == 1


def test_a_tool_without_its_prefix_is_found_among_the_near_ones(caller: Caller) -> None:
    caller.has({"one": shaped(tools=[tool("read")]), "two": {"command": "no-such-command"}})
    said = caller.call("read").stderr
    assert said.startswith("asyncfc-mcp: there is no tool 'read'; not up: two; did you mean one_read?")


def test_a_tool_that_fails_is_exit_code_1_with_its_words(caller: Caller) -> None:
    result = caller.call("fail", "message=no such row")
    assert (result.exit_code, result.stdout) == (1, "no such row\n")
    assert " failed" in result.stderr


def test_what_the_server_refuses_is_exit_code_1(caller: Caller) -> None:
    result = caller.call("reject", "message=not today")
    assert result.exit_code == 1
    assert "not today" in result.stdout


def test_what_the_server_refuses_at_once_is_exit_code_1_too(caller: Caller) -> None:
    result = caller.call("reject", "message=not today", "_wait_s=5")
    assert result.exit_code == 1
    assert "not today" in result.stdout


def test_as_json_the_whole_result_is_there(caller: Caller) -> None:
    document = json.loads(caller.call("picture", "--json").stdout)
    assert document["content"][0]["mimeType"] == "image/png"
    assert document["isError"] is False
    assert caller.call("picture").stdout == "[image image/png, 70 bytes]\n"


def test_a_sync_tool_and_one_without_our_arguments_give_their_value_all_the_same(caller: Caller) -> None:
    caller.has({"toy": toy(mode="sync")})
    assert caller.call("echo", "text=hi").stdout == "hi\n"
    caller.has({"toy": toy()}, wait_argument=False, inline_wait_s=0)
    result = caller.call("sleep", "seconds=0.1")
    assert (result.stdout, "resolved" in result.stderr) == ("slept 0.1\n", True)


def test_a_call_that_takes_longer_than_is_waited_is_cancelled_with_the_gateway(caller: Caller) -> None:
    result = caller.call("hold", "key=a", "--wait", "0.2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cancelled before it had a result" in result.stderr


def test_config_and_url_exclude_each_other(caller: Caller) -> None:
    assert caller.call("echo", "--url", "http://127.0.0.1:1/mcp").exit_code == 2
    assert caller.call("echo", "--token-file", "x").exit_code == 2


@pytest.mark.real
@needs_npm
def test_progress_of_a_real_server_is_shown(caller: Caller) -> None:
    caller.has({"every": npm("everything")})
    result = caller.call("every_trigger-long-running-operation", "duration=1", "steps=4")
    assert result.exit_code == 0
    assert "completed" in result.stdout.lower()
    assert "progress: 2 of 4" in result.stderr


@pytest.mark.real
@needs_npm
def test_the_filesystem_server_reads_what_it_wrote(caller: Caller, tmp_path: Path) -> None:
    caller.has({"fs": npm("filesystem", str(tmp_path))})
    target = tmp_path / "a.txt"
    assert caller.call("fs_write_file", f"path={target}", "content=5").exit_code == 0
    assert caller.call("fs_read_text_file", f"path={target}").stdout == "5\n"


@contextmanager
def serving(caller: Caller, transport: str, *options: str) -> Generator[str]:
    """The URL of a gateway that runs as a process of its own."""
    command = [sys.executable, "-m", "asyncfc_mcp", "serve", "--config", str(caller.file), "--transport", transport]
    with subprocess.Popen([*command, "--port", "0", *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            lines = (json.loads(line) for line in process.stderr)
            yield next(line["url"] for line in lines if line["event"] == "listening")
        finally:
            process.terminate()


@pytest.mark.parametrize("transport", ["http", "sse"])
def test_a_running_gateway_is_called_with_its_token(caller: Caller, tmp_path: Path, transport: str) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    with serving(caller, transport, "--token-file", str(secret)) as url:
        said = caller.say("echo", "text=hi", "--url", url, "--token-file", str(secret))
        assert (said.exit_code, said.stdout) == (0, "hi\n"), said.stderr
        refused = caller.say("echo", "text=hi", "--url", url)
        assert (refused.exit_code, "--token-file" in refused.stderr) == (2, True)


def test_a_call_that_is_not_waited_for_goes_on_in_a_running_gateway(caller: Caller) -> None:
    with serving(caller, "http") as url:
        started = caller.say("hold", "key=a", "--wait", "0", "--url", url)
        token = started.stdout.strip()
        assert (started.exit_code, token.startswith("fut_hold_")) == (0, True), started.stderr
        late = caller.say("hold", "key=b", "--wait", "0.2", "--url", url)
        assert late.exit_code == 1
        caller.say("release", "key=a", "--url", url)
        value = caller.say("await_future", f"futures={token}", "--url", url)
    assert value.stdout == "held a\n"


def test_an_address_without_a_gateway_is_told(caller: Caller) -> None:
    result = caller.say("echo", "--url", f"http://127.0.0.1:{free_port()}/mcp?key=hush")
    assert result.exit_code == 2
    assert "asyncfc-mcp serve --transport http" in result.stderr
    assert "hush" not in result.stderr


@pytest.mark.anyio
async def test_ctrl_c_cancels_the_call(caller: Caller) -> None:
    command = [sys.executable, "-m", "asyncfc_mcp", "call", "hold", "key=a", "--config", str(caller.file)]
    with anyio.fail_after(bound_s(60)):
        async with await anyio.open_process(command) as process:
            assert process.stderr is not None
            said = ""
            stderr = TextReceiveStream(process.stderr)
            while " running" not in said:
                said += await stderr.receive()
            process.send_signal(signal.SIGINT)
            async for text in stderr:
                said += text
            assert await process.wait() == 1
    assert "cancelled before it had a result" in said
    assert "Traceback" not in said


def test_an_image_that_is_no_base64_costs_nothing(caller: Caller) -> None:
    block = {"type": "image", "mimeType": "image/png", "data": "a"}
    caller.has({"one": shaped(tools=[tool("look")], result={"content": [block]})})
    assert caller.call("one_look").stdout == "[image image/png, 0 bytes]\n"


def test_a_reader_of_stdout_that_is_gone_costs_no_traceback(caller: Caller) -> None:
    command = [sys.executable, "-m", "asyncfc_mcp", "call", "--config", str(caller.file), "echo", "text=hi"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("option", ["--wait", "--timeout"])
def test_seconds_are_a_number(caller: Caller, option: str) -> None:
    words = ["call", "echo"] if option == "--wait" else ["doctor"]
    result = CliRunner().invoke(main, [*words, "--config", str(caller.file), option, "nan"])
    assert (result.exit_code, result.stdout) == (2, "")


def until_blocked(process: subprocess.Popen[str]) -> None:
    """Wait until it waits: Python heeds no signal that comes between its last look for one and a read that blocks."""
    end = time.monotonic() + bound_s(20)
    while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
        assert time.monotonic() < end


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_ctrl_c_ends_a_command_that_reads_its_arguments(caller: Caller) -> None:
    command = [sys.executable, "-c", READS, "call", "--config", str(caller.file), "echo", "--args", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        until_blocked(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(bound_s(20)) == 1


READS = """
import io, signal, sys
from asyncfc_mcp.cli.main import main

class Telling(io.TextIOWrapper):
    def read(self, *size):
        print("reading", flush=True)
        return super().read(*size)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.stdin = Telling(sys.stdin.buffer)
main()
"""
