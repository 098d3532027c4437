"""A model that plays a fixed conversation, behind the two kinds of end point that agents speak to.

It knows tokens: it writes a whole dependent program in one message, awaits the end of it, and answers with that.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse

from tests.benchmarks.scripted_endpoint import Shown, call, endpoint, say
from tests.clients.model_stub import Json, Turn, model_stub, text, tool_results, tool_use

Calls = Sequence[tuple[str, dict[str, Any]]]

PROGRAM: Calls = [
    ("search_papers", {"topic": "Futures", "_as": "hits"}),
    ("read_paper", {"paper_id": "fut_hits/0/id", "_as": "one"}),
    ("read_paper", {"paper_id": "fut_hits/1/id", "_as": "two"}),
    ("save_note", {"text": "${fut_one} ${fut_two}", "_as": "note"}),
]
AWAIT: Calls = [("await_future", {"futures": ["fut_note"]})]


@dataclass(slots=True)
class Played:
    """Where the model is, and what it was shown."""

    environment: dict[str, str] = field(default_factory=dict[str, str])
    """What names it to an agent."""
    instructions: str = ""
    tools: tuple[str, ...] = ()
    results: list[str] = field(default_factory=list[str])
    """Of the tools, in the order in which the agent showed them."""


@contextmanager
def openai_model() -> Generator[Played]:
    played = Played()

    def model(shown: Shown) -> JSONResponse:
        played.instructions, played.tools = str(shown.messages[0]["content"]), shown.tools
        played.results = shown.results
        match shown.round:
            case 0:
                said = call(*PROGRAM)
            case 1:
                said = call(*AWAIT)
            case _:
                said = say(shown.results[-1].splitlines()[0])
        return JSONResponse(completion(said))

    with endpoint(model) as stub:
        played.environment = {"OPENAI_BASE_URL": stub.url, "OPENAI_API_KEY": "none", "OPENAI_MODEL": "scripted"}
        yield played


def completion(said: Json) -> Json:
    """A message as the whole answer of the API, which some SDKs check."""
    reason = "tool_calls" if said.get("tool_calls") else "stop"
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": "scripted",
        "choices": [{"index": 0, "message": said, "finish_reason": reason, "logprobs": None}],
        "usage": usage,
    }


@contextmanager
def anthropic_model() -> Generator[Played]:
    played = Played()

    def turn(blocks: Callable[[list[Json]], list[Json]]) -> Turn:
        def answer(messages: list[Json]) -> list[Json]:
            request = stub.shown[-1]
            played.instructions = json.dumps(request["system"], ensure_ascii=False)
            played.tools = tuple(tool["name"] for tool in request["tools"])
            played.results = tool_results(messages)
            return blocks(messages)

        return answer

    turns = (
        turn(lambda _: [tool_use(name, **arguments) for name, arguments in PROGRAM]),
        turn(lambda _: [tool_use(name, **arguments) for name, arguments in AWAIT]),
        turn(lambda messages: [text(tool_results(messages)[-1].splitlines()[0])]),
    )
    with model_stub(*turns) as stub:
        played.environment = {
            "ANTHROPIC_BASE_URL": stub.url,
            "ANTHROPIC_API_KEY": "none",
            "ANTHROPIC_MODEL": "scripted",
        }
        yield played
