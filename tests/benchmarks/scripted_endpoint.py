"""An OpenAI-compatible endpoint on loopback whose model is a function of what it is shown."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Json = dict[str, Any]
TOKENS = re.compile(r"(fut_[a-z0-9_]+) stands for the result")
PROMPT_TOKENS, COMPLETION_TOKENS = 100, 10
"""What each answer says that it has cost."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the model sees."""

    messages: list[Json]
    tools: tuple[str, ...]
    body: Json

    @property
    def round(self) -> int:
        """How often it has spoken since the user did."""
        backwards = [message["role"] for message in reversed(self.messages)]
        return backwards[: backwards.index("user")].count("assistant")

    @property
    def results(self) -> list[str]:
        return [message["content"] for message in self.messages if message["role"] == "tool"]

    @property
    def tokens(self) -> list[str]:
        """Of pending results, each once."""
        return list(dict.fromkeys(TOKENS.findall("\n".join(self.results))))

    @property
    def is_async(self) -> bool:
        return "await_future" in self.tools


Model = Callable[[Shown], Json | Response]


def say(text: str) -> Json:
    return {"role": "assistant", "content": text}


def call(*calls: tuple[str, Json | str]) -> Json:
    """Arguments that are text are sent as they are, however broken."""
    written = [
        {
            "id": f"call_{uuid.uuid4().hex}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for name, given in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": written}


def refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status)


@dataclass(slots=True)
class Stub:
    """The endpoint while it runs."""

    url: str = ""
    bodies: list[Json] = field(default_factory=list[Json])
    keys: set[str] = field(default_factory=set[str])


@contextmanager
def endpoint(model: Model, *, calls_tools: bool = True) -> Generator[Stub]:
    stub = Stub()

    async def complete(request: Request) -> Response:
        body = await request.json()
        stub.bodies.append(body)
        stub.keys.add(request.headers.get("Authorization", ""))
        names = tuple(tool["function"]["name"] for tool in body["tools"])
        if names == ("say",) and calls_tools:
            answer: Json | Response = call(("say", {"word": "ready"}))
        else:
            answer = model(Shown(body["messages"], names, body))
        if isinstance(answer, Response):
            return answer
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
        return JSONResponse({"choices": [{"message": answer}], "usage": usage})

    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    config = uvicorn.Config(app, port=0, log_level="critical", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    socket.listen()  # the server does so too, but in its own time
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    try:
        stub.url = f"http://127.0.0.1:{socket.getsockname()[1]}/v1"
        yield stub
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        socket.close()
