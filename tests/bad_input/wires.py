"""Clients that say every message themselves, over stdio and HTTP, in both eras; the gateway runs in this process.

So a test can send what no SDK would, leave in the middle, and then look inside for what is left.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import anyio
import httpx2
import psutil
from anyio.abc import TaskGroup

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.transports.eras import serve_client
from asyncfc_mcp.transports.stdio import client_streams
from tests.bounds import bound_s, with_wait
from tests.harness import LIMIT_S
from tests.process.support import Pipe
from tests.transports.support import serving

LEGACY, MODERN = "2025-11-25", "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
EVERYTHING: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
LONGEST_HEADER = 4000
"""Web servers drop connections for much more."""
WHO = {"name": "wire", "version": "1"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """How a client comes."""

    kind: Literal["stdio", "http"]
    is_modern: bool

    def __str__(self) -> str:
        return f"{self.kind}-{'modern' if self.is_modern else 'legacy'}"


WAYS = [Way(kind, is_modern) for kind in ("stdio", "http") for is_modern in (False, True)]


class Door(Protocol):
    """Takes what a client says."""

    session: dict[str, str]
    """The headers that name the client's session, where there is one."""

    async def send(self, message: Json, headers: Mapping[str, str]) -> None:
        """Send a message; what comes back goes to the wire's `heard`."""
        ...


class Wire:
    """One client."""

    def __init__(self, way: Way, app: App, door: Door) -> None:
        self.way = way
        self.app = app
        self.door = door
        self.capabilities = EVERYTHING
        self.meta: Json = {}
        """Put into each request, beside what its era asks for."""
        self.notifications: list[Json] = []
        self.asked: list[Json] = []
        """Requests of the gateway that nobody has taken yet."""
        self._ids = itertools.count(1)
        self._answers: dict[Any, list[Json]] = {}
        self._changed = anyio.Event()

    def heard(self, message: Json) -> None:
        if "method" not in message:
            self._answers.setdefault(message.get("id"), []).append(message)
        elif "id" in message:
            self.asked.append(message)
        else:
            self.notifications.append(message)
        self._changed.set()
        self._changed = anyio.Event()

    async def connect(self) -> None:
        """Do the handshake, in the era that has one."""
        if not self.way.is_modern:
            said = {"protocolVersion": LEGACY, "capabilities": self.capabilities, "clientInfo": WHO}
            await self.answer(await self.start("initialize", **said))
            await self.tell("notifications/initialized")

    def params(self, params: Json) -> Json:
        """The parameters as a client of this era sends them."""
        meta: Json = {**self.meta}
        if self.way.is_modern:
            meta = {
                f"{PREFIX}protocolVersion": MODERN,
                f"{PREFIX}clientCapabilities": self.capabilities,
                f"{PREFIX}clientInfo": WHO,
                **meta,
            }
        return {**params, **({"_meta": meta} if meta else {})}

    async def start(self, method: str, **params: Any) -> int:
        """Send a request; its id."""
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": self.params(params)}
        await self.door.send(message, self._headers(method, params))
        return number

    async def exact(self, method: str, params: Json) -> Json:
        """Send a request with just these parameters; its answer."""
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await self.door.send(message, self._headers(method, params))
        return await self.answer(number)

    async def start_call(self, tool: str, **arguments: Any) -> int:
        return await self.start("tools/call", name=tool, arguments=arguments)

    async def request(self, method: str, **params: Any) -> Json:
        return await self.answer(await self.start(method, **params))

    async def call(self, tool: str, **arguments: Any) -> Json:
        return await self.request("tools/call", name=tool, arguments=arguments)

    async def text(self, tool: str, **arguments: Any) -> str:
        return text_of(await self.call(tool, **with_wait(tool, arguments)))

    async def value(self, tool: str, **arguments: Any) -> str:
        """The value itself, without what is attached to it."""
        return (await self.text(tool, **arguments)).split("\n--- ")[0]

    async def token(self, tool: str, **arguments: Any) -> str:
        answer = await self.call(tool, _wait_s=0, **arguments)
        return answer["result"]["_meta"]["asyncfc/future"]["token"]

    async def tell(self, method: str, **params: Any) -> None:
        await self.door.send({"jsonrpc": "2.0", "method": method, "params": params}, self._headers(method, params))

    async def reply(self, asked: Any, result: Any = None, **more: Any) -> None:
        """Answer a request of the gateway."""
        said = more or {"result": result}
        await self.door.send({"jsonrpc": "2.0", "id": asked, **said}, self._headers("", {}))

    async def answer(self, number: Any) -> Json:
        """The answer to that request."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while not self._answers.get(number):
                await self._changed.wait()
        return self._answers[number].pop(0)

    def has_answer(self, number: Any) -> bool:
        return bool(self._answers.get(number))

    async def notified(self, method: str) -> Json:
        """The next notification of that method; others are dropped."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while True:
                while self.notifications:
                    if (message := self.notifications.pop(0))["method"] == method:
                        return message
                await self._changed.wait()

    async def question(self) -> Json:
        """The next request of the gateway."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while not self.asked:
                await self._changed.wait()
        return self.asked.pop(0)

    def _headers(self, method: str, params: Mapping[str, Any]) -> dict[str, str]:
        if not self.way.is_modern:
            return {}
        name = params.get("name") or params.get("uri") or params.get("taskId")
        said = {"mcp-protocol-version": MODERN, "mcp-method": method}
        return said | ({"mcp-name": name} if isinstance(name, str) and len(name) < LONGEST_HEADER else {})


class _PipeDoor:
    """Lines on pipes, as between a host and the process that it started."""

    def __init__(self, to_gateway: int) -> None:
        self._pipe = Pipe(os.fdopen(to_gateway, "wb", buffering=0))
        self.session: dict[str, str] = {}

    async def send(self, message: Json, headers: Mapping[str, str]) -> None:
        with anyio.fail_after(bound_s(LIMIT_S)):
            await self._pipe.write(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        self._pipe.close()


class _HttpDoor:
    """Each message a POST in a task of its own, answered with JSON or with events."""

    def __init__(self, client: httpx2.AsyncClient, url: str, tasks: TaskGroup) -> None:
        self._client = client
        self._url = url
        self._tasks = tasks
        self.session: dict[str, str] = {}
        self.wire: Wire | None = None
        self.statuses: dict[Any, int] = {}

    async def send(self, message: Json, headers: Mapping[str, str]) -> None:
        if message.get("method") == "initialize" or "id" not in message or "method" not in message:
            with anyio.fail_after(bound_s(LIMIT_S)):
                await self._post(message, headers)
        else:
            self._tasks.start_soon(self._post, message, headers)

    async def _post(self, message: Json, headers: Mapping[str, str]) -> None:
        said = {**self.session, **{name: value.encode() for name, value in headers.items()}}
        body = json.dumps(message).encode()
        async with self._client.stream("POST", self._url, content=body, headers=said) as response:  # pyright: ignore[reportArgumentType]
            self.statuses[message.get("id")] = response.status_code
            if "mcp-session-id" in response.headers:
                self.session = {"mcp-session-id": response.headers["mcp-session-id"], "mcp-protocol-version": LEGACY}
            assert self.wire is not None
            if response.headers.get("content-type", "").startswith("application/json"):
                if await response.aread():
                    self.wire.heard(response.json())
                return
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    self.wire.heard(json.loads(line.removeprefix("data: ")))


class Place:
    """A running gateway that clients of one kind can come to and leave."""

    def __init__(self, app: App, kind: str, url: str) -> None:
        self.app = app
        self._kind = kind
        self.url = url

    @asynccontextmanager
    async def wire(self, way: Way, **options: Any) -> AsyncGenerator[Wire]:
        """A client that is connected until this is left, however much of it is under way then."""
        opened = self._over_pipes(way) if self._kind == "stdio" else self._over_http(way)
        async with opened as wire:
            for name, value in options.items():
                setattr(wire, name, value)
            await wire.connect()
            yield wire

    @asynccontextmanager
    async def _over_pipes(self, way: Way) -> AsyncGenerator[Wire]:
        (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
        source, sink = os.fdopen(their_in, "rb"), os.fdopen(their_out, "wb", buffering=0)
        door, hearing = _PipeDoor(our_out), Pipe(os.fdopen(our_in, "rb", buffering=0))
        wire = Wire(way, self.app, door)
        handlers = self.app.handlers

        async def serve() -> None:
            async with client_streams(source, cast("Any", sink), handlers.expect_call, handlers.drop_call) as (
                incoming,
                outgoing,
            ):
                await serve_client(handlers.server, incoming, outgoing, handlers.options)
            sink.close()

        async def hear() -> None:
            rest = b""
            while True:
                try:
                    *lines, rest = (rest + await hearing.read()).split(b"\n")
                except anyio.EndOfStream:
                    return
                for line in lines:
                    wire.heard(json.loads(line))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            tasks.start_soon(hear)
            try:
                yield wire
            finally:
                door.close()
        hearing.close()
        source.close()

    @asynccontextmanager
    async def _over_http(self, way: Way) -> AsyncGenerator[Wire]:
        headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        limits = httpx2.Limits(max_connections=None)
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60, limits=limits) as client,
            anyio.create_task_group() as tasks,
        ):
            door = _HttpDoor(client, self.url, tasks)
            wire = door.wire = Wire(way, self.app, door)
            yield wire
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def place(kind: Literal["stdio", "http"], servers: Mapping[str, Any], **settings: Any) -> AsyncGenerator[Place]:
    """A gateway in front of those servers; when it is left, nothing of it may be left."""
    document = {"mcpServers": servers, "asyncfc": settings}
    children = set(psutil.Process().children(recursive=True))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps(document))
        app = App(load_file(file, os.environ), None, serves_network=kind == "http")
    with anyio.fail_after(90):
        async with AsyncExitStack() as stack:
            if kind == "http":
                yield Place(app, kind, await stack.enter_async_context(serving(app, "http")))
            else:
                await stack.enter_async_context(app.running())
                yield Place(app, kind, "")
    assert set(psutil.Process().children(recursive=True)) <= children


def text_of(answer: Json) -> str:
    """All the text of an answer to a call."""
    return "\n".join(block["text"] for block in answer["result"]["content"] if block["type"] == "text")


async def assert_unharmed(gateway: Place, way: Way) -> None:
    """No future is unsettled, no question is open, and another client is served."""
    inner = gateway.app.gateway
    with anyio.fail_after(bound_s(LIMIT_S)):
        while any(not future.record.is_settled for future in inner.table):  # noqa: ASYNC110  settling has no event for all
            await anyio.sleep(0.01)
    assert [question for future in inner.table for question in inner.questions.open(future)] == []
    async with gateway.wire(way) as another:
        assert "still here" in await another.text("echo", text="still here", _wait_s=LIMIT_S)
        assert {status.message for status in inner.pool.statuses().values()} == {None}
