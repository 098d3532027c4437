"""The examples run as they are: the agent with its script and with an end point, the configuration with servers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncfc_mcp.config.load import load_file
from tests.harness import running, text_of

EXAMPLES = Path(__file__).parent.parent / "examples"
NPM = os.environ.get("ASYNCFC_TEST_NPM", "")
PROJECT = "/home/you/project"


def run_agent(folder: Path, **environment: str) -> str:
    command = [sys.executable, str(EXAMPLES / "agent.py")]
    unset = {"OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY", "ASYNCFC_INSIDE"}
    inherited = {key: value for key, value in os.environ.items() if key not in unset}
    variables = inherited | {"ASYNCFC_STATE_FOLDER": str(folder)} | environment
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_agent_makes_four_dependent_calls_in_one_step_and_answers(tmp_path: Path) -> None:
    printed = run_agent(tmp_path)
    assert "s: the model makes 4 call(s)" in printed
    assert "fut_note stands for the result of save_note" in printed
    assert printed.endswith("s: the model answers\n  Saved: This is the text of p1. This is the text of p2.\n")


def test_the_agent_loop_has_about_forty_lines() -> None:
    code = EXAMPLES.joinpath("agent.py").read_text(encoding="utf-8").split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 42


def test_the_agent_speaks_to_an_openai_compatible_end_point(tmp_path: Path) -> None:
    with chat_completions() as (url, requests):
        printed = run_agent(tmp_path, OPENAI_BASE_URL=url, OPENAI_MODEL="any", OPENAI_API_KEY="key")
    assert printed.endswith("s: the model answers\n  done\n")
    first, second = requests
    assert {tool["function"]["name"] for tool in first["tools"]} >= {"search_papers", "await_future"}
    assert "Never guess" in first["messages"][0]["content"]
    assert second["messages"][-1]["role"] == "tool"
    assert second["messages"][-1]["content"].startswith("Saved: hello")


@contextmanager
def chat_completions() -> Generator[tuple[str, list[dict[str, Any]]]]:
    """An end point that asks for one call, then answers; and the requests that it got."""
    function = {"name": "save_note", "arguments": json.dumps({"text": "hello", "_wait_s": 30})}
    calls = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}
    said = [calls, {"role": "assistant", "content": "done"}]
    requests: list[dict[str, Any]] = []

    class EndPoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions"
            assert self.headers["Authorization"] == "Bearer key"
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"choices": [{"message": said[len(requests) - 1]}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), EndPoint) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", requests
        finally:
            server.shutdown()
            serving.join()


def test_the_example_configuration_loads_without_a_warning() -> None:
    loaded = load_file(EXAMPLES / "config.json", {})
    assert [entry.key for entry in loaded.config.servers] == ["fs", "git", "memory"]
    assert loaded.warnings == ()


@pytest.mark.real
@pytest.mark.anyio
@pytest.mark.skipif(not NPM, reason="ASYNCFC_TEST_NPM does not name a folder with node_modules")
async def test_the_example_configuration_runs_its_three_servers(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    await anyio.run_process(["git", "init", "--quiet", str(project)])
    project.joinpath("a.txt").write_text("from a file", encoding="utf-8")
    async with running(adapted(project, tmp_path / "memory.jsonl")) as gateway:
        assert await gateway.text("fs_read_text_file", path=str(project / "a.txt"), _wait_s=10) == "from a file"
        await gateway.call("fs_read_text_file", path=str(project / "a.txt"), _as="text", _wait_s=0)
        copied = await gateway.call("fs_write_file", path=str(project / "b.txt"), content="fut_text", _wait_s=10)
        assert not copied.is_error, text_of(copied)
        assert project.joinpath("b.txt").read_text(encoding="utf-8") == "from a file"
        assert "b.txt" in await gateway.text("git_git_status", repo_path=str(project), _wait_s=10)
        assert "entities" in await gateway.text("memory_read_graph", _wait_s=10)


def adapted(project: Path, memory: Path) -> Mapping[str, Any]:
    """The servers of the example with paths of this machine and the installed programs, since tests fetch nothing."""
    servers = json.loads(EXAMPLES.joinpath("config.json").read_text(encoding="utf-8"))["mcpServers"]
    for entry in servers.values():
        program, *arguments = (
            argument.replace(PROJECT, str(project)) for argument in entry["args"] if argument != "-y"
        )
        if entry["command"] == "npx":
            script = Path(NPM, "node_modules", program, "dist", "index.js")
            entry |= {"command": "node", "args": [str(script), *arguments]}
        else:
            entry |= {"command": _installed(program), "args": arguments}
    servers["memory"]["env"] = {"MEMORY_FILE_PATH": str(memory)}
    return servers


def _installed(program: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(program, path=path)
    if found is None:
        pytest.skip(f"{program} is not installed; it is in the dev group")
    return found
