"""MCP over the pipes of a child: our own framing, because a server's rubbish, length or depth must not stop a call."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCRequest, RequestId, jsonrpc_message_adapter
from pydantic import ValidationError

from asyncfc_mcp.config.models import StdioEntry
from asyncfc_mcp.downstream.links.faults import most_read_bytes, too_large
from asyncfc_mcp.downstream.links.framing import Line, LineSplitter, printable, response_id
from asyncfc_mcp.downstream.links.link import Hearing, Link
from asyncfc_mcp.downstream.links.open_requests import OpenRequests
from asyncfc_mcp.downstream.links.process import ChildProcess, spawn

log = structlog.get_logger(__name__)

_READ_BYTES = 256 * 1024
_STDERR_LINE_BYTES = 16 * 1024
_FLUSH_S = 0.05
_LAST_ANSWERS_S = 0.5
_IGNORED_LINES_LOGGED = 10
"""After so many, only every thousandth line of rubbish is logged."""

_Incoming = MemoryObjectSendStream[SessionMessage | Exception]


@asynccontextmanager
async def stdio_link(server: str, entry: StdioEntry, max_result_bytes: int) -> AsyncGenerator[Link]:
    """Start the server of `entry` and talk to it; ends it, and all that it started, on the way out."""
    child = await spawn(entry)
    incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](16)
    # Unbounded: a server that does not read its stdin must not hold up those who cancel a call.
    write, outgoing = anyio.create_memory_object_stream[SessionMessage](math.inf)
    hearing = Hearing()
    link = Link(read, write, trouble=lambda: _how_it_ended(child), hearing=hearing)
    open_requests = OpenRequests()
    reader = _Reader(server, child, incoming, hearing, open_requests=open_requests, max_result_bytes=max_result_bytes)
    flushed = anyio.Event()
    async with incoming, read, write, outgoing, anyio.create_task_group() as tasks:
        tasks.start_soon(reader.run)
        tasks.start_soon(_write_stdin, child, outgoing, incoming, flushed, open_requests)
        tasks.start_soon(_log_stderr, server, child)
        tasks.start_soon(_close_after_exit, child, incoming)
        try:
            yield link
        finally:
            with anyio.CancelScope(shield=True):
                write.close()
                with anyio.move_on_after(_FLUSH_S):
                    await flushed.wait()
                await child.end()
            tasks.cancel_scope.cancel()


def _how_it_ended(child: ChildProcess) -> str | None:
    if child.own_exit_code is None:
        return None
    if child.own_exit_code < 0:
        return f"its process was ended by signal {-child.own_exit_code}"
    return f"its process exited with code {child.own_exit_code}; its stderr is in the log"


class _Reader:
    """Turns a child's stdout into messages, and what is none into log lines or error answers."""

    def __init__(
        self,
        server: str,
        child: ChildProcess,
        incoming: _Incoming,
        hearing: Hearing,
        *,
        open_requests: OpenRequests,
        max_result_bytes: int,
    ) -> None:
        self._server = server
        self._stdout = child.stdout
        self._incoming = incoming
        self._hearing = hearing
        self._open_requests = open_requests
        self._max_result_bytes = max_result_bytes
        self._ignored = 0

    async def run(self) -> None:
        splitter = LineSplitter(most_read_bytes(self._max_result_bytes))
        with self._incoming:
            while chunk := await self._stdout.read(_READ_BYTES):
                self._hearing.note()
                for line in splitter.feed(chunk):
                    await self._take(line)
            for line in splitter.rest():
                await self._take(line)

    async def _take(self, line: Line) -> None:
        message = self._message(line)
        if message is None:
            return
        try:
            await self._incoming.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            # The session has gone; reading on lets a child that is still writing come to its end of file.
            return

    def _message(self, line: Line) -> SessionMessage | None:
        if line.is_cut:
            return self._error_answer(line, too_large(line.size_bytes, self._max_result_bytes))
        if not line.head.strip():
            return None
        try:
            message = jsonrpc_message_adapter.validate_json(line.head, by_name=False)
        except ValidationError as error:
            words = f"the answer cannot be read: {_first_fault(error)}; the call may have taken effect"
            return self._error_answer(line, ErrorData(code=PARSE_ERROR, message=words))
        self._open_requests.note_received(message)
        return SessionMessage(message)

    def _error_answer(self, line: Line, fault: ErrorData) -> SessionMessage | None:
        request_id = self._open_requests.meant_by(line) if line.is_cut else response_id(line)
        if request_id is None:
            self._ignore(line)
            return None
        log.warning("server_answer_unreadable", server=self._server, fault=fault.message, size_bytes=line.size_bytes)
        answer = JSONRPCError(jsonrpc="2.0", id=request_id, error=fault)
        self._open_requests.note_received(answer)
        return SessionMessage(answer)

    def _ignore(self, line: Line) -> None:
        self._ignored += 1
        if self._ignored <= _IGNORED_LINES_LOGGED or self._ignored % 1000 == 0:
            log.warning(
                "server_stdout_ignored", server=self._server, line=printable(line.head), ignored_so_far=self._ignored
            )


async def _write_stdin(
    child: ChildProcess,
    outgoing: MemoryObjectReceiveStream[SessionMessage],
    incoming: _Incoming,
    flushed: anyio.Event,
    open_requests: OpenRequests,
) -> None:
    try:
        async for item in outgoing:
            try:
                data = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            except ValueError as error:
                # One message that cannot be written down must cost its sender an answer, not everybody the connection.
                if isinstance(item.message, JSONRPCRequest):
                    await incoming.send(_error(item.message.id, f"the request cannot be written: {error}"))
                continue
            open_requests.note_sent(item.message)
            child.stdin.write(data.encode() + b"\n")
            await child.stdin.drain()
    except OSError:
        flushed.set()
        # It does not listen any more; answers that are on their way get a moment before the session ends.
        await anyio.sleep(_LAST_ANSWERS_S)
        incoming.close()
    finally:
        flushed.set()


async def _close_after_exit(child: ChildProcess, incoming: _Incoming) -> None:
    # What the child started may hold its stdout open, so that no end of file ever comes.
    await child.exited()
    await anyio.sleep(_LAST_ANSWERS_S)
    incoming.close()


async def _log_stderr(server: str, child: ChildProcess) -> None:
    splitter = LineSplitter(_STDERR_LINE_BYTES)
    while chunk := await child.stderr.read(_READ_BYTES):
        for line in splitter.feed(chunk):
            log.info("server_stderr", server=server, line=printable(line.head))
    for line in splitter.rest():
        log.info("server_stderr", server=server, line=printable(line.head))


def _error(request_id: RequestId, message: str) -> SessionMessage:
    return SessionMessage(
        JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=PARSE_ERROR, message=message))
    )


def _first_fault(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "it is not a JSON-RPC message" if len(faults) > 1 else faults[0]["msg"]
