"""A server of both eras with what the real ones lack: icons, titles, pages, cache hints, an app, questions, messages.

Nothing but the standard library, so that it says on the wire exactly what stands here. Which era it speaks is decided
by the first message. It asks its client in the way of that era: with a request of its own, or in a result.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

from tests.fidelity.exhibits import (
    APP,
    BLOCKS,
    INFO,
    INTRODUCTION,
    PANEL,
    PIXEL,
    PROMPTS,
    QUESTIONS,
    RESOURCES,
    TEMPLATES,
    TOOLS,
)

Json = dict[str, Any]

NAMESPACE = "io.modelcontextprotocol/"
SUBSCRIPTION_KEY = f"{NAMESPACE}subscriptionId"
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class Fault(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Request:
    """One request, and how to reach its sender while it is answered."""

    def __init__(self, gallery: Gallery, message: Json) -> None:
        self.gallery = gallery
        self.identity = message["id"]
        self.method: str = message["method"]
        self.params: Json = message.get("params") or {}
        self.meta: Json = self.params.get("_meta") or {}
        self.is_modern = f"{NAMESPACE}protocolVersion" in self.meta

    def log(self, level: str, data: Any) -> None:
        wanted = self.meta.get(f"{NAMESPACE}logLevel") if self.is_modern else self.gallery.level
        if wanted is not None and LEVELS.index(level) >= LEVELS.index(wanted):
            params = {"level": level, "logger": "guard", "data": data, "_meta": {"example/log": 1}}
            send({"method": "notifications/message", "params": params})

    def progress(self, done: float, message: str) -> None:
        token = self.meta.get("progressToken")
        if token is not None:
            params = {"progressToken": token, "progress": done, "total": 2.5, "message": message}
            send({"method": "notifications/progress", "params": params})

    def ask(self, what: str) -> Json | None:
        """The answers of the client; None when they will come with the next request."""
        questions = QUESTIONS[what]
        if not self.is_modern:
            return {key: self.gallery.ask(one) for key, one in questions.items()}
        return self.params.get("inputResponses")

    def capabilities(self) -> Any:
        return self.meta.get(f"{NAMESPACE}clientCapabilities") if self.is_modern else self.gallery.claimed


class Gallery:
    def __init__(self) -> None:
        self.level: str | None = "debug"
        self.claimed: Any = None
        self.subscribed: set[str] = set()
        self.streams: dict[Any, Json] = {}
        self.waiting: dict[Any, tuple[threading.Event, Json]] = {}
        self.asked = 0

    def ask(self, question: Json) -> Any:
        self.asked += 1
        identity = f"gallery-{self.asked}"
        answered, box = self.waiting[identity] = threading.Event(), {}
        send({"id": identity, **question})
        answered.wait()
        return box["answer"]

    def take_answer(self, message: Json) -> None:
        answered, box = self.waiting.pop(message["id"])
        box["answer"] = message.get("result", message.get("error"))
        answered.set()

    def answer(self, request: Request) -> Json | None:
        handler: Callable[[Request], Json | None] | None = getattr(
            self, "on_" + request.method.replace("/", "_").lower(), None
        )
        if handler is None:
            raise Fault(-32601, "Method not found")
        return handler(request)

    # Introductions

    def on_initialize(self, request: Request) -> Json:
        self.claimed = request.params["capabilities"]
        capabilities: Json = {**INTRODUCTION["capabilities"], "logging": {}}
        return {**INTRODUCTION, "capabilities": capabilities, "protocolVersion": "2025-11-25", "serverInfo": INFO}

    def on_server_discover(self, _: Request) -> Json:
        named = {"_meta": {f"{NAMESPACE}serverInfo": INFO}}
        return {**INTRODUCTION, **named, "supportedVersions": ["2026-07-28"], **cached(0)}

    def on_ping(self, _: Request) -> Json:
        return {}

    # Lists

    def on_tools_list(self, request: Request) -> Json:
        return page("tools", TOOLS, request)

    def on_resources_list(self, request: Request) -> Json:
        return page("resources", RESOURCES, request)

    def on_resources_templates_list(self, request: Request) -> Json:
        return page("resourceTemplates", TEMPLATES, request)

    def on_prompts_list(self, request: Request) -> Json:
        return page("prompts", PROMPTS, request)

    # Resources

    def on_resources_read(self, request: Request) -> Json:
        uri: str = request.params["uri"]
        request.progress(1, "opening")
        return {"contents": contents(uri, request), "_meta": {"example/read": True}} | (
            cached(5_000, "public") if uri == "gallery://notes" else cached(0)
        )

    def on_resources_subscribe(self, request: Request) -> Json:
        self.subscribed.add(request.params["uri"])
        return {}

    def on_resources_unsubscribe(self, request: Request) -> Json:
        self.subscribed.discard(request.params["uri"])
        return {}

    def on_subscriptions_listen(self, request: Request) -> None:
        wanted = self.streams[request.identity] = request.params["notifications"]
        stamp = {SUBSCRIPTION_KEY: request.identity}
        params = {"notifications": wanted, "_meta": stamp}
        send({"method": "notifications/subscriptions/acknowledged", "params": params})

    def tell_changed(self, kind: str) -> None:
        method = f"notifications/{kind}/list_changed"
        if self.claimed is not None:
            send({"method": method})
        for identity, wanted in list(self.streams.items()):
            if wanted.get(f"{kind}ListChanged"):
                send({"method": method, "params": {"_meta": {SUBSCRIPTION_KEY: identity}}})

    # Prompts, completions, levels

    def on_prompts_get(self, request: Request) -> Json:
        arguments: dict[str, str] = request.params.get("arguments") or {}
        match request.params["name"]:
            case "describe" if "picture" in arguments:
                said = f"Describe {arguments['picture']} {arguments.get('tone', 'plainly')}: ${{HOME}} \u2028"
                messages = [{"role": "user", "content": {"type": "text", "text": said, "_meta": {"example/text": 0}}}]
                return {"description": "Words.", "messages": messages, "_meta": {"example/got": [1]}}
            case "describe":
                raise Fault(-32602, "picture is missing", {"missing": ["picture"]})
            case "blocks":
                return {"messages": [{"role": role, "content": one} for role, one in zip_roles(BLOCKS)]}
            case "asking":
                answers = request.ask("form")
                if answers is None:
                    return input_required("form")
                return {"messages": [{"role": "assistant", "content": text_block(json.dumps(answers))}]}
            case _:
                raise Fault(-32602, "No such prompt", {"name": request.params["name"]})

    def on_completion_complete(self, request: Request) -> Json:
        ref = request.params["ref"]
        said = [ref.get("name") or ref["uri"], request.params["argument"]["value"], request.params.get("context")]
        if said[1] == "refuse":
            raise Fault(-32603, "No idea", {"tried": 3})
        found = {"values": [json.dumps(said), ""], "total": 17, "hasMore": True}
        return {"completion": found, "_meta": {"example/c": 1}}

    def on_logging_setlevel(self, request: Request) -> Json:
        self.level = request.params["level"]
        return {}

    # Tools

    def on_tools_call(self, request: Request) -> Json:
        arguments: Json = request.params.get("arguments") or {}
        tool: Callable[..., Json] = getattr(self, f"do_{request.params['name']}")
        return tool(request, **arguments)

    def do_show(self, _: Request) -> Json:
        return {"content": BLOCKS, "_meta": {"example/result": {"a": None}}, "exampleMore": 1}

    def do_panel(self, _: Request, size: int = 2) -> Json:
        return {"content": [text_block(f"A panel of {size}.")], "structuredContent": {"size": size}}

    def do_say(self, request: Request) -> Json:
        for done, level in enumerate(["debug", "info", "error"]):
            request.log(level, {"said": level, "more": [None, "ü"]})
            request.progress(done + 0.5, f"after {level}")
        return {"content": [text_block("said")]}

    def do_touch(self, _: Request, uri: str) -> Json:
        if uri in self.subscribed:
            send({"method": "notifications/resources/updated", "params": {"uri": uri}})
        for identity, wanted in list(self.streams.items()):
            if uri in (wanted.get("resourceSubscriptions") or []):
                params = {"uri": uri, "_meta": {SUBSCRIPTION_KEY: identity}}
                send({"method": "notifications/resources/updated", "params": params})
        return {"content": [text_block("touched")]}

    def do_ask(self, request: Request, what: str) -> Json:
        answers = request.ask(what)
        return input_required(what) if answers is None else {"content": [text_block(json.dumps(answers))]}

    def do_report(self, request: Request) -> Json:
        foreign = {
            key: value
            for key, value in request.meta.items()
            if not key.startswith(NAMESPACE) and key != "progressToken"
        }
        said = {"meta": foreign, "claimed": request.capabilities()}
        return {"content": [text_block(json.dumps(said, sort_keys=True))]}

    def do_grow(self, _: Request) -> Json:
        TOOLS.append({"name": "grown", "description": "New.", "inputSchema": {"type": "object"}})
        RESOURCES.append({"uri": "gallery://grown", "name": "grown"})
        PROMPTS.append({"name": "grown"})
        for kind in ("tools", "resources", "prompts"):
            self.tell_changed(kind)
        return {"content": [text_block("grown")]}

    def do_grown(self, _: Request) -> Json:
        return {"content": [text_block("I am new.")]}


def contents(uri: str, request: Request) -> list[Json]:
    """What is at a URI."""
    if uri == PANEL:
        meta = {"ui": {"csp": {"connectDomains": ["https://example.org"]}, "prefersBorder": True}}
        return [{"uri": uri, "mimeType": APP, "text": "<p>hi</p>", "_meta": meta}]
    if uri == "gallery://notes":
        meta = {"_meta": {"example/note": None}, "exampleUnknown": [1]}
        first = {"uri": uri, "mimeType": "text/plain", "text": "ü\r\n\u2028", **meta}
        return [first, {"uri": f"{uri}/2", "text": ""}, {"uri": f"{uri}/3", "mimeType": "image/png", "blob": PIXEL}]
    if uri.startswith("gallery://picture/"):
        return [{"uri": uri, "mimeType": "image/png", "blob": PIXEL}]
    if uri.startswith(("gallery://search?", "gallery://caf%C3%A9/")):
        return [{"uri": uri, "text": f"found {uri}"}]
    if uri == "gallery://locked":
        raise Fault(-32050, "The room is locked", {"opens": ["monday"]})
    raise Fault(-32602 if request.is_modern else -32002, "Nothing hangs there", {"uri": uri, "rooms": 2})


def zip_roles(listed: list[Json]) -> list[tuple[str, Json]]:
    return [("user" if position % 2 else "assistant", one) for position, one in enumerate(listed)]


def text_block(text: str) -> Json:
    return {"type": "text", "text": text}


def input_required(what: str) -> Json:
    return {"resultType": "input_required", "inputRequests": QUESTIONS[what], "requestState": f"state of {what}"}


def cached(ttl_ms: int, scope: str = "private") -> Json:
    return {"ttlMs": ttl_ms, "cacheScope": scope}


def page(kind: str, items: list[Json], request: Request) -> Json:
    """Two items, and where the next two are."""
    start = int(request.params.get("cursor") or 0)
    more = {"nextCursor": str(start + 2)} if start + 2 < len(items) else {}
    return {kind: items[start : start + 2], **more, **cached(1_000, "public")}


OUTPUT = threading.Lock()


def send(message: Json) -> None:
    with OUTPUT:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def respond(gallery: Gallery, message: Json) -> None:
    request = Request(gallery, message)
    try:
        result = gallery.answer(request)
    except Fault as fault:
        send({"id": request.identity, "error": fault.error})
        return
    if result is None:
        return
    if not request.is_modern:
        result = {key: value for key, value in result.items() if key not in ("ttlMs", "cacheScope")}
    send({"id": request.identity, "result": {"resultType": "complete", **result} if request.is_modern else result})


def main() -> None:
    gallery = Gallery()
    for line in sys.stdin:
        message = json.loads(line)
        if "method" not in message:
            gallery.take_answer(message)
        elif message["method"] == "notifications/cancelled":
            gallery.streams.pop(message["params"].get("requestId"), None)
        elif message["method"] in ("prompts/get", "tools/call"):  # these may ask, and the answer comes over this loop
            threading.Thread(target=respond, args=(gallery, message), daemon=True).start()
        elif "id" in message:
            respond(gallery, message)


if __name__ == "__main__":
    main()
