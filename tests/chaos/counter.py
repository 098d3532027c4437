"""A server that notes each execution in a journal before it answers, so that they can be counted whoever dies.

Nothing but the standard library, over stdio or HTTP. SIGUSR1 has it say something that no server should.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import random
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, cast

from tests.chaos import payload

Json = dict[str, Any]

STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
COMMON = {
    "call": STRING,
    "key": STRING,
    "value": STRING,
    "delay_s": NUMBER,
    "size": INTEGER,
    "fails": {"type": "boolean"},
}
HINTS: dict[str, Json] = {
    "write": {},
    "record": {},
    "repeatable": {"idempotentHint": True},
    "read": {"readOnlyHint": True},
}
TOOLS = [
    {
        "name": name,
        "description": f"Does one {name} and notes it.",
        "inputSchema": {"type": "object", "properties": COMMON, "required": ["call", "key"]},
        **({"annotations": hints} if hints else {}),
    }
    for name, hints in HINTS.items()
]
PROMPTS = [{"name": "say", "description": "Says it.", "arguments": [{"name": "text", "required": True}]}]


class Counter:
    """One process of the server."""

    def __init__(self, name: str, journal: str, plant: str) -> None:
        self.name = name
        self.plant = plant
        self.random = random.Random()
        self.output = threading.Lock()
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, do: str, arguments: Json, tool: str) -> None:
        """One line, written whole or not at all."""
        line = {
            "do": do,
            "server": self.name,
            "tool": tool,
            "call": arguments["call"],
            "value": payload.digest(str(arguments.get("value", ""))),
            "at": time.monotonic_ns(),
            "process": os.getpid(),
        }
        os.write(self._journal, json.dumps(line).encode() + b"\n")

    def begin(self, request: Json) -> None:
        """The call takes effect; in the order in which calls are read."""
        if request.get("method") == "tools/call":
            params = request["params"]
            self.note("begin", params["arguments"], params["name"])
            if self.plant == "twice" and self.random.random() < 0.05:
                self.note("begin", params["arguments"], params["name"])

    def answer(self, request: Json) -> Json:
        """What is said to a request, without its envelope."""
        params: Json = request.get("params") or {}
        match request["method"]:
            case "initialize":
                return {
                    "result": {
                        "protocolVersion": "2025-11-25",
                        "capabilities": {"tools": {}, "prompts": {}},
                        "serverInfo": {"name": self.name, "version": "1"},
                    }
                }
            case "tools/list":
                return {"result": {"tools": TOOLS}}
            case "prompts/list":
                return {"result": {"prompts": PROMPTS}}
            case "prompts/get":
                said = {"type": "text", "text": params["arguments"]["text"]}
                return {"result": {"messages": [{"role": "user", "content": said}]}}
            case "tools/call":
                return {"result": self._called(params["name"], params["arguments"])}
            case "ping":
                return {"result": {}}
            case _:
                return {"error": {"code": -32601, "message": "Method not found"}}

    def _called(self, tool: str, arguments: Json) -> Json:
        time.sleep(arguments.get("delay_s", 0))
        call, size = str(arguments["call"]), int(arguments.get("size", 0))
        self.note("end", arguments, tool)
        if arguments.get("fails"):
            return {"content": [{"type": "text", "text": payload.broken(call)}], "isError": True}
        if tool == "record":
            value = payload.record(call, size)
            return {"content": [{"type": "text", "text": json.dumps(value)}], "structuredContent": value}
        text = payload.text(call, size)
        if self.plant == "value" and self.random.random() < 0.05:
            text += "?"
        return {"content": [{"type": "text", "text": text}]}


# Over stdio


def serve_stdio(counter: Counter) -> None:
    last: list[Json] = []

    def send(message: Json) -> None:
        with counter.output:
            sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            sys.stdout.buffer.flush()
            last[:] = [message]

    def misbehave(number: int, frame: FrameType | None) -> None:
        # in a thread: the main one may hold the lock
        threading.Thread(target=say_nonsense, daemon=True).start()

    def say_nonsense() -> None:
        known = last[0].get("id", 1) if last else 1
        lie = {"content": [{"type": "text", "text": "a second answer to a call that has had one"}]}
        nonsense = counter.random.choice(
            [
                b"Traceback (most recent call last): this is no JSON\n",
                b"\xff\xfe\x00\x80 neither UTF-8\n",
                b'{"jsonrpc": "2.0", "id": ',
                b'[{"jsonrpc": "2.0"}, 1, null]\n',
                b"[" * 5_000 + b"\n",
                b'"' + b"x" * 2_000_000 + b'"\n',
                json.dumps({"jsonrpc": "2.0", "id": 10**9, "result": lie}).encode() + b"\n",
                json.dumps({"jsonrpc": "2.0", "id": {"a": 1}, "result": lie}).encode() + b"\n",
                json.dumps({"jsonrpc": "2.0", "id": known, "result": lie}).encode() + b"\n",
                json.dumps({"jsonrpc": "2.0", "method": "notifications/none", "params": 7}).encode() + b"\n",
                b"\n\n\r\n",
            ]
        )
        with counter.output:
            sys.stdout.buffer.write(nonsense)
            sys.stdout.buffer.flush()

    signal.signal(signal.SIGUSR1, misbehave)

    def reply(request: Json) -> None:
        send({"id": request["id"], **counter.answer(request)})

    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "id" in request and "method" in request:
            counter.begin(request)
            threading.Thread(target=reply, args=(request,), daemon=True).start()


# Over HTTP


class Handler(http.server.BaseHTTPRequestHandler):
    """One request; the sessions of a process end with it."""

    protocol_version = "HTTP/1.1"
    counter: Counter
    sessions: set[str]
    is_crooked = False

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        request = cast("Json", body)
        session = self.headers.get("mcp-session-id")
        if request.get("method") == "initialize":
            session = f"{os.getpid()}-{self.counter.random.getrandbits(60)}"
            self.sessions.add(session)
        elif session is None or session not in self.sessions:
            self._say(404 if session else 400, b"")
            return
        if "id" not in request or "method" not in request:
            self._say(202, b"")
            return
        self.counter.begin(request)
        answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], **self.counter.answer(request)}).encode()
        if Handler.is_crooked:
            Handler.is_crooked = False
            self._say_nonsense(answer, session)
        else:
            self._say(200, answer, session)

    def do_GET(self) -> None:
        self._say(405, b"")

    def do_DELETE(self) -> None:
        self.sessions.discard(self.headers.get("mcp-session-id", ""))
        self._say(200, b"")

    def _say_nonsense(self, answer: bytes, session: str) -> None:
        kind = self.counter.random.randrange(3)
        if kind == 0:
            self._say(200, b"<html>502</html>", session)
        elif kind == 1:
            self._say(500, b"", session)
        else:  # half of it, and the connection ends
            self._say(200, answer[: len(answer) // 2], session, length=len(answer))
            self.close_connection = True

    def _say(self, status: int, body: bytes, session: str | None = None, length: int | None = None) -> None:
        self.send_response(status)
        if session:
            self.send_header("mcp-session-id", session)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Say nothing."""


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what this is about."""


def serve_http(counter: Counter, port: int) -> None:
    def misbehave(number: int, frame: FrameType | None) -> None:
        Handler.is_crooked = True

    Handler.counter, Handler.sessions = counter, set()
    signal.signal(signal.SIGUSR1, misbehave)
    QuietServer(("127.0.0.1", port), Handler).serve_forever(poll_interval=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--plant", default="")
    options = parser.parse_args()
    counter = Counter(options.name, options.journal, options.plant)
    if options.port is None:
        serve_stdio(counter)
    else:
        serve_http(counter, options.port)


if __name__ == "__main__":
    main()
