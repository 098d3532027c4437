"""A stand-in for a model's API on loopback that plays a fixed conversation and keeps what the model was shown.

It speaks the streaming Messages API, as far as an agent needs it. A turn is a function of what has been said so far and
gives the blocks of the answer; a request that offers no tools (a title, a summary) is not part of the conversation.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
Turn = Callable[[list[Json]], list[Json]]
"""Gives the blocks of the model's next answer, from the messages that it was shown."""


@dataclass(slots=True)
class ModelStub:
    """What the agent may ask and what it did ask."""

    turns: Sequence[Turn]
    url: str = ""
    shown: list[Json] = field(default_factory=list[Json])
    """The requests of the conversation, one a turn."""
    failure: Exception | None = None
    """Why a turn had no answer."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Json) -> list[Json]:
        if not request.get("tools"):
            return [text("Fine.")]
        with self.lock:
            self.shown.append(request)
            number = len(self.shown) - 1
        if number >= len(self.turns):
            return [text("There is nothing more to say.")]
        try:
            return self.turns[number](request["messages"])
        except (AssertionError, LookupError) as error:
            # an agent whose model does not answer would ask again for minutes
            self.failure = error
            return [text(f"This is not what was expected: {tool_results(request['messages'])[-1:]}")]


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def tool_use(name: str, **arguments: Any) -> Json:
    return {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex}", "name": name, "input": arguments}


def tool_results(messages: list[Json]) -> list[str]:
    """The texts that tools have answered with so far, in order."""
    contents: list[list[Json]] = [message["content"] for message in messages if isinstance(message["content"], list)]
    return [text_of(block) for content in contents for block in content if block.get("type") == "tool_result"]


def text_of(tool_result: Json) -> str:
    content = tool_result.get("content", "")
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", f"[{block['type']}]") for block in content)


@contextmanager
def model_stub(*turns: Turn) -> Generator[ModelStub]:
    stub = ModelStub(turns)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.split("?")[0] != "/v1/messages":
                return self.give("application/json", json.dumps({"input_tokens": 1}))
            message = reply(request, stub.answer(request))
            if request.get("stream"):
                return self.give("text/event-stream", "".join(map(as_event, events(message))))
            return self.give("application/json", json.dumps(message))

        def do_GET(self) -> None:
            self.give("application/json", "{}")

        def do_HEAD(self) -> None:
            self.give("application/json", "")

        def give(self, kind: str, body: str) -> None:
            encoded = body.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its own name there
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stub.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield stub
        finally:
            server.shutdown()


def reply(request: Json, content: list[Json]) -> Json:
    wants_tools = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": content,
        "stop_reason": "tool_use" if wants_tools else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def events(message: Json) -> list[Json]:
    """The message as the stream says it, each block in one piece."""
    said: list[Json] = [{"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}]
    for index, block in enumerate(message["content"]):
        empty: Json = {**block, "text": ""}
        delta: Json = {"type": "text_delta", "text": block.get("text")}
        if block["type"] == "tool_use":
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        said.append({"type": "content_block_start", "index": index, "content_block": empty})
        said.append({"type": "content_block_delta", "index": index, "delta": delta})
        said.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    said.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}})
    said.append({"type": "message_stop"})
    return said


def as_event(data: Json) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n"
