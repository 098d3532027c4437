"""A server of the handshake era that asks for roots at once and whenever they change, as server-filesystem does.

Over stdio. Its tools say what the client answered last (`roots`), ask once more in their course (`look`), or end it.
Started with `deaf` it does not care for changes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

TOOLS = [
    {"name": name, "description": "What the client said.", "inputSchema": {"type": "object"}}
    for name in ("roots", "look", "end")
]


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(said: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": json.dumps(said)}]}


class Rooted:
    """What it was told, and who waits for it."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.asked = 0
        self.looking: list[Any] = []

    def ask(self) -> None:
        self.asked += 1
        say({"id": f"roots-{self.asked}", "method": "roots/list"})

    def take(self, message: dict[str, Any]) -> None:
        match message.get("method"):
            case None:
                self.said = message.get("result") or message["error"]
                for call in self.looking:
                    say({"id": call, "result": text(self.said)})
                self.looking.clear()
            case "notifications/initialized":
                self.ask()
            case "notifications/roots/list_changed" if "deaf" not in sys.argv:
                self.ask()
            case "server/discover":
                say({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
            case "tools/call" if message["params"]["name"] == "look":
                self.looking.append(message["id"])
                self.ask()
            case "tools/call" if message["params"]["name"] == "end":
                sys.exit()
            case method if "id" in message:
                say({"id": message["id"], "result": self.result(method, message)})
            case _:
                pass

    def result(self, method: str, message: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "initialize":
                version = message["params"]["protocolVersion"]
                info = {"name": "rooted", "version": "1"}
                return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/list":
                return {"tools": TOOLS}
            case _:
                return text(self.said)


rooted = Rooted()
for line in sys.stdin:
    rooted.take(json.loads(line))
