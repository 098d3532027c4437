"""A server that says whatever it is told to, whenever: raw lines, floods, questions nobody wants, silence.

`pushy.py ERA`: legacy or modern. Nothing but the standard library. Every prompt, resource and completion whose name
holds `never` is never answered.
"""

from __future__ import annotations

import json
import sys
from typing import Any

ERA = sys.argv[1] if len(sys.argv) > 1 else "legacy"
TOOLS = ("emit", "rounds", "flood", "ask_many", "heard", "never", "drop_tool", "ask_when_cancelled", "release")


class Pushy:
    """All that the server remembers."""

    def __init__(self) -> None:
        self.tools = [*TOOLS, "brief"]
        self.heard: list[dict[str, Any]] = []
        self.held: dict[str, Any] = {}
        """From the key of a call that waits to its id."""
        self.waits_for: dict[Any, set[str]] = {}
        """From the id of a call to the questions that it waits for."""
        self.answered = {"result": 0, "error": 0}
        self.late: set[Any] = set()

    def take(self, message: dict[str, Any]) -> None:
        method: str | None = message.get("method")
        params: dict[str, Any] = message.get("params") or {}
        if method is None:
            self.hear(message)
        elif method == "notifications/cancelled":
            self.cancel(params)
        elif "id" in message:
            self.answer(message["id"], method, params)

    def hear(self, message: dict[str, Any]) -> None:
        """An answer to a question of ours."""
        self.heard.append(message)
        self.answered["error" if "error" in message else "result"] += 1
        for call, open_questions in list(self.waits_for.items()):
            open_questions.discard(str(message.get("id")))
            if not open_questions:
                del self.waits_for[call]
                self.say(call, self.answered)

    def cancel(self, params: dict[str, Any]) -> None:
        call = params.get("requestId")
        if call in self.late:
            self.waits_for[call] = {f"late-{call}"}
            form: dict[str, Any] = {"message": "late?", "requestedSchema": {"type": "object", "properties": {}}}
            send({"id": f"late-{call}", "method": "elicitation/create", "params": form})

    def answer(self, call: Any, method: str, params: dict[str, Any]) -> None:
        match method:
            case "initialize" if ERA == "legacy":
                info = {"name": "pushy", "version": "1"}
                result(call, {"protocolVersion": "2025-11-25", "capabilities": CAPABILITIES, "serverInfo": info})
            case "server/discover" if ERA == "modern":
                result(call, fresh({"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES}))
            case "tools/list":
                result(call, fresh({"tools": [{"name": one, "inputSchema": {"type": "object"}} for one in self.tools]}))
            case "prompts/list":
                result(call, fresh({"prompts": [{"name": "prompt"}, {"name": "never"}]}))
            case "resources/list":
                listed = [{"uri": f"pushy://{name}", "name": name} for name in ("book", "never")]
                result(call, fresh({"resources": listed}))
            case "resources/templates/list":
                listed = [{"uriTemplate": f"pushy://{name}/{{page}}", "name": name} for name in ("book", "never")]
                result(call, fresh({"resourceTemplates": listed}))
            case "tools/call":
                self.call(call, params["name"], params)
            case "prompts/get" | "resources/read" | "completion/complete" | "resources/subscribe":
                self.give(call, method, params)
            case "subscriptions/listen":
                stamp = {"io.modelcontextprotocol/subscriptionId": call}
                honoured = {"notifications": params["notifications"], "_meta": stamp}
                send({"method": "notifications/subscriptions/acknowledged", "params": honoured})
            case "resources/unsubscribe" | "ping" | "logging/setLevel":
                result(call, {})
            case _:
                send({"id": call, "error": {"code": -32601, "message": "Method not found"}})

    def give(self, call: Any, method: str, params: dict[str, Any]) -> None:
        if "never" in json.dumps({key: params.get(key) for key in ("name", "uri", "ref")}):
            return
        match method:
            case "prompts/get" if "ask" in params.get("arguments", {}):
                asked = json.loads(params["arguments"]["ask"])
                result(call, {"resultType": "input_required", "inputRequests": asked})
            case "prompts/get":
                said = {"role": "user", "content": {"type": "text", "text": json.dumps(params.get("arguments"))}}
                result(call, {"messages": [said]})
            case "resources/read" if params["uri"].startswith("pushy://"):
                result(call, fresh({"contents": [{"uri": params["uri"], "text": "page one"}]}))
            case "resources/read":
                send({"id": call, "error": {"code": -32602, "message": "No such page"}})
            case "completion/complete":
                result(call, {"completion": {"values": ["one"]}})
            case _:
                result(call, {})

    def call(self, call: Any, tool: str, params: dict[str, Any]) -> None:
        arguments: dict[str, Any] = params.get("arguments") or {}
        match tool:
            case "emit":
                for line in arguments["lines"]:
                    raw(line)
                self.say(call, "emitted")
            case "rounds":
                self.round(call, params, arguments)
            case "flood":
                for number in range(arguments["count"]):
                    said = json.loads(json.dumps(arguments["params"]).replace("NUMBER", str(number)))
                    send({"method": arguments["method"], "params": said})
                self.say(call, "flooded")
            case "ask_many":
                names = [f"many-{call}-{number}" for number in range(arguments["count"])]
                self.waits_for[call] = set(names)
                for name in names:
                    send({"id": name, "method": arguments["method"], "params": arguments["params"]})
            case "heard":
                self.say(call, self.heard)
            case "never" | "brief":
                self.held[arguments.get("key", "")] = call
            case "ask_when_cancelled":
                self.late.add(call)
            case "drop_tool":
                self.tools.remove(arguments["name"])
                send({"method": "notifications/tools/list_changed"})
                self.say(call, "dropped")
            case _:
                self.say(self.held.pop(arguments["key"]), "let go")
                self.say(call, "released")

    def round(self, call: Any, params: dict[str, Any], arguments: dict[str, Any]) -> None:
        """Each call of it answers with the next of `results`; then with what it was last sent."""
        turn = int(params.get("requestState") or 0)
        if turn < len(arguments["results"]):
            result(call, {"requestState": str(turn + 1), **arguments["results"][turn]})
        else:
            self.say(call, params.get("inputResponses"))

    def say(self, call: Any, said: Any) -> None:
        result(call, {"content": [{"type": "text", "text": said if isinstance(said, str) else json.dumps(said)}]})


CAPABILITIES: dict[str, Any] = {
    "tools": {"listChanged": True},
    "prompts": {},
    "resources": {"subscribe": True},
    "completions": {},
    **({"logging": {}} if ERA == "legacy" else {}),
}


def fresh(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "ttlMs": 0, "cacheScope": "private"}


def result(call: Any, said: dict[str, Any]) -> None:
    send({"id": call, "result": {"resultType": "complete", **said} if ERA == "modern" else said})


def send(message: dict[str, Any]) -> None:
    raw(json.dumps({"jsonrpc": "2.0", **message}))


def raw(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    pushy = Pushy()
    for line in sys.stdin:
        pushy.take(json.loads(line))


if __name__ == "__main__":
    main()
