"""A server of the handshake era, with nothing but the standard library, that asks while it is asked for a prompt."""

from __future__ import annotations

import json
import sys
from typing import Any

FORM: dict[str, Any] = {
    "mode": "form",
    "message": "Which password?",
    "requestedSchema": {"type": "object", "properties": {}},
}
waiting: list[Any] = []
"""The ids of the calls that wait, and then that of the prompt."""


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(identity: Any, method: str) -> None:
    match method:
        case "initialize":
            capabilities: dict[str, Any] = {"tools": {}, "prompts": {}}
            info = {"name": "prompting", "version": "1"}
            result = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}
            send(id=identity, result=result)
        case "tools/list":
            send(id=identity, result={"tools": [{"name": "wait", "inputSchema": {"type": "object"}}]})
        case "prompts/list":
            send(id=identity, result={"prompts": [{"name": "fill"}]})
        case "tools/call":
            waiting.append(identity)
        case "prompts/get":
            waiting.append(identity)
            send(id="question", method="elicitation/create", params=FORM)
        case _:
            send(id=identity, result={})


def fill(answered: dict[str, Any]) -> None:
    """Answer the prompt, and every call."""
    content = {"type": "text", "text": json.dumps(answered)}
    send(id=waiting.pop(), result={"messages": [{"role": "user", "content": content}]})
    while waiting:
        send(id=waiting.pop(), result={"content": [content]})


for line in sys.stdin:
    message = json.loads(line)
    if message.get("id") == "question":
        fill(message)
    elif "id" in message:
        answer(message["id"], message["method"])
