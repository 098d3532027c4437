"""Stop hook of Claude Code: reminds the model of calls whose results it has not seen, once for each, before it stops.

It reads the transcript, so it needs no running gateway and works with every transport: which tokens came as tool
results, and which of them were answered since. Standard library only, for any Python from 3.8 on: it runs with the
`python3` of the user. Whatever goes wrong here, the model may stop: that is better than one that cannot.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REMINDER = "Results that have not been collected:"
"""How every reminder begins, by which an earlier one is known."""
PATIENCE_S = 3.0
"""How long the transcript may be behind."""
PAUSE_S = 0.1
TOKEN = re.compile(r"fut_[a-z0-9_-]*[a-z0-9]")
PENDING = re.compile(r"(fut_[a-z0-9_-]*[a-z0-9]) stands for the result of ([\w.-]+)\.")
SETTLED = re.compile(
    r"^(?:\[\w+\] |=== )?(fut_[a-z0-9_-]*[a-z0-9])(?:/\S*)? \([^)\n]*\) (?:resolved|failed|(?:was )?cancelled)",
    re.MULTILINE,
)
TAKEN_ALONG = re.compile(r"Not started because of it: ([^.\n]*)")
STILL_UNSETTLED = re.compile(r"^(?:- (fut_[a-z0-9_-]*[a-z0-9]) |Unsettled: (.*)$)", re.MULTILINE)


class Conversation:
    """Which futures the model knows of, and which of them it has seen the end of."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        """From the tokens whose results the model has not seen to their tools."""
        self.needs: dict[str, set[str]] = {}
        """From a token to those in the arguments of its call."""
        self.reminded: set[str] = set()
        self.waits_for_model = False
        """Whether the end is missing: before it stops, the model has said something that calls no tool."""
        self._calls: dict[str, dict[str, Any]] = {}

    @property
    def uncollected(self) -> dict[str, str]:
        """What to remind of: not what only another open call needs, and nothing twice."""
        needed = {need for token in self.open for need in self.needs.get(token, ())}
        return {one: tool for one, tool in self.open.items() if one not in needed | self.reminded}

    def read(self, entry: dict[str, Any]) -> None:
        """Take in one line of the transcript."""
        if entry.get("isSidechain"):
            return
        is_about_tools = False
        if entry.get("type") in ("assistant", "user"):
            self.waits_for_model = entry["type"] == "user"
        for block in map(as_dict, as_list(as_dict(entry.get("message")).get("content"))):
            if block.get("type") == "tool_use":
                is_about_tools = self.waits_for_model = True
                self._calls[str(block.get("id"))] = block
            elif block.get("type") == "tool_result":
                is_about_tools = True
                call = self._calls.get(str(block.get("tool_use_id")), {})
                name = str(call.get("name"))
                if name.startswith("mcp__"):
                    self._take_result(name.rpartition("__")[2], as_dict(call.get("input")), text_of(block))
        said = json.dumps(entry, ensure_ascii=False)
        if not is_about_tools and REMINDER in said:
            self.reminded |= set(TOKEN.findall(said.partition(REMINDER)[2]))

    def _take_result(self, tool: str, arguments: dict[str, Any], text: str) -> None:
        named = set(TOKEN.findall(json.dumps(arguments)))
        pending = PENDING.match(text)
        if pending is not None:
            self.open[pending[1]] = pending[2]
            self.needs[pending[1]] = named
        elif tool == "await_future":
            self._close(self._awaited(arguments) - unsettled_in(text))
        elif tool == "cancel_future":
            self._close(named)
        elif tool not in ("get_future", "list_futures"):
            self._close(named)  # it has its value, so what that was made from has settled
        if tool != "list_futures":
            self._close(set(SETTLED.findall(text)))
            self._close({one for line in TAKEN_ALONG.findall(text) for one in TOKEN.findall(line)})

    def _awaited(self, arguments: dict[str, Any]) -> set[str]:
        """The tokens that an await was for; without any it is for all."""
        futures: Any = arguments.get("futures") or ""
        words = re.split(r"[\s,\[\]\"]+", futures) if isinstance(futures, str) else as_list(futures)
        tokens = {word if word.startswith("fut_") else "fut_" + word for word in map(str, words) if word}
        return {found[0] for found in map(TOKEN.match, tokens) if found} or set(self.open)

    def _close(self, tokens: set[str]) -> None:
        left = list(tokens)
        while left:
            token = left.pop()
            self.open.pop(token, None)
            left += self.needs.pop(token, ())


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def as_dict(value: Any) -> dict[str, Any]:
    """The value if it is a dictionary, else an empty one."""
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def text_of(tool_result: dict[str, Any]) -> str:
    """The text of a tool result, which is a string or blocks."""
    content = tool_result.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(as_dict(block).get("text", "")) for block in as_list(content))


def unsettled_in(text: str) -> set[str]:
    """The tokens that the answer to an await says are not settled."""
    lines = (first or rest for first, rest in STILL_UNSETTLED.findall(text))
    return {token for line in lines for token in TOKEN.findall(line)}


def entries(transcript: Path) -> Iterator[dict[str, Any]]:
    """The lines of the transcript that can matter."""
    with transcript.open(encoding="utf-8-sig", errors="replace") as lines:
        for line in lines:
            if '"assistant"' in line or '"user"' in line or REMINDER in line:
                try:
                    yield as_dict(json.loads(line))
                except (ValueError, RecursionError):  # it is being written, or nobody could read it
                    continue


def conversation_in(transcript: Path) -> Conversation:
    """What the transcript holds, once it holds the end: it is written beside this, and on a busy machine after it."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        conversation = Conversation()
        for entry in entries(transcript):
            conversation.read(entry)
        if not conversation.waits_for_model or time.monotonic() > give_up_at:
            return conversation
        time.sleep(PAUSE_S)


def reminder(uncollected: dict[str, str]) -> str:
    """What the model is told."""
    listed = ", ".join(f"{token} ({tool})" for token, tool in uncollected.items())
    tokens: list[str] = list(uncollected)
    return (
        f"{REMINDER} {listed}. If your answer needs any of them, get them now, all in one call: "
        f"await_future({json.dumps(tokens)}). Do not guess their values. Stop with cancel_future what nobody needs. If "
        "the user only wanted them started, say that they are running and under which tokens, and stop."
    )


def main() -> None:
    """Answer the hook's question on stdin: nothing, or why the model should go on."""
    event = json.load(sys.stdin.buffer)  # in UTF-8, whatever the console is set to
    if event.get("stop_hook_active"):  # it goes on because of a reminder already
        return
    conversation = conversation_in(Path(event["transcript_path"]).expanduser())
    if conversation.uncollected:
        print(json.dumps({"decision": "block", "reason": reminder(conversation.uncollected)}))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as fault:
        print(f"asyncfc: no reminder: {type(fault).__name__}", file=sys.stderr)
