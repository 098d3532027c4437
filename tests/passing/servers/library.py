"""A server with everything but tools worth calling: resources, templates, prompts, completions, subscriptions, logs.

Nothing but the standard library, so that it starts in a moment and says exactly what stands here.
`library.py ERA NAME`: ERA is legacy, modern or both; NAME tells several of them apart.
"""

from __future__ import annotations

import json
import sys
from typing import Any

ERA, NAME = sys.argv[1], sys.argv[2]
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId"
ICONS = [{"src": "https://example.org/book.png", "mimeType": "image/png", "sizes": ["48x48"]}]

RESOURCES: list[dict[str, Any]] = [
    {
        "uri": f"book://{NAME}/one",
        "name": "one",
        "title": "The first book",
        "icons": ICONS,
        "annotations": {"audience": ["user"], "priority": 0.5},
        "_meta": {"example/shelf": 3},
        "size": 12,
    },
    {"uri": "book://shared", "name": f"shared by {NAME}"},
    {"uri": f"ui://{NAME}/panel", "name": "panel", "mimeType": "text/html;profile=mcp-app"},
    {"uri": f"book://{NAME}/cover", "name": "cover", "mimeType": "image/png"},
    {"uri": 12, "name": "malformed"},
    {"uri": f"book://{NAME}/nameless", "name": None},
]
TEMPLATES = [
    {"uriTemplate": f"book://{NAME}/page/{{number}}", "name": "page", "title": "A page", "icons": ICONS},
    {"uriTemplate": "book://any/{title}", "name": "any"},
]
PROMPTS = [
    {
        "name": "greet",
        "title": "Greet somebody",
        "icons": ICONS,
        "arguments": [{"name": "who", "required": True}],
        "_meta": {"example/tone": "warm"},
    },
    {"name": "ask.first", "description": "Asks the user before it answers."},
]
TOOLS = ("touch", "watched", "add_book", "say", "level", "cancelled", "stop")


class Fault(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Library:
    def __init__(self) -> None:
        self.subscribed: list[str] = []
        self.listening: dict[Any, list[str]] = {}
        self.lists_followed: list[Any] = []
        self.level = "unset"
        self.cancelled = 0
        self.is_modern = False

    def answer(self, identity: Any, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        name = "on_" + method.replace("/", "_").lower()
        if not hasattr(self, name):
            raise Fault(-32601, "Method not found")
        return getattr(self, name)(identity, params)

    def capabilities(self) -> dict[str, Any]:
        said = {
            "resources": {"subscribe": True, "listChanged": True},
            "prompts": {"listChanged": True},
            "tools": {},
            "completions": {},
        }
        return said if self.is_modern else {**said, "logging": {}}

    def on_initialize(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        if ERA == "modern":
            raise Fault(-32022, "no handshake here", {"supported": ["2026-07-28"], "requested": "2025-11-25"})
        info = {"name": NAME, "version": "1"}
        return {"protocolVersion": "2025-11-25", "capabilities": self.capabilities(), "serverInfo": info}

    def on_server_discover(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        if ERA == "legacy":
            raise Fault(-32601, "Method not found")
        self.is_modern = True
        return {
            "supportedVersions": ["2026-07-28"],
            "capabilities": self.capabilities(),
            "ttlMs": 0,
            "cacheScope": "private",
        }

    def on_tools_list(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        anything: dict[str, Any] = {"type": "object", "properties": {}}
        return fresh({"tools": [{"name": name, "inputSchema": anything} for name in TOOLS]})

    def on_resources_list(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        start = int(params.get("cursor") or 0)
        page = {"resources": RESOURCES[start : start + 2]}
        return fresh(page | ({"nextCursor": str(start + 2)} if start + 2 < len(RESOURCES) else {}))

    def on_resources_templates_list(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        return fresh({"resourceTemplates": TEMPLATES})

    def on_prompts_list(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        return fresh({"prompts": PROMPTS})

    def on_resources_read(self, _: Any, params: dict[str, Any]) -> dict[str, Any] | None:
        uri = params["uri"]
        if uri == f"ui://{NAME}/panel":
            ui = {"ui": {"csp": {"connectDomains": ["https://example.org"]}}}
            content = {"uri": uri, "mimeType": "text/html;profile=mcp-app", "text": "<p>hi</p>", "_meta": ui}
        elif uri == f"book://{NAME}/cover":
            content = {"uri": uri, "mimeType": "image/png", "blob": "iVBORw0KGgo="}
        elif uri == f"book://{NAME}/never":
            return None
        elif uri == f"book://{NAME}/request":
            content = {"uri": uri, "text": json.dumps(params.get("_meta") or {})}
        elif uri.startswith((f"book://{NAME}/", "book://any/")) or uri == "book://shared":
            content = {"uri": uri, "text": f"{uri} read at {NAME}"}
            self.report(params)
            if uri.endswith("/talkative"):
                notify("notifications/message", {"level": "info", "data": "read on"})
        else:
            raise Fault(-32602 if self.is_modern else -32002, "No such book", {"uri": uri})
        cached = {"ttlMs": 5000, "cacheScope": "public"} if self.is_modern and uri == "book://shared" else {}
        if self.is_modern and not cached:
            cached = {"ttlMs": 0, "cacheScope": "private"}
        return {"contents": [content], "_meta": {"example/read": True}, **cached}

    def report(self, params: dict[str, Any]) -> None:
        meta: dict[str, Any] = params.get("_meta") or {}
        token = meta.get("progressToken")
        if token is not None:
            notify("notifications/progress", {"progressToken": token, "progress": 1, "total": 2, "message": "opening"})

    def on_prompts_get(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        arguments: dict[str, Any] = params.get("arguments") or {}
        if params["name"] == "greet":
            return {"messages": [message(f"Hello {arguments.get('who')}")], "_meta": {"example/tone": "warm"}}
        if params["name"] != "ask.first":
            raise Fault(-32602, "No such prompt")
        answers: dict[str, Any] = params.get("inputResponses") or {}
        if self.is_modern and "colour" not in answers:
            form = {"type": "object", "properties": {"colour": {"type": "string"}}}
            asked = {"mode": "form", "message": "Which colour?", "requestedSchema": form}
            requests = {"colour": {"method": "elicitation/create", "params": asked}}
            return {"resultType": "input_required", "inputRequests": requests, "requestState": "asked once"}
        said = json.dumps({"answers": answers, "state": params.get("requestState")})
        return {"messages": [message(said)]}

    def on_completion_complete(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        ref = params["ref"]
        about = ref.get("name") or ref.get("uri")
        return {"completion": {"values": [f"{about}: {params['argument']['value']}…"], "total": 1, "hasMore": False}}

    def on_logging_setlevel(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        self.level = params["level"]
        return {}

    def on_resources_subscribe(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        if params["uri"].endswith("/cover"):
            raise Fault(-32602, "The cover never changes")
        self.subscribed.append(params["uri"])
        return {}

    def on_resources_unsubscribe(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        self.subscribed.remove(params["uri"])
        return {}

    def on_subscriptions_listen(self, identity: Any, params: dict[str, Any]) -> None:
        wanted = params["notifications"]
        self.listening[identity] = wanted.get("resourceSubscriptions") or []
        if wanted.get("resourcesListChanged"):
            self.lists_followed.append(identity)
        stamp = {SUBSCRIPTION_KEY: identity}
        notify("notifications/subscriptions/acknowledged", {"notifications": wanted, "_meta": stamp})

    def on_tools_call(self, _: Any, params: dict[str, Any]) -> dict[str, Any]:
        arguments: dict[str, Any] = params.get("arguments") or {}
        match params["name"]:
            case "touch":
                self.touch(arguments["uri"])
                said: Any = "touched"
            case "watched":
                said = self.subscribed + [uri for uris in self.listening.values() for uri in uris]
            case "add_book":
                RESOURCES.insert(0, {"uri": f"book://{NAME}/new", "name": "new"})
                self.tell_list_changed()
                said = "added"
            case "say":
                notify("notifications/message", {"level": arguments["level"], "data": arguments["text"]})
                said = "said"
            case "level":
                said = self.level
            case "cancelled":
                said = self.cancelled
            case _:
                sys.exit(1)
        return {"content": [{"type": "text", "text": json.dumps(said)}]}

    def touch(self, uri: str) -> None:
        if uri in self.subscribed:
            notify("notifications/resources/updated", {"uri": uri})
        for identity, uris in self.listening.items():
            if any(uri == one or uri.startswith(f"{one}/") for one in uris):
                notify("notifications/resources/updated", {"uri": uri, "_meta": {SUBSCRIPTION_KEY: identity}})

    def tell_list_changed(self) -> None:
        if not self.is_modern:
            notify("notifications/resources/list_changed", {})
        for identity in self.lists_followed:
            notify("notifications/resources/list_changed", {"_meta": {SUBSCRIPTION_KEY: identity}})

    def forget(self, params: dict[str, Any]) -> None:
        if self.listening.pop(params.get("requestId"), None) is None:
            self.cancelled += 1


def fresh(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "ttlMs": 0, "cacheScope": "private"}


def message(text: str) -> dict[str, Any]:
    return {"role": "user", "content": {"type": "text", "text": text}}


def notify(method: str, params: dict[str, Any]) -> None:
    send({"method": method, "params": params})


def send(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **said}) + "\n")
    sys.stdout.flush()


def main() -> None:
    library = Library()
    for line in sys.stdin:
        request = json.loads(line)
        method: str | None = request.get("method")
        params: dict[str, Any] = request.get("params") or {}
        if method == "notifications/cancelled":
            library.forget(params)
        if method is None or "id" not in request:
            continue
        try:
            result = library.answer(request["id"], method, params)
        except Fault as fault:
            send({"id": request["id"], "error": fault.error})
            continue
        if result is not None:
            meta: dict[str, Any] = params.get("_meta") or {}
            is_modern = VERSION_KEY in meta
            send({"id": request["id"], "result": {"resultType": "complete", **result} if is_modern else result})


if __name__ == "__main__":
    main()
