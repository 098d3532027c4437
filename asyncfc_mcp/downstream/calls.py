"""One tool call over a live connection: sent once, cancellable while its answer is still waited for, and read raw."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import anyio
from mcp.client.session import ClientSession
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import SERVER_INFO_META_KEY, CallToolRequest, CallToolRequestParams, RequestParamsMeta
from pydantic import BaseModel, ValidationError

from asyncfc_mcp.downstream.exchange import Exchange, RecordingDispatcher
from asyncfc_mcp.downstream.handshake import WORDS_FOR_A_STATUS, is_closed
from asyncfc_mcp.downstream.outcome import (
    DownstreamError,
    DownstreamLost,
    DownstreamUnavailable,
    MalformedResult,
    Outcome,
    RpcError,
    UnsendableArguments,
)
from asyncfc_mcp.downstream.remote import BROKEN_OFF, FORGOTTEN, UNREACHABLE
from asyncfc_mcp.downstream.retrying import delay_s

_DELIVERY_LIMIT_S = 30.0
MAX_DEPTH = 190
"""JSON readers of other servers stop near 200 levels, and some never answer then."""


class _Unread(BaseModel):
    """Stands for a result that the session has checked; the exchange holds the result itself."""


@dataclass(frozen=True, slots=True)
class Live:
    """A session that can be used."""

    session: ClientSession
    dispatcher: RecordingDispatcher
    lost: anyio.Event
    trouble: Callable[[], str | None]


class _NotDelivered(Exception):
    """The request never reached a server that knows us, so sending it again is safe."""


class Call:
    """A call of one tool."""

    def __init__(
        self,
        server: str,
        tool: str,
        arguments: dict[str, Any] | None,
        *,
        meta: dict[str, Any] | None = None,
        on_progress: ProgressFnT | None = None,
    ) -> None:
        self._server = server
        self._tool = tool
        self._arguments = arguments
        self._meta = meta
        self._on_progress = on_progress
        self._exchange = Exchange()
        self._live: Live | None = None
        self._waiting = anyio.CancelScope()
        self._is_cancelled = False

    async def run(self, connected: Callable[[], Awaitable[Live]], cancel_requested: anyio.Event | None) -> Outcome:
        """Send it as soon as its server is connected, and wait for the answer."""
        if _is_deeper(self._arguments, MAX_DEPTH):
            raise UnsendableArguments(self._tool, f"they nest deeper than {MAX_DEPTH} levels")
        if cancel_requested is None:
            return await self._carry_out(connected)
        ended: Outcome | DownstreamError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pass_on_cancel, cancel_requested)
            try:
                ended = await self._carry_out(connected)
            except DownstreamError as error:
                ended = error
            tasks.cancel_scope.cancel()
        if isinstance(ended, Outcome):
            return ended
        raise ended or DownstreamLost(self._server, self._tool)

    async def _pass_on_cancel(self, cancel_requested: anyio.Event) -> None:
        await cancel_requested.wait()
        self._is_cancelled = True
        if self._live is None:
            self._waiting.cancel()
        else:
            await self._live.dispatcher.cancel(self._exchange, "cancelled by the client")

    async def _carry_out(self, connected: Callable[[], Awaitable[Live]]) -> Outcome:
        until = anyio.current_time() + _DELIVERY_LIMIT_S
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._send(await self._wait_for(connected))
            except _NotDelivered as error:
                self._live = None
                if anyio.current_time() > until:
                    raise DownstreamUnavailable(self._server, str(error), None) from None
            with anyio.CancelScope() as self._waiting:
                await anyio.sleep(delay_s(attempt))

    async def _wait_for(self, connected: Callable[[], Awaitable[Live]]) -> Live:
        if not self._is_cancelled:
            with anyio.CancelScope() as self._waiting:
                self._live = await connected()
                return self._live
        raise DownstreamUnavailable(self._server, "the call was cancelled while it waited for the connection", None)

    async def _send(self, live: Live) -> Outcome:
        params = CallToolRequestParams(
            name=self._tool, arguments=self._arguments, _meta=cast("RequestParamsMeta | None", self._meta)
        )
        try:
            with self._exchange.recorded():
                await live.session.send_request(
                    CallToolRequest(params=params), _Unread, progress_callback=self._on_progress
                )
        except MCPError as error:
            raise self._meaning(error, live) from None
        except ValidationError as error:
            raise MalformedResult(self._server, self._tool, _first_fault(error)) from None
        except ValueError as error:
            raise UnsendableArguments(self._tool, str(error)) from None
        result = self._exchange.result or {}
        if result.get("resultType", "complete") != "complete":
            raise MalformedResult(self._server, self._tool, f"a result of type {result['resultType']!r}")
        return Outcome(_without_envelope(result))

    def _meaning(self, error: MCPError, live: Live) -> Exception:
        if is_closed(error):
            # Said here and not only when the session has wound up: the next call must not go the same way.
            live.lost.set()
        if is_closed(error) or error.error.data == BROKEN_OFF or error.message.startswith("SSE stream "):
            return DownstreamLost(self._server, self._tool)
        if error.error.data in (UNREACHABLE, FORGOTTEN):
            # A server that takes no new connection may still be answering older calls (a graceful restart does).
            if error.error.data == FORGOTTEN or live.dispatcher.calls_waiting == 0:
                live.lost.set()
            return _NotDelivered(error.message)
        if error.message in WORDS_FOR_A_STATUS and (trouble := live.trouble()):
            return RpcError(error.code, trouble, error.error.data)
        return RpcError(error.code, error.message, error.error.data)


def _is_deeper(value: Any, levels: int) -> bool:
    row: list[Any] = [value]
    for _ in range(levels):
        row = [
            child
            for item in row
            if isinstance(item, dict | list)
            for child in (cast("dict[str, Any]", item).values() if isinstance(item, dict) else cast("list[Any]", item))
            if isinstance(child, dict | list)
        ]
        if not row:
            return False
    return True


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}"


def _without_envelope(result: dict[str, Any]) -> dict[str, Any]:
    """The result without what a server says of its connection to us: a client's own connection is another one."""
    kept = {key: value for key, value in result.items() if key not in ("resultType", "_meta")}
    meta = cast("dict[str, Any]", result.get("_meta") or {})
    said = {key: value for key, value in meta.items() if key != SERVER_INFO_META_KEY}
    return {**kept, "_meta": said} if said else kept
