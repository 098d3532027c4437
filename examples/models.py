"""What stands for the model in agent.py: a script, or any OpenAI-compatible end point."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio.to_thread
from mcp_types import Tool

Message = dict[str, Any]
Model = Callable[[Sequence[Message]], Awaitable[Message]]


def chosen_model(tools: Sequence[Tool]) -> Model:
    """The end point that the environment names, else the script."""
    return endpoint(tools) if "OPENAI_BASE_URL" in os.environ else scripted


def call(identity: str, tool: str, **arguments: Any) -> Message:
    """One tool call, as models write it."""
    return {"id": identity, "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}


# A whole program in one message: `_as` names each future, so that calls can refer to others sent beside them.
PROGRAM = [
    call("1", "search_papers", topic="Futures", _as="hits"),
    call("2", "read_paper", paper_id="fut_hits/0/id", _as="one"),
    call("3", "read_paper", paper_id="fut_hits/1/id", _as="two"),
    call("4", "save_note", text="${fut_one} ${fut_two}", _as="note"),
]
AWAIT = [call("5", "await_future", futures=["fut_note"])]


async def scripted(messages: Sequence[Message]) -> Message:
    """What a model that knows tokens would say: first the calls, then the await, then the answer."""
    said = sum(message["role"] == "assistant" for message in messages)
    if said < 2:
        return {"role": "assistant", "content": None, "tool_calls": [PROGRAM, AWAIT][said]}
    return {"role": "assistant", "content": messages[-1]["content"].splitlines()[0]}


def endpoint(tools: Sequence[Tool]) -> Model:
    """Asks OPENAI_BASE_URL (such as http://127.0.0.1:11434/v1) for OPENAI_MODEL, with OPENAI_API_KEY if it is set."""
    functions = [
        {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema} for tool in tools
    ]
    offered = [{"type": "function", "function": function} for function in functions]

    async def ask(messages: Sequence[Message]) -> Message:
        body = {"model": os.environ["OPENAI_MODEL"], "messages": messages, "tools": offered}
        return await anyio.to_thread.run_sync(_posted, body)

    return ask


def _posted(body: Message) -> Message:
    url = f"{os.environ['OPENAI_BASE_URL'].rstrip('/')}/chat/completions"
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("OPENAI_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)["choices"][0]["message"]
