"""A server of one era or both, in plain JSON-RPC, that can tell what it was sent.

`eras.py ERAS` over stdio; `eras_http.py` is the same over HTTP. ERAS is `legacy`, `modern`, `dual`,
`pathless` (modern, and knows no `initialize`), `refusing` (legacy, and refuses it), `broken_prompts` (legacy) or
`abrupt` (legacy over stdio, and ends when anything comes before `initialize`, as older Rust SDKs do).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = "io.modelcontextprotocol/"
CAPABILITIES = {
    "tools": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "logging": {},
    "x-custom": {"kept": True},
}
FAULTS: dict[str, Any] = {}
ASK: dict[str, Any] = {
    "method": "elicitation/create",
    "params": {"mode": "form", "message": "Who?", "requestedSchema": {"type": "object", "properties": {}}},
}


class Refused(Exception):
    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": data}


def text(words: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}]}


def tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


class Server:
    """Messages in, messages out."""

    def __init__(self, eras: str, send: Callable[[dict[str, Any]], None]) -> None:
        self.eras = eras
        self.send = send
        self.seen: list[dict[str, Any]] = []
        self.capabilities: dict[str, Any] = {}
        self.waiting: dict[str, Any] = {}
        self.asked = 0
        self.listeners: dict[Any, dict[str, Any]] = {}

    def take(self, message: dict[str, Any]) -> dict[str, Any] | None:
        self.seen.append(message)
        if "method" not in message:
            return self.answered(message)
        if "id" not in message:
            return None
        try:
            result = self.result(message)
        except Refused as refused:
            return {"jsonrpc": "2.0", "id": message["id"], "error": refused.error}
        return None if result is None else {"jsonrpc": "2.0", "id": message["id"], "result": result}

    def result(self, message: dict[str, Any]) -> dict[str, Any] | None:
        params: dict[str, Any] = message.get("params") or {}
        method = message["method"]
        is_modern = META + "protocolVersion" in params.get("_meta", {})
        if method == "initialize":
            return self.initialize(params)
        if self.eras == "abrupt" and len(self.seen) == 1:
            sys.exit("a handshake was expected")
        if is_modern and self.eras in ("legacy", "refusing", "broken_prompts", "abrupt"):
            raise Refused(-32601, "Method not found")
        envelope: dict[str, Any] = {"resultType": "complete"} if is_modern else {}
        if is_modern and method in ("server/discover", "tools/list", "resources/list", "prompts/list"):
            envelope |= {"ttlMs": 0, "cacheScope": "private"}
        if is_modern and method == "resources/templates/list":
            envelope |= {"ttlMs": 0, "cacheScope": "private"}
        if method == "server/discover":
            info = {"_meta": {META + "serverInfo": {"name": "eras", "version": "1"}}}
            return {"supportedVersions": [MODERN], "capabilities": CAPABILITIES, **info, **envelope}
        if method == "subscriptions/listen":
            self.listeners[message["id"]] = params["notifications"]
            self.say("notifications/subscriptions/acknowledged", message["id"], notifications=params["notifications"])
            return None
        if method == "tools/call":
            return self.call(message["id"], params, envelope)
        if method == "echo/params":
            return {**envelope, "params": params, "_meta": {META + "serverInfo": {"name": "eras"}, "mine": 1}}
        return {**envelope, **self.page(method, params.get("cursor"))}

    def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.eras == "modern":
            raise Refused(-32022, "no handshakes here", {"supported": [MODERN], "requested": params["protocolVersion"]})
        if self.eras == "refusing":
            raise Refused(-32000, "not today")
        if self.eras == "pathless":
            raise Refused(-32601, "Method not found")
        self.capabilities = params["capabilities"]
        info = {"name": "eras", "version": "1"}
        return {"protocolVersion": LEGACY, "capabilities": CAPABILITIES, "serverInfo": info}

    def page(self, method: str, cursor: str | None) -> dict[str, Any]:
        if method == "tools/list":
            names = ["seen", "ask", "ask_state", "ask_user", "ask_roots", "hold", "release", "say", "break_list"]
            offered = [tool(name) for name in names] + [tool("routed", region={"type": "string", "x-mcp-header": "R"})]
            return {"tools": offered + ([tool("for_roots")] if "roots" in self.capabilities else [])}
        if method in FAULTS or (method == "prompts/list" and self.eras == "broken_prompts"):
            raise Refused(-32000, "the list is broken")
        if method == "resources/list":
            if cursor is None:
                return {"resources": [{"uri": "a://1", "name": "one", "x": 1}, {"name": "no uri"}], "nextCursor": "2"}
            return {"resources": [{"uri": "a://2", "name": "two"}]}
        if method == "resources/templates/list":
            return {"resourceTemplates": [{"uriTemplate": "a://{n}", "name": "any"}]}
        if method == "prompts/list":
            return {"prompts": [{"name": "greet", "arguments": [{"name": "who"}]}]}
        raise Refused(-32601, "Method not found")

    def call(self, request_id: Any, params: dict[str, Any], envelope: dict[str, Any]) -> dict[str, Any] | None:
        arguments: dict[str, Any] = params.get("arguments") or {}
        match params["name"]:
            case "seen":
                return {**text(json.dumps(self.seen)), **envelope}
            case "leave":
                sys.exit()
            case "ask":
                return self.ask(params, envelope)
            case "ask_state":
                state = params.get("requestState")
                if state == "2":
                    return {**text("done"), **envelope}
                return {"resultType": "input_required", "requestState": "1" if state is None else "2"}
            case "ask_nonsense":
                return {"resultType": "input_required", "inputRequests": ["who"]}
            case "ask_number":
                return {"resultType": "input_required", "requestState": 5}
            case "hold_after_ask" if "inputResponses" not in params:
                return {"resultType": "input_required", "inputRequests": {"who": ASK}}
            case "ask_user" | "ask_roots" as name:
                self.asked += 1
                self.waiting[f"ask-{self.asked}"] = request_id
                method = "roots/list" if name == "ask_roots" else "elicitation/create"
                request = {"jsonrpc": "2.0", "id": f"ask-{self.asked}", "method": method}
                self.send(request if name == "ask_roots" else {**request, "params": {**ASK["params"], "x-raw": [1]}})
                return None
            case "hold" | "hold_after_ask":
                self.waiting[arguments["key"]] = request_id
                return None
            case "release":
                held = self.waiting.pop(arguments["key"])
                self.send({"jsonrpc": "2.0", "id": held, "result": {**text("released"), **envelope}})
                return {**text("ok"), **envelope}
            case "say":
                self.send({"jsonrpc": "2.0", "method": arguments["method"], "params": arguments.get("params", {})})
                return {**text("said"), **envelope}
            case "update":
                for stream, wanted in self.listeners.items():
                    if arguments["uri"] in wanted.get("resourceSubscriptions", ()):
                        self.say("notifications/resources/updated", stream, uri=arguments["uri"])
                return {**text("updated"), **envelope}
            case "break_list":
                FAULTS[arguments["method"]] = True
                return {**text("broken"), **envelope}
            case "echo":
                return {**text(arguments["text"]), **envelope}
            case "size":
                return {**text("x" * arguments["count"]), **envelope}
            case "wait_for_file":
                return {**text("found"), **envelope}
            case name:
                return {**text(name), **envelope}

    def say(self, method: str, stream: Any, **params: Any) -> None:
        named = {**params, "_meta": {META + "subscriptionId": stream}}
        self.send({"jsonrpc": "2.0", "method": method, "params": named})

    def ask(self, params: dict[str, Any], envelope: dict[str, Any]) -> dict[str, Any]:
        """Two rounds of input, the second named by the state of the first."""
        state, answers = params.get("requestState"), params.get("inputResponses")
        if state is None:
            return {"resultType": "input_required", "inputRequests": {"who": ASK}, "requestState": "first"}
        if state == "first":
            asked = {"why": ASK, "where": ASK}
            return {"resultType": "input_required", "inputRequests": asked, "requestState": json.dumps(answers)}
        return {**text(json.dumps([json.loads(state), answers])), **envelope}

    def answered(self, message: dict[str, Any]) -> dict[str, Any] | None:
        asker = self.waiting.pop(message["id"], None)
        if asker is None:
            return None
        given = {key: message[key] for key in ("result", "error") if key in message}
        envelope = {} if self.eras == "legacy" else {"resultType": "complete"}
        return {"jsonrpc": "2.0", "id": asker, "result": {**text(json.dumps(given)), **envelope}}


def serve_stdio(eras: str) -> None:
    def send(message: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    server = Server(eras, send)
    for line in sys.stdin:
        answer = server.take(json.loads(line))
        if answer is not None:
            send(answer)


if __name__ == "__main__":
    serve_stdio(sys.argv[1])
