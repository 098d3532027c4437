"""A small MCP server of the handshake era with nothing but the standard library, so that it starts in a moment.

Its calls run in threads. What a test must be able to time is a tool: `hold` blocks until `release` names the same key.
Its one piece of state is a dictionary and a log of what was done to it, in the order in which it was done.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from typing import Any, cast

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
STRING = {"type": "string"}
NUMBER = {"type": "number"}


def tool(name: str, hints: dict[str, bool] | None = None, output: Any = None, **properties: Any) -> dict[str, Any]:
    required = [key for key, schema in properties.items() if "default" not in schema]
    described: dict[str, Any] = {
        "name": name,
        "description": f"The toy tool {name}.",
        "inputSchema": {"type": "object", "properties": properties, "required": required},
    }
    if hints:
        described["annotations"] = hints
    if output:
        described["outputSchema"] = output
    return described


TOOLS = [
    tool("echo", text=STRING),
    tool("add", a=NUMBER, b=NUMBER),
    tool("record", output={"type": "object", "properties": {"items": {"type": "array"}}}, count={"type": "integer"}),
    tool("picture"),
    tool("large", size={"type": "integer"}, note={**STRING, "default": ""}),
    tool("fail", message=STRING),
    tool("reject", message=STRING),
    tool("die"),
    tool("start_helper"),
    tool("hold", key=STRING),
    tool("hold_and_fail", key=STRING, message=STRING),
    tool("destroy", {"destructiveHint": True}, key=STRING),
    tool("release", key=STRING),
    tool("started", {"readOnlyHint": True}, key=STRING),
    tool("steps", key=STRING),
    tool(
        "put", key=STRING, value=STRING, delay_s={**NUMBER, "default": 0}, fails={"type": "boolean", "default": False}
    ),
    tool(
        "append",
        key=STRING,
        value=STRING,
        delay_s={**NUMBER, "default": 0},
        fails={"type": "boolean", "default": False},
    ),
    tool("get", {"readOnlyHint": True}, key=STRING, delay_s={**NUMBER, "default": 0}),
    tool("state", {"readOnlyHint": True}),
    tool("sleep", seconds=NUMBER),
    tool("list_arguments", values={"type": "array", "items": STRING}, options={"type": "object"}),
    tool("cancelled", {"readOnlyHint": True}),
    tool("ask", method=STRING, params={"type": "object"}, gate={**STRING, "default": ""}),
    tool("ask_when_cancelled", {"destructiveHint": True}, key=STRING),
    tool("complete_elicitation", elicitation=STRING),
    tool("claimed", {"readOnlyHint": True}),
    tool("log_messages", level=STRING, data=STRING, count={"type": "integer", "default": 1}),
    tool("change_tools"),
]


class Failure(Exception):
    """The tool fails: a result with `isError`."""


class Rejection(Exception):
    """The server refuses the request: a JSON-RPC error."""


class Toy:
    """All that the server remembers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.gates: dict[str, threading.Event] = {}
        self.entered: dict[str, threading.Event] = {}
        self.state: dict[str, str] = {}
        self.cancelled: list[Any] = []
        self.random = random.Random(sys.argv[1] if len(sys.argv) > 1 else "toy")
        self.tools = list(TOOLS)
        self.capabilities: Any = None
        self.answers: dict[str, Any] = {}
        self.asked = 0

    def event(self, events: dict[str, threading.Event], key: str) -> threading.Event:
        with self.lock:
            return events.setdefault(key, threading.Event())

    def call(self, name: str, arguments: dict[str, Any], progress_token: Any) -> Any:
        return getattr(self, f"do_{name}")(progress_token=progress_token, **arguments)

    def do_echo(self, text: Any, **_: Any) -> Any:
        return text if isinstance(text, str) else json.dumps(text)

    def do_add(self, a: float, b: float, **_: Any) -> Any:
        return str(a + b)

    def do_record(self, count: int, **_: Any) -> Any:
        record = {"items": [{"id": f"item-{number}", "size": number} for number in range(count)]}
        return {"content": [{"type": "text", "text": json.dumps(record)}], "structuredContent": record}

    def do_picture(self, **_: Any) -> Any:
        return {"content": [{"type": "image", "data": PIXEL, "mimeType": "image/png"}]}

    def do_large(self, size: int, **_: Any) -> Any:
        return "x" * size

    def do_fail(self, message: str, **_: Any) -> Any:
        raise Failure(message)

    def do_reject(self, message: str, **_: Any) -> Any:
        raise Rejection(message)

    def do_die(self, **_: Any) -> Any:
        sys.stdout.flush()
        os._exit(3)

    def do_start_helper(self, **_: Any) -> Any:
        # It inherits our pipes and outlives us for a while.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
        return "started"

    def do_hold(self, key: str, **_: Any) -> Any:
        self.event(self.entered, key).set()
        self.event(self.gates, key).wait()
        return f"held {key}"

    def do_hold_and_fail(self, key: str, message: str, **_: Any) -> Any:
        self.do_hold(key)
        raise Failure(message)

    do_destroy = do_hold

    def do_release(self, key: str, **_: Any) -> Any:
        self.event(self.gates, key).set()
        return f"released {key}"

    def do_started(self, key: str, **_: Any) -> Any:
        self.event(self.entered, key).wait()
        return f"started {key}"

    def do_steps(self, key: str, progress_token: Any = None, **_: Any) -> Any:
        for step in (1, 2, 3):
            if progress_token is not None:
                note = {"progressToken": progress_token, "progress": step, "total": 3, "message": f"step {step}"}
                send({"method": "notifications/progress", "params": note})
        return self.do_hold(key)

    def do_put(self, key: str, value: str, delay_s: float = 0, fails: bool = False, **_: Any) -> Any:
        time.sleep(delay_s)
        if fails:
            raise Failure(f"cannot put {key}")
        with self.lock:
            self.state[key] = value
        return f"{key} is {value}"

    def do_append(self, key: str, value: str, delay_s: float = 0, fails: bool = False, **_: Any) -> Any:
        before = self.state.get(key, "")
        time.sleep(delay_s)
        if fails:
            raise Failure(f"cannot append to {key}")
        # Not atomic on purpose: two of them at once lose an update.
        self.state[key] = before + value
        return self.state[key]

    def do_get(self, key: str, delay_s: float = 0, **_: Any) -> Any:
        time.sleep(delay_s)
        return self.state.get(key, "nothing")

    def do_state(self, **_: Any) -> Any:
        return json.dumps(self.state, sort_keys=True)

    def do_sleep(self, seconds: float, **_: Any) -> Any:
        time.sleep(seconds)
        return f"slept {seconds}"

    def do_list_arguments(self, values: Any, options: Any, **_: Any) -> Any:
        return json.dumps({"values": values, "options": options})

    def do_cancelled(self, **_: Any) -> Any:
        return json.dumps(len(self.cancelled))

    def ask(self, method: str, params: Any) -> Any:
        """Send a request to the client and wait for what it answers: a result or an error."""
        with self.lock:
            self.asked += 1
            identity = f"ask-{self.asked}"
        answered = self.event(self.gates, identity)
        send({"id": identity, "method": method, "params": params})
        answered.wait()
        return self.answers.pop(identity)

    def do_ask(self, method: str, params: Any, gate: str = "", **_: Any) -> Any:
        if gate:
            self.do_hold(gate)
        return json.dumps(self.ask(method, params), sort_keys=True)

    def do_ask_when_cancelled(self, key: str, **_: Any) -> Any:
        self.do_hold(key)
        self.answers["late"] = self.ask("elicitation/create", {"message": "late?", "requestedSchema": {}})
        self.event(self.entered, "late").set()
        return "too late"

    def do_claimed(self, **_: Any) -> Any:
        return json.dumps(self.capabilities, sort_keys=True)

    def do_log_messages(self, level: str, data: str, count: int = 1, **_: Any) -> Any:
        for number in range(count):
            send({"method": "notifications/message", "params": {"level": level, "data": f"{data} {number}"}})
        return "said"

    def do_complete_elicitation(self, elicitation: str, **_: Any) -> Any:
        send({"method": "notifications/elicitation/complete", "params": {"elicitationId": elicitation}})
        return "completed"

    def do_change_tools(self, **_: Any) -> Any:
        self.tools.append(tool(f"new_{len(self.tools)}"))
        send({"method": "notifications/tools/list_changed"})
        return "changed"


OUTPUT = threading.Lock()
TOY = Toy()


def send(message: dict[str, Any]) -> None:
    with OUTPUT:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def text_result(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


def answer(request: dict[str, Any]) -> None:
    params: dict[str, Any] = request.get("params") or {}
    match request["method"]:
        case "initialize":
            TOY.capabilities = params.get("capabilities")
            capabilities = {"logging": {}, "tools": {"listChanged": True}}
            result: Any = {
                "protocolVersion": "2025-11-25",
                "capabilities": capabilities,
                "serverInfo": {"name": "toy", "version": "1"},
                "instructions": "Play nicely.",
            }
        case "tools/list":
            result = {"tools": TOY.tools}
        case "tools/call":
            meta: dict[str, Any] = params.get("_meta") or {}
            token = meta.get("progressToken")
            try:
                value = TOY.call(params["name"], params.get("arguments") or {}, token)
                result = cast("Any", value) if isinstance(value, dict) else text_result(value)
            except Failure as failure:
                result = text_result(str(failure), isError=True)
            except Rejection as rejection:
                send({"id": request["id"], "error": {"code": -32602, "message": str(rejection), "data": {"toy": True}}})
                return
        case "ping" | "logging/setLevel":
            result = {}
        case _:
            send({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
            return
    send({"id": request["id"], "result": result})


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "notifications/cancelled":
            TOY.cancelled.append(message["params"]["requestId"])
        if "id" in message and "method" not in message:
            TOY.answers[message["id"]] = {key: message[key] for key in ("result", "error") if key in message}
            TOY.event(TOY.gates, message["id"]).set()
        if "id" in message and "method" in message:
            threading.Thread(target=answer, args=(message,), daemon=True).start()


if __name__ == "__main__":
    main()
