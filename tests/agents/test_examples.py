"""The examples for agent SDKs run as they are, against end points that play the model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.agents.models import Played, anthropic_model, openai_model
from tests.clients.programs import python_of

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LIBRARY = Path(__file__).parent / "servers" / "library.py"
SDKS = (
    "openai==3.54.0",
    "anthropic==2.12.0",
    "langgraph==1.2.22",
    "langchain-openai==1.7.3",
    "pydantic-ai-slim[openai]==2.68.0",
)
LIMIT_S = 90.0

Model = Callable[[], AbstractContextManager[Played]]
AGENTS: dict[str, Model] = {
    "openai_agent": openai_model,
    "anthropic_agent": anthropic_model,
    "langgraph_agent": openai_model,
    "pydantic_ai_agent": openai_model,
}


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has all the SDKs and this checkout."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "agents.lock"):
        return python_of("agents", *SDKS, "--editable", str(ROOT))


@dataclass(frozen=True, slots=True)
class Run:
    """One agent's answer to the question that it has by itself."""

    printed: str
    model: Played


@pytest.fixture(scope="module", params=AGENTS)
def run(request: pytest.FixtureRequest, python: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Run]:
    servers = tmp_path_factory.mktemp("agent") / "servers.json"
    library = {"command": sys.executable, "args": [str(LIBRARY)], "asyncfc": {"prefix": ""}}
    servers.write_text(json.dumps({"mcpServers": {"library": library}}), encoding="utf-8")
    with AGENTS[request.param]() as model:
        printed = printed_by(python, request.param, SERVERS=str(servers), **model.environment)
        yield Run(printed, model)


def printed_by(python: str, agent: str, **environment: str) -> str:
    # nothing of the user's own may reach it
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run(
        [python, "-W", "error", str(EXAMPLES / f"{agent}.py")],
        env={**kept, "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def test_two_readings_overlapped_and_the_answer_is_made_from_both(run: Run) -> None:
    # the library lets nobody read one paper alone
    assert run.printed.endswith("s: the model answers\n  Saved: This is the text of p1. This is the text of p2.\n"), (
        run.printed
    )


def test_the_model_is_taught_tokens_and_has_the_tools_for_them(run: Run) -> None:
    assert "Never guess or make up the value behind a token." in run.model.instructions
    assert {"await_future", "search_papers", "read_paper", "save_note"} <= set(run.model.tools)


def test_the_model_is_shown_an_answer_to_each_of_its_calls_in_their_order(run: Run) -> None:
    search, one, two, note, awaited = run.model.results
    assert '"p1"' in search or search.startswith("fut_hits stands for the result of search_papers.")
    assert "p1" in one or one.startswith("fut_one stands for the result of read_paper.")
    assert "p2" in two or two.startswith("fut_two stands for the result of read_paper.")
    assert note.startswith(("Saved: ", "fut_note stands for the result of save_note."))
    assert awaited.startswith("Saved: ")


@pytest.mark.parametrize("agent", AGENTS)
def test_without_servers_of_the_users_own_there_is_the_library(python: str, agent: str) -> None:
    with AGENTS[agent]() as model:
        printed = printed_by(python, agent, **model.environment)
    assert "Saved: This is the text of p1. This is the text of p2." in printed.splitlines()[-1]


@pytest.mark.parametrize("agent", AGENTS)
def test_an_example_is_short(agent: str) -> None:
    code = EXAMPLES.joinpath(f"{agent}.py").read_text(encoding="utf-8").split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 60


def test_the_examples_are_typed(python: str, tmp_path: Path) -> None:
    # "standard": the types of these SDKs are not all known, as "strict" wants them
    tmp_path.joinpath("pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}', encoding="utf-8")
    for agent in AGENTS:
        shutil.copy(EXAMPLES / f"{agent}.py", tmp_path)
    command = [sys.executable, "-m", "pyright", "--project", str(tmp_path), "--pythonpath", python, "--outputjson"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    summary = json.loads(checked.stdout)["summary"]
    assert summary["filesAnalyzed"] == len(AGENTS)
    assert (summary["errorCount"], summary["warningCount"]) == (0, 0), checked.stdout
