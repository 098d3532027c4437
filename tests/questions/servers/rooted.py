"""A server of the handshake era that asks for roots at once, as server-filesystem does; over stdio."""

from __future__ import annotations

import json
import sys
from typing import Any

ASKED = "roots-1"
TOOL = {"name": "roots", "description": "What the client said.", "inputSchema": {"type": "object"}}


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def result(message: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    match message["method"]:
        case "initialize":
            version = message["params"]["protocolVersion"]
            info = {"name": "rooted", "version": "1"}
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": [TOOL]}
        case _:
            return {"content": [{"type": "text", "text": json.dumps(said)}]}


def main() -> None:
    said: dict[str, Any] = {}
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("id") == ASKED:
            said = message.get("result") or message["error"]
        elif message.get("method") == "notifications/initialized":
            say({"id": ASKED, "method": "roots/list"})
        elif message.get("method") == "server/discover":
            say({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
        elif "id" in message:
            say({"id": message["id"], "result": result(message, said)})


main()
