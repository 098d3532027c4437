"""The HTTP response to one message: an answer, or a stream of events that ends with it; and who watches its client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup
from mcp.server.runner import modern_error_data
from mcp.server.streamable_http import check_accept_headers
from mcp_types import JSONRPCRequest
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import Message, Receive, Send

PING_S = 15.0
"""After so long without a word the response says that it is alive, so that nothing on the way takes it for dead."""
WATCHED_AFTER_S = 0.02
"""When a client is first looked after: most are answered by then."""
_JSON_HEADER = (b"content-type", b"application/json")
_STREAM_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)

log = structlog.get_logger()


async def answer_to(message: JSONRPCRequest, serve: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """The JSON-RPC answer to a request: what `serve` gives, or what went wrong."""
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message.id}
    try:
        answer["result"] = await serve()
    except Exception as error:  # noqa: BLE001  the SDK says what of it a client may see
        answer["error"] = modern_error_data(error).model_dump(by_alias=True, mode="json", exclude_none=True)
    return answer


def usual_headers(request: Request[Any]) -> dict[str, str] | None:
    """The headers of a message, by their names in lower case; None where anything about them is unusual."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    # only its length, where it says one and holds to it, bounds it; a name that comes twice may mean either value
    is_bounded = "content-length" in headers and "transfer-encoding" not in headers
    is_usual = is_bounded and len(headers) == len(request.scope["headers"])
    return headers if is_usual and is_message(request) else None


def is_message(request: Request[Any]) -> bool:
    """Whether it brings a message, and takes JSON and events for an answer."""
    is_json = request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    return request.method == "POST" and is_json and all(check_accept_headers(request))


def after(body: bytes, receive: Receive) -> Receive:
    """A request whose body has been read, as if it had not been."""
    is_said = False

    async def again() -> Message:
        nonlocal is_said
        if is_said:
            return await receive()
        is_said = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


class Response:
    """What the client gets.

    Args:
        headers: of it, beside those that say what it is.
    """

    def __init__(self, send: Send, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._send = send
        self._headers = headers
        self._turn: anyio.Lock | None = None
        """Of those who write to the stream, once it is to be one."""
        self._is_stream = False
        """Whether it has begun to be one: whoever wants to begin it may be cancelled while there is no room."""
        self._is_over = False

    async def event(self, method: str, params: Mapping[str, Any] | None, **identity: int) -> None:
        """Say something before the answer; with an `id`, ask it."""
        said = {"params": params} if params is not None else {}
        await self._stream(_as_event({"jsonrpc": "2.0", **identity, "method": method, **said}))

    async def open(self) -> None:
        """Begin a stream, before there is anything to say."""
        await self._stream(b"")

    async def ping(self) -> None:
        """Say that the connection is alive."""
        await self._stream(b": ping\r\n\r\n")

    async def end(self, answer: Mapping[str, Any], status: int = HTTPStatus.OK) -> None:
        """Give the answer; nothing follows it. `status`: where no stream has begun."""
        if self._turn is not None:
            async with self._turn:
                self._is_over = True
        if self._is_stream:
            await self._send({"type": "http.response.body", "body": _as_event(answer)})
            return
        self._is_over = True
        body = to_json(answer)
        length = (b"content-length", str(len(body)).encode())
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [_JSON_HEADER, length, *self._headers]}
        )
        await self._send({"type": "http.response.body", "body": body})

    async def _stream(self, data: bytes) -> None:
        if self._is_over:
            return
        self._turn = self._turn or anyio.Lock(fast_acquire=True)
        async with self._turn:
            if self._is_over:
                return
            if not self._is_stream:
                headers = [*_STREAM_HEADERS, *self._headers]
                await self._send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
                self._is_stream = True
            await self._send({"type": "http.response.body", "body": data, "more_body": True})


class Watch:
    """Notices that a client goes while it waits, and has it notice that we have not.

    Args:
        opens_stream: whether a client that waits is given the head of its response at once.
    """

    def __init__(self, tasks: TaskGroup, response: Response, receive: Receive, *, opens_stream: bool = False) -> None:
        self._tasks = tasks
        self._response = response
        self._receive = receive
        self._opens_stream = opens_stream
        self._watching: anyio.CancelScope | None = None
        self._beginning = asyncio.get_running_loop().call_later(WATCHED_AFTER_S, self._begin)

    def end(self) -> None:
        """The client has its answer."""
        self._beginning.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _begin(self) -> None:
        if self._tasks.cancel_scope.cancel_called:
            return  # we end, and the request with us
        self._watching = anyio.CancelScope()
        self._tasks.start_soon(self._watch, self._watching)

    async def _watch(self, watching: anyio.CancelScope) -> None:
        with watching:
            try:
                if self._opens_stream:
                    await self._response.open()
                while not await self._is_gone_in(PING_S):
                    await self._response.ping()
            except Exception:  # of one response; the task group is that of all
                log.exception("ping_broke")

    async def _is_gone_in(self, limit_s: float) -> bool:
        with anyio.move_on_after(limit_s):
            while (await self._receive())["type"] != "http.disconnect":
                pass
            return True
        return False


def _as_event(message: Mapping[str, Any]) -> bytes:
    # in ASCII: some clients take more characters for the end of a line than events have
    return f"event: message\r\ndata: {json.dumps(message, separators=(',', ':'))}\r\n\r\n".encode()
