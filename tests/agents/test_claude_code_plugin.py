"""The plugin in the real Claude Code: installed in one line, and a model that is about to stop is reminded once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agents.claude import PLUGIN, PREFIX, Claude, servers
from tests.clients.model_stub import Json, ModelStub, Turn, model_stub, text, tool_results, tool_use
from tests.clients.programs import NPM, WITHOUT_NPM

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NPM, reason=WITHOUT_NPM)]

HOOK = PLUGIN / "hooks" / "remind.py"
WANTED = ("hold", "release")
REMINDER = "Results that have not been collected: "


def gateway_tool(name: str, **arguments: object) -> Json:
    return tool_use(PREFIX + name, **arguments)


def token_in(messages: list[Json]) -> str:
    found = re.search(r"fut_hold_\w+", json.dumps(tool_results(messages)))
    assert found is not None, messages
    return found[0]


TURNS: list[Turn] = [
    lambda _: [tool_use("ToolSearch", query=f"select:{','.join(PREFIX + name for name in WANTED)}")],
    lambda _: [gateway_tool("hold", key="a", _wait_s=0)],
    lambda _: [text("I think that is all.")],
    lambda _: [gateway_tool("release", key="a", _wait_s=20)],
    lambda said: [gateway_tool("await_future", futures=[token_in(said)])],
    lambda said: [text(f"The value is: {tool_results(said)[-1]}")],
    # the next question of the user
    lambda _: [gateway_tool("hold", key="b", _wait_s=0)],
    lambda _: [text("It has been started.")],
    lambda _: [text("It runs on, as you wanted.")],
    # and the one after that
    lambda _: [text("Nothing to add.")],
]
START, GO_ON, LATER = range(3)


@dataclass(frozen=True, slots=True)
class Session:
    """Three questions of a user, in one conversation."""

    claude: Claude
    stub: ModelStub
    answers: list[str]

    def told(self, turn: int) -> str:
        """The last message that the model had been shown by that turn."""
        return json.dumps(self.stub.shown[turn]["messages"][-1], ensure_ascii=False)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    claude = Claude(tmp_path_factory.mktemp("plugin"))
    claude.install(servers())
    with model_stub(*TURNS) as stub:
        answers = [
            claude.ask("What does a hold?", stub),
            claude.ask("Start b, I do not need the result.", stub, "--continue"),
            claude.ask("Anything else?", stub, "--continue"),
        ]
    if stub.failure is not None:
        raise stub.failure
    return Session(claude, stub, answers)


def test_a_model_that_stops_with_a_pending_future_is_reminded_and_collects_it(session: Session) -> None:
    token = token_in(session.stub.shown[4]["messages"])
    assert f"{REMINDER}{token} (hold)." in session.told(3)
    assert session.answers[START].startswith("The value is: held a")


def test_a_model_that_has_collected_everything_is_not_reminded(session: Session) -> None:
    assert REMINDER not in session.told(6)


def test_a_model_that_stops_all_the_same_may_and_hears_no_second_reminder(session: Session) -> None:
    assert REMINDER in session.told(8)
    assert session.answers[GO_ON] == "It runs on, as you wanted."
    assert session.answers[LATER] == "Nothing to add."
    assert len(session.stub.shown) == len(TURNS)


def test_the_transcript_that_the_hook_reads_is_the_one_that_claude_code_writes(session: Session) -> None:
    # all has been said in it: the second future was reminded of, so nothing is left to say
    asked = {"transcript_path": str(session.claude.transcript), "stop_hook_active": False}
    assert hook(asked) == ""
    without_reminders = [
        line for line in session.claude.transcript.read_text(encoding="utf-8").splitlines() if REMINDER not in line
    ]
    shortened = session.claude.home / "shortened.jsonl"
    shortened.write_text("\n".join(without_reminders), encoding="utf-8")
    said = json.loads(hook({**asked, "transcript_path": str(shortened)}))
    assert said["reason"].count("(hold)") == 1


@pytest.mark.parametrize("manifest", [PLUGIN, PLUGIN / ".claude-plugin" / "marketplace.json"], ids=lambda one: one.name)
def test_claude_code_finds_the_plugin_valid(manifest: Path, tmp_path: Path) -> None:
    assert "Validation passed" in Claude(tmp_path).run("plugin", "validate", "--strict", str(manifest))


def hook(event: Json) -> str:
    finished = subprocess.run(
        [sys.executable, str(HOOK)], input=json.dumps(event), capture_output=True, text=True, timeout=30, check=True
    )
    assert finished.stderr == ""
    return finished.stdout
