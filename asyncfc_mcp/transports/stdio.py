"""MCP over this process's stdin and stdout.

Two threads do the blocking reads and writes, so that neither a silent nor a slow client can hold the event loop or our
end: the SDK's own transport cannot be left while a read blocks. While we serve, file descriptor 1 leads to stderr, so
that nothing but MCP ever reaches the client.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import re
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from io import FileIO
from typing import Any, BinaryIO, cast

import anyio
import mcp_types as types
import structlog
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.server.doorway import Context, claims_of, is_modern, limits_for, named_scope
from asyncfc_mcp.server.handlers import Handlers

PRINCIPAL = "local"
_FLUSH_S = 0.2
"""How long the last answers may take to be written when we end."""
_LINE_END_BYTES = 1024

_ID = rb'"id"\s*:\s*(?P<id>-?\d{1,18}|"(?:[^"\\]|\\.)*")'
_ID_FIRST = re.compile(rb'\s*\{\s*(?:"(?:jsonrpc|method)"\s*:\s*"[^"\\]*"\s*,\s*)*' + _ID + rb"\s*[,}]")
_ID_LAST = re.compile(rb",\s*" + _ID + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')
_SWITCH_S = 0.0005

log = structlog.get_logger()


async def serve_stdio(handlers: Handlers) -> None:
    """Serve the client that started this process, until it closes our stdin."""
    # A busy event loop keeps the reading thread waiting for so long; calls sent side by side must not look staggered.
    sys.setswitchinterval(_SWITCH_S)
    with _claimed_descriptors() as (source, sink):
        async with client_streams(source, sink, handlers.expect_call) as (incoming, outgoing):
            await handlers.server.run(incoming, outgoing, handlers.options)


class StdioDoorway:
    """One user, one connection; the client may split its calls into scopes by name.

    Args:
        await_cap_s: the longest that one request may wait; by what is known of the client where it is None.
    """

    def __init__(self, await_cap_s: float | None) -> None:
        self._await_cap_s = await_cap_s
        self.only_session: str | None = PRINCIPAL

    def caller(self, context: Context) -> Caller:
        """The one user, in the scope that the request names."""
        limits = limits_for(context)
        part = named_scope(context)
        return Caller(
            principal=PRINCIPAL,
            scope=f"{PRINCIPAL}/{part}" if part is not None else PRINCIPAL,
            session=None if is_modern(context) else PRINCIPAL,
            cap_s=self._await_cap_s if self._await_cap_s is not None else limits.cap_s,
            output_characters=limits.output_characters,
            claims=claims_of(context),
        )

    def reaches(self, session: str) -> bool:
        """The pipe carries everything."""
        return session == PRINCIPAL


@contextmanager
def _claimed_descriptors() -> Generator[tuple[BinaryIO, BinaryIO]]:
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
    source: BinaryIO, sink: BinaryIO, on_call: Callable[[], None]
) -> AsyncGenerator[tuple[Any, Any]]:
    """The messages of a client on `source`, and the way to answer it on `sink`; one JSON-RPC message a line.

    `on_call` is told of every tool call as it is read, which is some time before its handler runs.
    """
    loop = asyncio.get_running_loop()
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](float("inf"))
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def take(line: bytes | None) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            if line is None:
                to_server.close()
            elif line.strip():
                message = _parsed(line, lines)
                if message is None:
                    return
                to_server.send_nowait(message)
                if isinstance(message.message, types.JSONRPCRequest) and message.message.method == "tools/call":
                    on_call()

    def read() -> None:
        with suppress(OSError, ValueError, RuntimeError):  # the client or our loop is gone: either way nothing comes
            for line in source:
                loop.call_soon_threadsafe(take, line)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(take, None)

    def write() -> None:
        try:
            while (line := lines.get()) is not None:
                _write_whole(sink, line)
        except OSError:
            log.info("client_gone")
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(take, None)

    async def send() -> None:
        async with from_server:
            async for message in from_server:
                if (line := _written(message.message)) is not None:
                    lines.put(line)

    writer = threading.Thread(target=write, name="stdout", daemon=True)
    writer.start()
    threading.Thread(target=read, name="stdin", daemon=True).start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        try:
            yield incoming, outgoing
        finally:
            tasks.cancel_scope.cancel()
            to_server.close()
            incoming.close()
            outgoing.close()
            lines.put(None)
            with anyio.move_on_after(_FLUSH_S, shield=True):
                await anyio.to_thread.run_sync(writer.join, _FLUSH_S, abandon_on_cancel=True)


def _parsed(line: bytes, answers: queue.SimpleQueue[bytes | None]) -> SessionMessage | None:
    """The message of a line; one that cannot be used is answered with what is wrong: nobody must wait for ever."""
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValidationError as error:
        fault = str(error.errors(include_url=False, include_input=False)[0]["msg"])
        log.warning("client_message_refused", fault=fault, size_bytes=len(line))
        asked = _answered_id(line)
        if asked is not None:
            # never answered under its id, which may be that of a request of the client's own as well
            unread = types.ErrorData(code=types.INVALID_REQUEST, message=f"its answer cannot be read: {fault}")
            return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=asked, error=unread))
        refusal = {"jsonrpc": "2.0", "id": _request_id(line), "error": {"code": _code(fault), "message": fault}}
        answers.put(json.dumps(refusal).encode() + b"\n")
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


def _answered_id(line: bytes) -> int | str | None:
    """The id of the request of ours that a message which cannot be used would answer."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or "method" in message or not message.keys() & {"result", "error"}:
        return None
    identity = cast("dict[str, Any]", message).get("id")
    return identity if isinstance(identity, int | str) else None


def _request_id(line: bytes) -> int | str | None:
    """The id of a message that cannot be used as a whole."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return _id_by_its_looks(line)
    identity = cast("dict[str, Any]", message).get("id") if isinstance(message, dict) else None
    return identity if isinstance(identity, int | str) else None


def _id_by_its_looks(line: bytes) -> int | str | None:
    """The id of what cannot be read at all (too deep, too long a number), where it can only be the message's own."""
    found = _ID_FIRST.match(line) or _ID_LAST.search(line[-_LINE_END_BYTES:])
    try:
        return json.loads(found["id"]) if found is not None else None
    except ValueError:
        return None


def _write_whole(sink: BinaryIO, line: bytes) -> None:
    left = memoryview(line)
    while left:
        written = sink.write(left)
        left = left[written or 0 :]
