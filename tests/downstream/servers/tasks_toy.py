"""A server whose calls are tasks, steered from outside: `tasks_toy.py DIALECT CARRIER [FILE]`.

DIALECT is 2025 (tasks of revision 2025-11-25) or 2026 (SEP-2663); CARRIER is `stdio` or a port for HTTP. With a FILE
the tasks outlive the process. It does nothing by itself: `steer` moves a task, `saw` waits for what came in.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

DIALECT = sys.argv[1]
FILE = Path(sys.argv[3]) if len(sys.argv) > 3 else None
IS_2025 = DIALECT == "2025"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
RELATED = "io.modelcontextprotocol/related-task"
EXTENSION = "io.modelcontextprotocol/tasks"
TERMINAL = ("completed", "failed", "cancelled")
INTERVAL = "pollInterval" if IS_2025 else "pollIntervalMs"
OF_A_TASK = ("taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttl", "ttlMs", INTERVAL)

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Rejection(Exception):
    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, **({"data": data} if data is not None else {})}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}], **more}


class Toy:
    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = json.loads(FILE.read_text()) if FILE and FILE.exists() else {}
        self.seen: list[dict[str, Any]] = []
        self.asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.listeners: dict[str, tuple[Any, Send]] = {}
        self.changed = asyncio.Event()

    def change(self) -> None:
        if FILE:
            FILE.write_text(json.dumps(self.tasks))
        self.changed.set()
        self.changed = asyncio.Event()

    async def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self.changed.wait()

    def shown(self, task: dict[str, Any]) -> dict[str, Any]:
        hidden = {"progressToken", "ask", "stubborn", "answers"}
        return {key: value for key, value in task.items() if key in OF_A_TASK or not (IS_2025 or key in hidden)}

    def task(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["taskId"] not in self.tasks:
            raise Rejection(-32602, "Task not found")
        return self.tasks[params["taskId"]]

    async def answer(self, request: dict[str, Any], send: Send) -> dict[str, Any]:
        method: str = request["method"]
        params: dict[str, Any] = request.get("params") or {}
        self.seen.append({"method": method, "at": time.monotonic(), "params": params})
        self.change()
        match method:
            case "initialize" if IS_2025:
                capabilities: dict[str, Any] = {
                    "tools": {},
                    "tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}},
                }
                info = {"name": "tasks", "version": "1"}
                return {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}
            case "server/discover" if not IS_2025:
                capabilities = {"tools": {}, "extensions": {EXTENSION: {}}}
                return {"supportedVersions": ["2026-07-28"], "capabilities": capabilities, **NO_CACHE}
            case "tools/list":
                return {"tools": TOOLS, **({} if IS_2025 else NO_CACHE)}
            case "tools/call":
                return await getattr(self, f"do_{params['name']}")(request, send, **params.get("arguments", {}))
            case "tasks/get":
                return self.shown(self.task(params))
            case "tasks/result" if IS_2025:
                return await self.result(self.task(params), send)
            case "tasks/update" if not IS_2025:
                return self.update(self.task(params), params["inputResponses"])
            case "tasks/cancel":
                return self.cancel(self.task(params))
            case "subscriptions/listen" if not IS_2025 and "deaf" not in self.tasks:
                return await self.listen(request, send)
            case _:
                raise Rejection(-32601, "Method not found")

    # What a tool does

    async def do_work(self, request: dict[str, Any], send: Send, key: str, state: dict[str, Any]) -> dict[str, Any]:
        params = request["params"]
        if IS_2025 and "task" not in params:
            raise Rejection(-32601, "work must be called as a task")
        then = "2026-01-01T00:00:00Z"
        task = {"taskId": key, "status": "working", "createdAt": then, "lastUpdatedAt": then, **state}
        task["ttl" if IS_2025 else "ttlMs"] = None
        self.tasks[key] = {**task, "progressToken": params.get("_meta", {}).get("progressToken")}
        self.change()
        return {"task": self.shown(task)} if IS_2025 else {"resultType": "task", **self.shown(task)}

    async def do_plain(self, request: dict[str, Any], send: Send) -> dict[str, Any]:
        return text("task" if "task" in request["params"] else "plain")

    async def do_steer(
        self,
        request: dict[str, Any],
        send: Send,
        key: str,
        state: dict[str, Any] | None = None,
        tells: bool = False,
        forgets: bool = False,
    ) -> dict[str, Any]:
        self.tasks.setdefault(key, {}).update(state or {})
        task = self.shown(self.tasks[key])
        if forgets:
            del self.tasks[key]
        self.change()
        if tells and IS_2025:
            await send({"method": "notifications/tasks/status", "params": task})
        elif tells:
            listen_id, listener = self.listeners[key]
            await listener({"method": "notifications/tasks", "params": {**task, "_meta": {SUBSCRIPTION: listen_id}}})
        return text("steered")

    async def do_report(self, request: dict[str, Any], send: Send, key: str, done: float) -> dict[str, Any]:
        note = {"progressToken": self.tasks[key]["progressToken"], "progress": done, "total": 10, "message": "on it"}
        await send({"method": "notifications/progress", "params": note})
        return text("reported")

    async def do_saw(
        self, request: dict[str, Any], send: Send, key: str, method: str, count: int = 1
    ) -> dict[str, Any]:
        """Every request of that method for that task, as soon as there are so many."""

        def matching() -> list[dict[str, Any]]:
            named = [seen for seen in self.seen if seen["method"] == method]
            return [seen for seen in named if seen["params"].get("taskId", key) == key]

        await self.until(lambda: len(matching()) >= count)
        return text(json.dumps(matching()))

    async def do_die(self, request: dict[str, Any], send: Send) -> dict[str, Any]:
        os._exit(3)

    # What happens to a task

    async def result(self, task: dict[str, Any], send: Send) -> dict[str, Any]:
        if task["status"] == "input_required" and "ask" in task:
            await self.ask(task, task.pop("ask"), send)
        await self.until(lambda: task["status"] in TERMINAL)
        if "error" in task:
            raise Rejection(**task["error"])
        if "result" not in task:
            raise Rejection(-32603, "no result stored")
        return {**task["result"], "_meta": {RELATED: {"taskId": task["taskId"]}}}

    async def ask(self, task: dict[str, Any], asked: dict[str, Any], send: Send) -> None:
        identity = f"ask-{task['taskId']}"
        answered = self.asked[identity] = asyncio.get_running_loop().create_future()
        params = {**asked["params"], "_meta": {RELATED: {"taskId": task["taskId"]}}}
        await send({"id": identity, "method": asked["method"], "params": params})
        answer = await answered
        task.update(status="completed", result=text(json.dumps(answer.get("result", answer.get("error")))))
        self.change()

    def update(self, task: dict[str, Any], responses: dict[str, Any]) -> dict[str, Any]:
        if task.get("refuses"):
            raise Rejection(-32602, "not such an answer")
        for key in task["inputRequests"].keys() & responses:
            del task["inputRequests"][key]
            task.setdefault("answers", {})[key] = responses[key]
        if not task["inputRequests"]:
            task.update(status="completed", result=text(json.dumps(task["answers"])))
        self.change()
        return {}

    def cancel(self, task: dict[str, Any]) -> dict[str, Any]:
        if task["status"] in TERMINAL:
            raise Rejection(-32602, "it has ended already")
        if "stubborn" not in task:
            task["status"] = "cancelled"
            self.change()
        return self.shown(task) if IS_2025 else {}

    async def listen(self, request: dict[str, Any], send: Send) -> dict[str, Any]:
        wanted = request["params"]["notifications"].get("taskIds", [])
        agreed = {"notifications": {"taskIds": wanted}, "_meta": {SUBSCRIPTION: request["id"]}}
        for key in wanted:
            self.listeners[key] = (request["id"], send)
        await send({"method": "notifications/subscriptions/acknowledged", "params": agreed})
        return await asyncio.get_running_loop().create_future()

    # Carrying

    async def take(self, message: dict[str, Any], send: Send) -> None:
        if "method" not in message:
            self.asked[message["id"]].set_result(message)
        elif "id" in message:
            try:
                result = await self.answer(message, send)
                await send({"id": message["id"], "result": {"resultType": "complete", **result}})
            except Rejection as rejection:
                await send({"id": message["id"], "error": rejection.error})


STRING = {"type": "string"}
ANYTHING = {"type": "object"}
NO_CACHE = {"ttlMs": 0, "cacheScope": "private"}
TOOLS = [
    {"name": name, "inputSchema": ANYTHING, **({"execution": {"taskSupport": support}} if IS_2025 else {})}
    for name, support in {"work": "required", "plain": "optional"}.items()
] + [{"name": name, "inputSchema": ANYTHING} for name in ("steer", "saw", "report", "die")]


async def serve_stdio() -> None:
    toy = Toy()
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def send(message: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    async with asyncio.TaskGroup() as tasks:
        while line := await reader.readline():
            tasks.create_task(toy.take(json.loads(line), send))
        os._exit(0)


def application() -> Starlette:
    sessions: set[str] = set()
    toys: list[Toy] = []

    async def post(request: Request) -> Response:
        toy = toys[0] if toys else Toy()
        toys[:] = [toy]
        message = await request.json()
        headers = {}
        if IS_2025 and message.get("method") == "initialize":
            headers = {"mcp-session-id": f"session-{os.getpid()}"}
            sessions.add(headers["mcp-session-id"])
        elif IS_2025 and "mcp-session-id" in request.headers and request.headers["mcp-session-id"] not in sessions:
            return Response("who?", 404)
        if message.get("method", "").startswith("tasks/") and not IS_2025:
            assert request.headers["mcp-name"] == message["params"]["taskId"]
        if "id" not in message or "method" not in message:
            await toy.take(message, lambda _: asyncio.sleep(0))
            return Response(status_code=202)
        return StreamingResponse(events(toy, message), media_type="text/event-stream", headers=headers)

    return Starlette(routes=[Route("/mcp", post, methods=["POST"])])


async def events(toy: Toy, message: dict[str, Any]) -> AsyncGenerator[str]:
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    taking = asyncio.create_task(toy.take(message, sent.put))
    try:
        while True:
            said = await sent.get()
            yield f"event: message\ndata: {json.dumps({'jsonrpc': '2.0', **said})}\n\n"
            if said.get("id") == message["id"] and "method" not in said:
                return
    finally:
        taking.cancel()


class Announced(uvicorn.Server):
    async def startup(self, *args: Any, **options: Any) -> None:
        await super().startup(*args, **options)
        sys.stdout.write("listening\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[2] == "stdio":
        asyncio.run(serve_stdio())
    else:
        Announced(uvicorn.Config(application(), port=int(sys.argv[2]), log_level="critical", ws="none")).run()
