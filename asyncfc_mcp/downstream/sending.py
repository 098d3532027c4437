"""One request after the other over whatever connection there is: delivered once each, cancellable, read raw."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import anyio
from mcp.client.session import ClientSession
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import SERVER_INFO_META_KEY, Notification, Request, RequestId
from pydantic import BaseModel, ValidationError

from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.exchange import Exchange, RecordingDispatcher
from asyncfc_mcp.downstream.handshake import WORDS_FOR_A_STATUS, is_closed
from asyncfc_mcp.downstream.links.faults import (
    BROKEN_OFF,
    FORGOTTEN,
    NO_ANSWER,
    NOT_SIGNED_IN,
    TOO_LARGE,
    UNREACHABLE,
)
from asyncfc_mcp.downstream.outcome import (
    DownstreamError,
    DownstreamLost,
    DownstreamUnavailable,
    MalformedResult,
    ResultTooLarge,
    RpcError,
    UnsendableArguments,
)
from asyncfc_mcp.downstream.retrying import delay_s
from asyncfc_mcp.downstream.tasks.finishing import is_task

_DELIVERY_LIMIT_S = 30.0
_EVENT_TOO_LARGE = "SSE stream failed: Server-sent event exceeded"
"""What the SDK says of an event over the limit that it was given."""
MAX_DEPTH = 190
"""JSON readers of other servers stop near 200 levels, and some never answer then."""


class RawRequest(Request[dict[str, Any] | None, str]):
    """Any request, as it is to be on the wire."""

    params: dict[str, Any] | None = None


class RawNotification(Notification[dict[str, Any] | None, str]):
    """Any notification, as it is to be on the wire."""

    params: dict[str, Any] | None = None


class Unread(BaseModel):
    """Stands for a result that the session has checked; the exchange holds the result itself."""


@dataclass(frozen=True, slots=True)
class Live:
    """A session that can be used."""

    session: ClientSession
    dispatcher: RecordingDispatcher
    lost: anyio.Event
    trouble: Callable[[], str | None]


Connected = Callable[[], Awaitable[Live]]
_T = TypeVar("_T")


class CancelledWhileAsking(DownstreamError):
    """The call was cancelled between two rounds, while nothing of it was running on its server."""

    def __init__(self, server: str, tool: str) -> None:
        super().__init__(f"the call of {tool!r} was cancelled while server {server!r} waited for input")
        self.server = server
        self.tool = tool


class _NotDelivered(Exception):
    """The request never reached a server that knows us, so sending it again is safe."""


class Sender:
    """Sends what belongs together (a call and its rounds, say) in the name of one owner and one client."""

    def __init__(
        self,
        server: str,
        what: str,
        connected: Connected,
        *,
        claims: Claims | None = None,
        owner: object = None,
        on_progress: ProgressFnT | None = None,
    ) -> None:
        self.server = server
        self.what = what
        """The tool or the method, for messages."""
        self.is_cancelled = False
        self._connected = connected
        self._claims = claims
        self._owner = owner
        self._on_progress = on_progress
        self._live: Live | None = None
        self._exchange: Exchange | None = None
        self._waiting: anyio.CancelScope | None = None
        self.last_id: RequestId | None = None
        """Under which the last request was sent, which is the token of its progress as well."""

    def cancel(self) -> None:
        """Have the server asked to cancel what it is at; end a wait in which nothing is running there."""
        self.is_cancelled = True
        if self._waiting is not None:
            self._waiting.cancel()
        if self._live is not None and self._exchange is not None:
            self._live.dispatcher.cancel(self._exchange, "cancelled by the client")

    async def send(
        self, method: str, params: dict[str, Any] | None, *, name: str | None = None, live: Live | None = None
    ) -> dict[str, Any]:
        """Send it as soon as the server is connected; the raw result.

        `live`: what was reached in this moment.

        Raises:
            MalformedResult: The result is none of that method; the error holds it.
            DownstreamError: Any other way to end without a result.
        """
        if _is_deeper(params, MAX_DEPTH + 1):
            raise UnsendableArguments(self.what, f"they nest deeper than {MAX_DEPTH} levels")
        until = anyio.current_time() + _DELIVERY_LIMIT_S
        attempt = 0
        while True:
            attempt += 1
            try:
                live = live or await self.reach()
                return await self._send_once(live, RawRequest(method=method, params=params), name)
            except _NotDelivered as error:
                live = None
                if anyio.current_time() > until:
                    raise DownstreamUnavailable(self.server, str(error), None) from None
            await self._pause(delay_s(attempt))

    async def reach(self) -> Live:
        """Wait until the server is connected."""
        return await self.unless_cancelled(self._connected, self._cancelled_while_connecting)

    def _cancelled_while_connecting(self) -> DownstreamError:
        return DownstreamUnavailable(self.server, "the call was cancelled while it waited for the connection", None)

    async def unless_cancelled(
        self, action: Callable[[], Awaitable[_T]], otherwise: Callable[[], DownstreamError]
    ) -> _T:
        """Wait for something during which nothing is running on the server, so that a cancellation ends it at once."""
        if not self.is_cancelled:
            with anyio.CancelScope() as self._waiting:
                return await action()
        raise otherwise()

    async def _pause(self, seconds: float) -> None:
        with anyio.CancelScope() as self._waiting:
            await anyio.sleep(seconds)

    async def _send_once(self, live: Live, request: RawRequest, name: str | None) -> dict[str, Any]:
        exchange = Exchange(owner=self._owner, claims=self._claims, name=name)
        self._live, self._exchange = live, exchange
        try:
            with live.dispatcher.owned_by(self._owner), exchange.recorded():
                await live.session.send_request(request, Unread, progress_callback=self._on_progress)
        except MCPError as error:
            raise self._meaning(error, live) from None
        except ValidationError as error:
            if not _is_interim(exchange.result or {}):
                raise MalformedResult(self.server, self.what, _first_fault(error), exchange.result) from None
        except ValueError as error:
            raise UnsendableArguments(self.what, str(error)) from None
        finally:
            self._live = self._exchange = None
            self.last_id = exchange.request_id
        return _without_server_info(exchange.result or {})

    def _meaning(self, error: MCPError, live: Live) -> Exception:
        if is_closed(error):
            # Said here and not only when the session has wound up: the next call must not go the same way.
            live.lost.set()
        if error.error.data == TOO_LARGE or error.message.startswith(_EVENT_TOO_LARGE):
            return ResultTooLarge(self.server, self.what, error.message.removeprefix("SSE stream failed: "))
        if is_closed(error) or error.error.data in (BROKEN_OFF, NO_ANSWER) or error.message.startswith("SSE stream "):
            return DownstreamLost(self.server, self.what)
        if error.error.data in (UNREACHABLE, FORGOTTEN):
            # A server that takes no new connection may still be answering older calls (a graceful restart does).
            if error.error.data == FORGOTTEN or live.dispatcher.calls_waiting == 0:
                live.lost.set()
            return _NotDelivered(error.message)
        if error.error.data == NOT_SIGNED_IN:
            # Calls that were let in before may still be running.
            if live.dispatcher.calls_waiting == 0:
                live.lost.set()
            return DownstreamUnavailable(self.server, error.message, None)
        if error.message in WORDS_FOR_A_STATUS and (trouble := live.trouble()):
            return RpcError(error.code, trouble, error.error.data)
        return RpcError(error.code, error.message, error.error.data)


def _is_interim(result: dict[str, Any]) -> bool:
    """Whether more is to follow: a task (of either dialect) or a question has not the shape of the method's result."""
    return is_task(result) or result.get("resultType", "complete") != "complete"


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


def _without_server_info(result: dict[str, Any]) -> dict[str, Any]:
    """The result without what a server says of its connection to us: a client's own connection is another one."""
    meta = cast("dict[str, Any]", result.get("_meta") or {})
    if SERVER_INFO_META_KEY not in meta:
        return result
    kept = {key: value for key, value in result.items() if key != "_meta"}
    said = {key: value for key, value in meta.items() if key != SERVER_INFO_META_KEY}
    return {**kept, "_meta": said} if said else kept
