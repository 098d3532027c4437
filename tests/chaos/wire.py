"""The suite's clients: every message by hand, so that answers can be lost and requests said again."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import anyio.abc
import httpx2

from tests.bounds import bound_s

Json = dict[str, Any]

LEGACY, MODERN = "2025-11-25", "2026-07-28"
WHO = {"name": "chaos", "version": "1"}
ENVELOPE: Json = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": WHO,
}
ANSWER_LIMIT_S = 30.0
"""The promised bound of every answer here: the longest wait inside a request is a few seconds."""
_ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


class Lost(Exception):
    """The connection ended before the answer came."""


class Overdue(Exception):
    """No answer came within the bound."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, with the moments between which the gateway had it, on the monotonic clock."""

    answer: Json
    sent_at: int
    answered_at: int


class Wire(Protocol):
    """One client's way to a gateway."""

    @property
    def scope(self) -> str:
        """What its order is kept in now; unique for ever."""
        ...

    async def request(self, method: str, params: Json) -> Exchange:
        """Ask and wait.

        Raises:
            Lost, Overdue: there is no answer.
        """
        ...


class Pipes:
    """The one client of a gateway on stdio: of one process, and of all scopes that it names."""

    def __init__(self, process: anyio.abc.Process, label: str, *, is_modern: bool) -> None:
        self.label = label
        self._process = process
        self._is_modern = is_modern
        self._ids = itertools.count(1)
        self._lock = anyio.Lock()
        self._waiting: dict[int, _Answer] = {}
        self._has_ended = False

    async def connect(self) -> None:
        """Do the handshake, or in the era without one anything that shows that it is there."""
        if self._is_modern:
            await self.request("server/discover", {}, limit_s=60)
        else:
            said = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": WHO}
            await self.request("initialize", said, limit_s=60)
            await self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def hear(self) -> None:
        """Read what the gateway says until it ends."""
        assert self._process.stdout is not None
        rest = bytearray()
        try:
            async for chunk in self._process.stdout:
                rest += chunk
                while (end := rest.find(b"\n")) >= 0:
                    line = bytes(rest[:end])
                    del rest[: end + 1]
                    self._heard(json.loads(line))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self._has_ended = True
            for waiting in self._waiting.values():
                waiting.arrived.set()

    async def request(self, method: str, params: Json, limit_s: float = ANSWER_LIMIT_S) -> Exchange:
        number = next(self._ids)
        if self._is_modern:
            params = {**params, "_meta": {**ENVELOPE, **params.get("_meta", {})}}
        answer = self._waiting[number] = _Answer()
        try:
            sent_at = await self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            with anyio.move_on_after(bound_s(limit_s)):
                await answer.arrived.wait()
        finally:
            del self._waiting[number]
        if answer.message is not None:
            return Exchange(answer.message, sent_at, answer.at)
        raise Lost if self._has_ended else Overdue

    async def _write(self, message: Json) -> int:
        assert self._process.stdin is not None
        line = json.dumps(message).encode() + b"\n"
        async with self._lock:
            if self._has_ended:
                raise Lost
            sent_at = time.monotonic_ns()
            try:
                await self._process.stdin.send(line)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                raise Lost from None
            return sent_at

    def _heard(self, message: Json) -> None:
        if "method" in message and "id" in message:
            return
        answer = self._waiting.get(message.get("id", -1))
        if answer is not None:
            answer.message, answer.at = message, time.monotonic_ns()
            answer.arrived.set()


class _Answer:
    def __init__(self) -> None:
        self.arrived = anyio.Event()
        self.message: Json | None = None
        self.at = 0


class Web:
    """A client over HTTP: with a session of the handshake era, or without any."""

    def __init__(self, label: str, url: str, token: str, *, is_modern: bool) -> None:
        self._label = label
        self._url = url
        self._is_modern = is_modern
        self._ids = itertools.count(1)
        self._session: str | None = None
        self._opening = anyio.Lock()
        headers = {**_ACCEPT, "authorization": f"Bearer {token}"}
        limits = httpx2.Limits(max_connections=None)
        self._client = httpx2.AsyncClient(headers=headers, timeout=None, limits=limits)

    @property
    def scope(self) -> str:
        return self._label if self._is_modern else f"{self._label}/{self._session}"

    async def close(self) -> None:
        await self._client.aclose()

    async def request(self, method: str, params: Json) -> Exchange:
        headers: dict[str, str] = {}
        if self._is_modern:
            params = {**params, "_meta": {**ENVELOPE, **params.get("_meta", {})}}
            headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
            name = params.get("name") or params.get("uri")
            headers |= {"mcp-name": name} if name else {}
        else:
            await self._open()
            headers = {"mcp-session-id": self._session or "", "mcp-protocol-version": LEGACY}
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        sent_at = time.monotonic_ns()
        with anyio.move_on_after(bound_s(ANSWER_LIMIT_S)):
            answer = await self._post(message, headers)
            return Exchange(answer, sent_at, time.monotonic_ns())
        raise Overdue

    async def _open(self) -> None:
        async with self._opening:
            if self._session is not None:
                return
            params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": WHO}
            message = {"jsonrpc": "2.0", "id": next(self._ids), "method": "initialize", "params": params}
            try:
                with anyio.fail_after(bound_s(ANSWER_LIMIT_S)):
                    response = await self._client.post(self._url, content=json.dumps(message))
                    session = response.headers.get("mcp-session-id")
                    if session is None:
                        raise Lost
                    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
                    headers = {"mcp-session-id": session, "mcp-protocol-version": LEGACY}
                    await self._client.post(self._url, content=json.dumps(told), headers=headers)
            except (httpx2.HTTPError, TimeoutError):
                raise Lost from None
            self._session = session

    async def _post(self, message: Json, headers: dict[str, str]) -> Json:
        try:
            response = await self._client.post(self._url, content=json.dumps(message), headers=headers)
        except (httpx2.HTTPError, httpx2.StreamError):
            raise Lost from None
        if response.status_code == 404:
            self._session = None  # the gateway that knew it is gone
            raise Lost
        if response.headers.get("content-type", "").startswith("application/json"):
            return response.json()
        lines = [line for line in response.text.split("\n") if line.startswith("data: {")]
        for line in reversed(lines):
            heard = json.loads(line.removeprefix("data: "))
            if heard.get("id") == message["id"]:
                return heard
        raise Lost
