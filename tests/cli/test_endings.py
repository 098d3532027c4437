"""How commands end that cannot do what they were asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from asyncfc_mcp.cli.main import main
from tests.bounds import bound_s

LIMIT_S = 30.0
DEAF = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
begun = pathlib.Path(sys.argv[1])
begun.with_suffix(".new").write_text(str(os.getpid()))
begun.with_suffix(".new").replace(begun)
time.sleep(600)
"""
"""A server that never answers, and does not go before it is killed."""


def ended(folder: Path, *arguments: str, said: str | None = None) -> tuple[int, list[str]]:
    """The exit code, and the lines on stderr."""
    environ = {"ASYNCFC_STATE_FOLDER": str(folder / "state"), "ASYNCFC_CONFIG_FOLDER": str(folder / "config")}
    result = CliRunner().invoke(main, arguments, input=said, env=environ)
    return result.exit_code, result.stderr.splitlines()


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["doctor", "--config", "missing.json"], 2),
        (["annotate", "--config", "missing.json"], 2),
        (["explain", "echo {}", "echo {}", "--config", "missing.json"], 2),
        (["tools"], 2),
        (["tools", "accept", "nobody"], 1),
        (["purge", "--config", "missing.json"], 2),
        (["call", "echo"], 2),
        (["logs", "nobody"], 1),
        (["futures", "fut_nobody_0"], 1),
        (["stats"], 1),
        (["dashboard"], 1),
        (["off"], 1),
    ],
)
def test_what_cannot_be_done_is_one_line_that_begins_with_the_programs_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], exit_code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    code, (line,) = ended(tmp_path, *arguments)
    assert code == exit_code
    assert line.startswith("asyncfc-mcp: ")
    assert "Error" not in line


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["serve"], "asyncfc-mcp: say either --config FILE or -- COMMAND ARGS"),
        (["serve", "--nonsense"], "asyncfc-mcp: No such option"),
        (["tools", "accept"], "asyncfc-mcp: Missing argument"),
        (["nonsense"], "asyncfc-mcp: No such command"),
    ],
)
def test_wrong_usage_has_the_usage_before_that_line(tmp_path: Path, arguments: list[str], fact: str) -> None:
    code, lines = ended(tmp_path, *arguments)
    assert code == 2
    assert lines[0].startswith("Usage: ")
    assert lines[-1].startswith(fact)


def test_help_and_version_are_no_errors(tmp_path: Path) -> None:
    assert ended(tmp_path, "--version") == (0, [])
    assert ended(tmp_path, "serve", "--help") == (0, [])


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C reaches a whole console there, this test with it")
@pytest.mark.parametrize("command", [["doctor"], ["tools"], ["annotate"], ["call", "deaf_echo"]])
def test_ctrl_c_again_and_again_is_one_clean_end_and_leaves_no_server(tmp_path: Path, command: list[str]) -> None:
    begun = tmp_path / "begun"
    file = tmp_path / "servers.json"
    deaf = {"command": sys.executable, "args": ["-c", DEAF, str(begun)]}
    file.write_text(json.dumps({"mcpServers": {"deaf": deaf}}))
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncfc_mcp", *command, "--config", str(file)],
        env={**os.environ, "ASYNCFC_STATE_FOLDER": str(tmp_path / "state")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ends_at = time.monotonic() + bound_s(LIMIT_S)
    while not begun.exists():
        assert process.poll() is None
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    while process.poll() is None:
        assert time.monotonic() < ends_at
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout, stderr) == (1, "", "\nasyncfc-mcp: interrupted\n")
    while _is_alive(int(begun.read_text())):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
