"""A small server of the handshake era, with the standard library alone, that says what a test tells it to say.

Its one tool is `say`; a file, named on its command line, holds what the tool is and answers, and is read anew for each
request. `relay` gives back the text that it was sent.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(sys.argv[1])
RELAY = {
    "name": "relay",
    "description": "Gives back the text.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
RELIST = {"name": "relist", "description": "Has the list read again.", "inputSchema": {"type": "object"}}


def script() -> dict[str, Any]:
    return json.loads(SCRIPT.read_text(encoding="utf-8"))


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def call(name: str, arguments: dict[str, Any]) -> Any:
    match name:
        case "relay":
            return {"content": [{"type": "text", "text": arguments["text"]}]}
        case "relist":
            send({"method": "notifications/tools/list_changed"})
            return {"content": [{"type": "text", "text": "look again"}]}
        case _:
            return script()["answer"]


def answer(request: dict[str, Any]) -> Any:
    params: dict[str, Any] = request.get("params") or {}
    match request["method"]:
        case "initialize":
            return {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "shifty", "version": "1"},
            }
        case "tools/list":
            say = {"name": "say", "inputSchema": {"type": "object"}, **script().get("tool", {})}
            return {"tools": [say, RELAY, RELIST, *script().get("more_tools", [])]}
        case "tools/call":
            return call(params["name"], params.get("arguments") or {})
        case _:
            return {}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "id" in request and "method" in request:
            send({"id": request["id"], "result": answer(request)})


main()
