"""MCP over this process's stdin and stdout.

Nothing that the event loop does here can block, so that neither a silent nor a slow client can hold it or our end
(`pipe`): the SDK's own transport cannot be left while a read blocks. While we serve, file descriptor 1 leads to stderr,
so that nothing but MCP ever reaches the client.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from io import BufferedReader, FileIO
from typing import Any, BinaryIO, cast

import anyio
import mcp_types as types
import structlog
from anyio.abc import ObjectSendStream
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from asyncfc_mcp.core.size import in_megabytes
from asyncfc_mcp.downstream.links.framing import Line
from asyncfc_mcp.downstream.links.messages import read_message
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.server.doorway import Context, claims_of, is_modern, limits_for, named_scope, said_of_itself
from asyncfc_mcp.server.handlers import Handlers
from asyncfc_mcp.transports.eras import serve_client
from asyncfc_mcp.transports.incoming import Incoming
from asyncfc_mcp.transports.pipe import MOST_LINE_BYTES, Outbox, open_inbox

PRINCIPAL = "local"
_FLUSH_S = 0.2
"""How long the last answers may take to be written when we end."""
_LINE_END_BYTES = 1024
_DISPENSABLE = frozenset({"notifications/progress", "notifications/message"})
"""What a client that does not read need not be told once it does."""

_ID = rb'"id"\s*:\s*(?P<id>-?\d{1,18}|"(?:[^"\\]|\\.)*")'
_ID_FIRST = re.compile(rb'\s*\{\s*(?:"(?:jsonrpc|method)"\s*:\s*"[^"\\]*"\s*,\s*)*' + _ID + rb"\s*[,}]")
_ID_LAST = re.compile(rb",\s*" + _ID + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')
_SWITCH_S = 0.0005

log = structlog.get_logger()


async def serve_stdio(handlers: Handlers) -> None:
    """Serve the client that started this process, until it closes our stdin."""
    # A busy event loop keeps a reading thread waiting for so long; calls sent side by side must not look staggered.
    sys.setswitchinterval(_SWITCH_S)
    with _claimed_descriptors() as (source, sink):
        async with client_streams(source, sink, handlers.expect_call, handlers.drop_call) as (incoming, outgoing):
            await serve_client(handlers.server, incoming, outgoing, handlers.options)


class StdioDoorway:
    """One user, one connection; the client may split its calls into scopes by name.

    Args:
        await_cap_s: the longest that one request may wait; by what is known of the client where it is None.
    """

    def __init__(self, await_cap_s: float | None) -> None:
        self._await_cap_s = await_cap_s
        self.only_session: str | None = PRINCIPAL
        self._last: tuple[object, Caller] | None = None
        """Who was behind the last request, and by what that was seen: most requests say the same."""

    def take_up(self, await_cap_s: float | None) -> None:
        """Have another longest wait hold from now on."""
        self._await_cap_s = await_cap_s
        self._last = None

    def caller(self, context: Context) -> Caller:
        """The one user, in the scope that the request names."""
        said = (said_of_itself(context), named_scope(context))
        if self._last is None or self._last[0] != said:
            self._last = (said, self._read(context))
        return self._last[1]

    def _read(self, context: Context) -> Caller:
        limits = limits_for(context)
        part = named_scope(context)
        return Caller(
            principal=PRINCIPAL,
            scope=f"{PRINCIPAL}/{part}" if part is not None else PRINCIPAL,
            session=None if is_modern(context) else PRINCIPAL,
            ends_with=PRINCIPAL,
            cap_s=self._await_cap_s if self._await_cap_s is not None else limits.cap_s,
            output_characters=limits.output_characters,
            claims=claims_of(context),
        )

    def reaches(self, session: str) -> bool:
        """The pipe carries everything."""
        return session == PRINCIPAL

    def has_lost(self, context: Context) -> bool:  # noqa: ARG002
        """A pipe loses no single request: it breaks for good, and we end with it."""
        return False


@contextmanager
def _claimed_descriptors() -> Generator[tuple[BufferedReader, BinaryIO]]:
    """Descriptors 0 and 1 for MCP alone: anybody else reads nothing and writes to stderr."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    try:
        # closefd=False: a thread may still block on either when we leave
        yield os.fdopen(source, "rb", closefd=False), cast("BinaryIO", FileIO(sink, "wb", closefd=False))
    finally:
        # What was printed meanwhile may still be in Python's own buffer; it must not follow the descriptor back.
        sys.stdout.flush()
        os.dup2(sink, 1)


@asynccontextmanager
async def client_streams(
    source: BufferedReader,
    sink: BinaryIO,
    on_call: Callable[[types.RequestId], None],
    on_answer: Callable[[types.RequestId], None],
) -> AsyncGenerator[tuple[Incoming, Any]]:
    """The messages of a client on `source`, and the way to answer it on `sink`; one JSON-RPC message a line.

    `on_call` is told the id of every tool call as it is read, which is some time before its handler runs; `on_answer`
    that of every request as it is answered, by a handler or not.
    """
    incoming = Incoming()
    outbox = Outbox(sink, incoming.end)
    outgoing = _ToClient(outbox, on_answer)

    def take(line: Line | None) -> None:
        if line is None:
            incoming.end()
            return
        message = _parsed(line, outbox)
        if message is not None and incoming.put(message) and (call := _called(message.message)) is not None:
            on_call(call)

    inbox = open_inbox(source, outbox, take)
    try:
        yield incoming, outgoing
    finally:
        incoming.end()
        inbox.close()
        outgoing.close()
        with anyio.move_on_after(_FLUSH_S, shield=True):
            await anyio.to_thread.run_sync(outbox.close, _FLUSH_S, abandon_on_cancel=True)


class _ToClient(ObjectSendStream[SessionMessage]):
    """The messages for the client, as the SDK hands them out."""

    def __init__(self, outbox: Outbox, on_answer: Callable[[types.RequestId], None]) -> None:
        self._outbox = outbox
        self._on_answer = on_answer
        self._is_closed = False

    async def send(self, item: SessionMessage) -> None:
        """Send a message as soon as the client has room for it; what only says how things go is left out till then."""
        if self._is_closed:
            raise anyio.ClosedResourceError
        if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError) and item.message.id is not None:
            self._on_answer(item.message.id)
        if self._outbox.is_full and _is_dispensable(item.message):
            return
        await self._outbox.room()
        if (line := _written(item.message)) is not None:
            self._outbox.put(line)

    async def aclose(self) -> None:
        """One of those who write here has ended."""

    def close(self) -> None:
        """Take nothing more."""
        self._is_closed = True


def _called(message: types.JSONRPCMessage) -> types.RequestId | None:
    return message.id if isinstance(message, types.JSONRPCRequest) and message.method == "tools/call" else None


def _is_dispensable(message: types.JSONRPCMessage) -> bool:
    return isinstance(message, types.JSONRPCNotification) and message.method in _DISPENSABLE


def _parsed(line: Line, outbox: Outbox) -> SessionMessage | None:
    """The message of a line; one that cannot be used is answered with what is wrong: nobody must wait for ever."""
    if line.is_cut:
        most = in_megabytes(MOST_LINE_BYTES)
        fault = (
            f"the message has {line.size_bytes} bytes, and at most {most} are taken: leave large values where they are"
        )
        return _refused(line, fault, outbox)
    if not line.head.strip():
        return None
    try:
        return SessionMessage(read_message(line.head))
    except ValidationError as error:
        return _refused(line, str(error.errors(include_url=False, include_input=False)[0]["msg"]), outbox)


def _refused(line: Line, fault: str, outbox: Outbox) -> SessionMessage | None:
    log.warning("client_message_refused", fault=fault, size_bytes=line.size_bytes)
    asked = _answered_id(line)
    if asked is not None:
        # never answered under its id, which may be that of a request of the client's own as well
        unread = types.ErrorData(code=types.INVALID_REQUEST, message=f"its answer cannot be read: {fault}")
        return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=asked, error=unread))
    refusal = {"jsonrpc": "2.0", "id": _request_id(line), "error": {"code": _code(fault), "message": fault}}
    outbox.put(json.dumps(refusal).encode() + b"\n")
    return None


def _written(message: types.JSONRPCMessage) -> bytes | None:
    """The message as a line; one that cannot be written costs its request an answer, not everybody the connection."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except ValueError as error:
        log.error("message_not_written", kind=type(message).__name__, fault=type(error).__name__)  # noqa: TRY400  its text quotes the value
    if not isinstance(message, types.JSONRPCResponse):
        return None
    fact = "the answer holds text that is not Unicode and cannot be written; ask for another part of the value"
    refusal = {"jsonrpc": "2.0", "id": message.id, "error": {"code": types.INTERNAL_ERROR, "message": fact}}
    return json.dumps(refusal).encode() + b"\n"


def _code(fault: str) -> int:
    return types.PARSE_ERROR if "Invalid JSON" in fault else types.INVALID_REQUEST


def _answered_id(line: Line) -> int | str | None:
    """The id of the request of ours that a message which cannot be used would answer."""
    if line.is_cut:
        return None
    try:
        message = json.loads(line.head)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or "method" in message or not message.keys() & {"result", "error"}:
        return None
    identity = cast("dict[str, Any]", message).get("id")
    return identity if isinstance(identity, int | str) and not isinstance(identity, bool) else None


def _request_id(line: Line) -> int | str | None:
    """The id of a message that cannot be used as a whole."""
    try:
        message = json.loads(line.head)
    except (ValueError, RecursionError):
        return _id_by_its_looks(line)
    identity = cast("dict[str, Any]", message).get("id") if isinstance(message, dict) else None
    return identity if isinstance(identity, int | str) and not isinstance(identity, bool) else None


def _id_by_its_looks(line: Line) -> int | str | None:
    """The id of what cannot be read at all (too deep, too long), where it can only be the message's own."""
    found = _ID_FIRST.match(line.head) or _ID_LAST.search((line.tail or line.head)[-_LINE_END_BYTES:])
    try:
        return json.loads(found["id"]) if found is not None else None
    except ValueError:
        return None
