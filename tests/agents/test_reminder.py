"""The plugin's hook, given conversations with a real gateway: it reminds of just those results nobody has seen."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp import Gateway
from tests.agents.claude import PLUGIN
from tests.embedding.support import LIMIT_S, document, opened, started
from tests.embedding.support import release as released

pytestmark = pytest.mark.anyio

HOOK = PLUGIN / "hooks" / "remind.py"


LAST_WORDS = json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": "Done."}]}})


class Transcript:
    """A conversation as Claude Code writes it down, whose model calls the tools of a gateway."""

    def __init__(self, gateway: Gateway, file: Path) -> None:
        self.gateway = gateway
        self.file = file
        self._lines: list[str] = []

    async def call(self, tool: str, **arguments: Any) -> str:
        """What the model is shown."""
        answer = await self.gateway.model_call(tool, arguments)
        identity = f"toolu_{len(self._lines)}"
        use = {"type": "tool_use", "id": identity, "name": f"mcp__gateway__{tool}", "input": arguments}
        blocks = [{"type": "text", "text": block["text"]} for block in answer.content]
        result = {"type": "tool_result", "tool_use_id": identity, "content": blocks}
        self.write({"type": "assistant", "message": {"role": "assistant", "content": [use]}})
        self.write({"type": "user", "message": {"role": "user", "content": [result]}})
        return answer.text

    async def token(self, tool: str, **arguments: Any) -> str:
        return (await self.call(tool, **arguments, _wait_s=0)).split(" ", 1)[0]

    def write(self, entry: dict[str, Any]) -> None:
        self._lines.append(json.dumps(entry))
        self.file.write_text("\n".join(self._lines), encoding="utf-8")

    def reminds_of(self, **event: Any) -> list[str]:
        """The tokens in the reminder that the hook gives as the model stops."""
        self._lines.append(LAST_WORDS)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"\n{LAST_WORDS}\n")
        said = run_hook({"transcript_path": str(self.file), "stop_hook_active": False, **event})
        if not said:
            return []
        answer = json.loads(said)
        assert answer["decision"] == "block"
        return json.loads(answer["reason"].partition("await_future(")[2].partition(")")[0])


def run_hook(event: Any, *, complains: bool = False) -> str:
    said = event if isinstance(event, str) else json.dumps(event)
    finished = subprocess.run(
        [sys.executable, str(HOOK)], input=said, capture_output=True, text=True, timeout=30, check=True
    )
    assert bool(finished.stderr) == complains
    return finished.stdout


@pytest.fixture
async def transcript(tmp_path: Path) -> AsyncGenerator[Transcript]:
    async with opened(document(max_unsettled=50)) as gateway:
        yield Transcript(gateway, tmp_path / "session.jsonl")


async def test_a_result_that_never_came_is_reminded_of(transcript: Transcript) -> None:
    held = await transcript.token("hold", key="a")
    assert transcript.reminds_of() == [held]


async def test_values_that_came_at_once_are_not(transcript: Transcript) -> None:
    await transcript.call("echo", text="x", _wait_s=LIMIT_S)
    assert transcript.reminds_of() == []


async def test_a_result_that_came_with_a_later_one_is_not(transcript: Transcript) -> None:
    held = await transcript.token("hold", key="a")
    await released(transcript.gateway.scope("steering"), "a")
    assert await (await transcript.gateway.future(held)).wait(LIMIT_S)
    assert "held a" in await transcript.call("echo", text="x", _wait_s=LIMIT_S)
    assert transcript.reminds_of() == []


async def test_a_result_of_which_only_its_being_ready_was_said_is(transcript: Transcript) -> None:
    held = await transcript.token("hold", key="a")
    large = await transcript.token("large", size=5000, note=held)
    await released(transcript.gateway.scope("steering"), "a")
    assert await (await transcript.gateway.future(large)).wait(LIMIT_S)
    assert "is ready" in await transcript.call("echo", text="x", _wait_s=LIMIT_S)
    assert transcript.reminds_of() == [large]
    await transcript.call("get_future", future=large)
    assert transcript.reminds_of() == []


@pytest.mark.parametrize("spelling", ["one", "list", "several", "all", "json", "bare"])
async def test_awaited_results_are_not(transcript: Transcript, spelling: str) -> None:
    held = await transcript.token("hold", key="a")
    await released(transcript.gateway.scope("steering"), "a")
    futures: dict[str, Any] = {
        "one": held,
        "list": [held],
        "several": [held, f"{held}/x"],
        "all": [],
        "json": json.dumps([held]),
        "bare": [held.removeprefix("fut_")],
    }
    await transcript.call("await_future", futures=futures[spelling], timeout_s=LIMIT_S)
    assert transcript.reminds_of() == []


async def test_what_an_await_did_not_get_is(transcript: Transcript) -> None:
    one, two = await transcript.token("hold", key="a"), await transcript.token("hold", key="b")
    await transcript.call("await_future", futures=[one, two], timeout_s=0)
    assert transcript.reminds_of() == [one, two]
    await released(transcript.gateway.scope("steering"), "b")
    await transcript.call("await_future", futures=[one, two], mode="any", timeout_s=LIMIT_S)
    assert transcript.reminds_of() == [one]
    await transcript.call("await_future", futures=[], timeout_s=0)
    assert transcript.reminds_of() == [one]


async def test_of_a_chain_only_its_end_is_named(transcript: Transcript) -> None:
    held = await transcript.token("hold", key="a")
    said = await transcript.token("echo", text=held)
    assert transcript.reminds_of() == [said]
    await released(transcript.gateway.scope("steering"), "a")
    await transcript.call("await_future", futures=[said], timeout_s=LIMIT_S)
    assert transcript.reminds_of() == []


async def test_a_token_that_went_into_a_value_is_not(transcript: Transcript) -> None:
    held = await transcript.token("hold", key="a")
    await started(transcript.gateway.scope("steering"), "a")
    await released(transcript.gateway.scope("steering"), "a")
    assert "held a" in await transcript.call("echo", text=f"It says: ${{{held}}}", _wait_s=LIMIT_S)
    assert transcript.reminds_of() == []


async def test_failures_that_were_told_are_not(transcript: Transcript) -> None:
    failing = await transcript.token("hold_and_fail", key="a", message="broken")
    said = await transcript.token("echo", text=failing)
    assert transcript.reminds_of() == [said]
    await released(transcript.gateway.scope("steering"), "a")
    assert await (await transcript.gateway.future(said)).wait(LIMIT_S)
    assert f"Not started because of it: {said}" in await transcript.call("add", a=1, b=2, _wait_s=LIMIT_S)
    assert transcript.reminds_of() == []


async def test_what_was_cancelled_is_not(transcript: Transcript) -> None:
    held = await transcript.token("hold", key="a")
    await transcript.call("cancel_future", futures=[held])
    assert transcript.reminds_of() == []


async def test_to_look_at_what_still_runs_is_not_to_collect_it(transcript: Transcript) -> None:
    held = await transcript.token("hold", key="a")
    await transcript.call("get_future", future=held)
    await transcript.call("list_futures")
    assert transcript.reminds_of() == [held]


async def test_nothing_is_reminded_of_twice(transcript: Transcript) -> None:
    one = await transcript.token("hold", key="a")
    reminder = json.loads(run_hook({"transcript_path": str(transcript.file)}))["reason"]
    transcript.write({"type": "user", "message": {"role": "user", "content": f"Stop hook feedback:\n{reminder}"}})
    assert transcript.reminds_of() == []
    two = await transcript.token("hold", key="b")
    assert one not in transcript.reminds_of()
    assert transcript.reminds_of() == [two]


async def test_the_end_of_a_transcript_that_is_written_late_is_waited_for(
    transcript: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await transcript.token("hold", key="a")
    whole = transcript.file.read_text("utf-8")
    transcript.file.write_text(whole.rpartition("\n")[0], "utf-8")
    hook = runpy.run_path(str(HOOK))

    def write_the_rest(_: float) -> None:
        transcript.file.write_text(f"{whole}\n{LAST_WORDS}\n", "utf-8")

    monkeypatch.setattr(time, "sleep", write_the_rest)  # the hook has read it by then, and waits
    assert list(hook["conversation_in"](transcript.file).uncollected) == [held]


async def test_a_model_that_goes_on_because_of_a_hook_may_stop(transcript: Transcript) -> None:
    await transcript.token("hold", key="a")
    assert transcript.reminds_of(stop_hook_active=True) == []


async def test_the_calls_of_a_subagent_are_its_own_business(transcript: Transcript) -> None:
    await transcript.token("hold", key="a")
    lines = transcript.file.read_text(encoding="utf-8").splitlines()
    aside = "\n".join(json.dumps({**json.loads(line), "isSidechain": True}) for line in lines)
    transcript.file.write_text(aside, encoding="utf-8")
    assert transcript.reminds_of() == []


async def test_a_line_that_is_still_being_written_does_no_harm(transcript: Transcript) -> None:
    held = await transcript.token("hold", key="a")
    with transcript.file.open("a", encoding="utf-8") as file:
        file.write('\n{"type": "assistant", "message": {"content": [{"type": "tool_use", ')
    assert transcript.reminds_of() == [held]


ODD_LINES = {
    "no object": '["tool_use"]',
    "a message in words": '{"message": "it made a \\"tool_use\\""}',
    "blocks in words": '{"message": {"content": ["a word", 5, {"type": "tool_use"}]}}',
    "names of no kind": '{"message": {"content": [{"type": "tool_use", "id": ["x"], "name": 5, "input": [1]}]}}',
    "no call for a result": '{"message": {"content": [{"type": "tool_result", "tool_use_id": {"a": 1}}]}}',
    "too deep": '{"tool_use": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "no text": "\ufffd\x00 tool_use",
}


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("odd", ODD_LINES)
async def test_a_line_of_another_shape_hides_no_other(transcript: Transcript, odd: str, place: str) -> None:
    held = await transcript.token("hold", key="a")
    line = ODD_LINES[odd].replace("\ufffd", "\udcff")
    lines = transcript.file.read_text(encoding="utf-8").splitlines()
    lines = [line, *lines] if place == "before" else [*lines, line]
    transcript.file.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    assert transcript.reminds_of() == [held]


def test_a_chain_may_be_of_any_length(tmp_path: Path) -> None:
    lines: list[str] = []

    def said(kind: str, **block: Any) -> None:
        lines.append(json.dumps({"message": {"content": [{"type": kind, **block}]}}))

    for number in range(3000):
        said("tool_use", id=f"t{number}", name="mcp__gw__echo", input={"text": f"fut_n{number - 1}"})
        said("tool_result", tool_use_id=f"t{number}", content=f"fut_n{number} stands for the result of echo.")
    said("tool_use", id="last", name="mcp__gw__await_future", input={"futures": ["fut_n2999"]})
    said("tool_result", tool_use_id="last", content="echoed")
    file = tmp_path / "session.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert run_hook({"transcript_path": str(file)}) == ""


def test_a_path_is_read_as_claude_code_writes_it_whatever_the_console_speaks(tmp_path: Path) -> None:
    file = tmp_path / "sitzung \u00fc.jsonl"
    file.write_text("", encoding="utf-8")
    event = json.dumps({"transcript_path": str(file)}, ensure_ascii=False).encode()
    finished = subprocess.run(
        [sys.executable, str(HOOK)],
        input=event,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert finished.stderr == b""


@pytest.mark.parametrize("event", ["", "[]", "{}", '{"transcript_path": "/no/such/file.jsonl"}'])
def test_when_the_hook_cannot_know_the_model_may_stop(event: str) -> None:
    assert run_hook(event, complains=True) == ""
