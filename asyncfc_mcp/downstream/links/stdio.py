"""MCP over the pipes of a child: our own framing, because a server's rubbish, length or depth must not stop a call.

Both directions are streams as the SDK's dispatcher wants them, without a task or a queue of their own in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import structlog
from anyio.abc import ObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCRequest, RequestId
from pydantic import ValidationError

from asyncfc_mcp.config.models import StdioEntry
from asyncfc_mcp.downstream.links.arrivals import Arrivals
from asyncfc_mcp.downstream.links.faults import most_read_bytes, too_large
from asyncfc_mcp.downstream.links.framing import Line, LineSplitter, printable, response_id
from asyncfc_mcp.downstream.links.link import Hearing, Link
from asyncfc_mcp.downstream.links.messages import read_message
from asyncfc_mcp.downstream.links.open_requests import OpenRequests
from asyncfc_mcp.downstream.links.overhearing import Aside, tell
from asyncfc_mcp.downstream.links.process import ChildProcess, spawn
from asyncfc_mcp.downstream.links.secrets import Secrets, given_to

log = structlog.get_logger(__name__)

_READ_BYTES = 256 * 1024
_STDERR_LINE_BYTES = 16 * 1024
_LAST_ANSWERS_S = 0.5
_IGNORED_LINES_LOGGED = 10
"""After so many, only every thousandth line of rubbish is logged."""


@asynccontextmanager
async def stdio_link(server: str, entry: StdioEntry, max_result_bytes: int) -> AsyncGenerator[Link]:
    """Start the server of `entry` and talk to it; ends it, and all that it started, on the way out."""
    child = await spawn(entry)
    tell(server, Aside.STARTED, [f"process {child.pid} was started"])
    hearing = Hearing()
    open_requests = OpenRequests()
    secrets = Secrets(given_to(entry))
    read = _FromChild(server, child, hearing, open_requests, max_result_bytes=max_result_bytes, secrets=secrets)
    write = _ToChild(child, read, open_requests)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_take_stderr, server, child, secrets)
        tasks.start_soon(_close_after_exit, child, read)
        tasks.start_soon(_close_after_deafness, child, read, write)
        try:
            yield Link(read, write, trouble=lambda: _how_it_ended(child), hearing=hearing)
        finally:
            # one that is still writing must be able to come to its end of file
            read.drop()
            await child.end()
            tasks.cancel_scope.cancel()
            tell(server, Aside.ENDED, [_exit_of(child) or "the gateway ended its process"])


def _how_it_ended(child: ChildProcess) -> str | None:
    end = _exit_of(child)
    has_spoken = end is not None and (child.own_exit_code or 0) >= 0
    return f"{end}; its stderr is in the log" if has_spoken else end


def _exit_of(child: ChildProcess) -> str | None:
    if child.own_exit_code is None:
        return None
    if child.own_exit_code < 0:
        return f"its process was ended by signal {-child.own_exit_code}"
    return f"its process exited with code {child.own_exit_code}"


class _FromChild(Arrivals):
    """Turns a child's stdout into messages, and what is none into log lines or error answers.

    While a message waits, nothing more is read.
    """

    def __init__(
        self,
        server: str,
        child: ChildProcess,
        hearing: Hearing,
        open_requests: OpenRequests,
        *,
        max_result_bytes: int,
        secrets: Secrets,
    ) -> None:
        super().__init__()
        self._server = server
        self._child = child
        self._hearing = hearing
        self._open_requests = open_requests
        self._max_result_bytes = max_result_bytes
        self._secrets = secrets
        self._splitter = LineSplitter(most_read_bytes(max_result_bytes))
        self._is_dropped = False
        self._ignored = 0
        child.listen(self._take)

    def _take(self, chunk: bytes) -> None:
        if self._is_dropped:
            return
        if chunk:
            self._hearing.note()
        for line in self._splitter.feed(chunk) if chunk else self._splitter.rest():
            if (message := self._message(line)) is not None:
                self.put(message)
        if not chunk:
            self.end()
        elif self._messages:
            self._child.pause()

    async def receive(self) -> SessionMessage:
        """The next message.

        Raises:
            EndOfStream: none will come.
        """
        if self._messages:
            # what came with it is dealt with first: an answer must not overtake the words before it
            await asyncio.sleep(0)
        message = await super().receive()
        if not self._messages:
            self._child.resume()
        return message

    async def aclose(self) -> None:
        """Nothing more is wanted; what still comes is for `drop`."""

    def drop(self) -> None:
        """Read on until the end, and drop it."""
        self._is_dropped = True
        self._child.resume()

    def _message(self, line: Line) -> SessionMessage | None:
        if line.is_cut:
            return self._error_answer(line, too_large(line.size_bytes, self._max_result_bytes))
        if not line.head.strip():
            return None
        try:
            message = read_message(line.head)
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
            shown = printable(self._secrets.hidden_in(line.head))
            log.warning("server_stdout_ignored", server=self._server, line=shown, ignored_so_far=self._ignored)
            tell(self._server, Aside.STDOUT, [shown])


class _ToChild(ObjectSendStream[SessionMessage]):
    """Writes to a child's stdin, however much waits there: one that does not read must not hold up who cancels."""

    def __init__(self, child: ChildProcess, read: _FromChild, open_requests: OpenRequests) -> None:
        self._stdin = child.stdin
        self._read = read
        self._open_requests = open_requests
        self._is_closed = False
        self.missed = anyio.Event()
        """Set once the child cannot have got something."""

    async def send(self, item: SessionMessage) -> None:
        """Hand a message to the pipe."""
        if self._is_closed:
            raise anyio.ClosedResourceError
        message = item.message
        try:
            line = message.model_dump_json(by_alias=True, exclude_unset=True).encode()
        except ValueError as error:
            # One message that cannot be written down must cost its sender an answer, not everybody the connection.
            if isinstance(message, JSONRPCRequest):
                self._read.put(_error(message.id, f"the request cannot be written: {error}"))
            return
        self._open_requests.note_sent(message)
        if self._stdin.is_closing():
            self.missed.set()
            return
        self._stdin.write(line + b"\n")

    async def aclose(self) -> None:
        self._is_closed = True


async def _close_after_deafness(child: ChildProcess, read: _FromChild, write: _ToChild) -> None:
    # One that has closed its stdin may still answer what it has read; the session ends once it misses something.
    if not await child.deaf():
        await write.missed.wait()
    await anyio.sleep(_LAST_ANSWERS_S)
    read.end()


async def _close_after_exit(child: ChildProcess, read: _FromChild) -> None:
    # What the child started may hold its stdout open, so that no end of file ever comes.
    await child.exited()
    await anyio.sleep(_LAST_ANSWERS_S)
    read.end()


async def _take_stderr(server: str, child: ChildProcess, secrets: Secrets) -> None:
    splitter = LineSplitter(_STDERR_LINE_BYTES)
    while chunk := await child.stderr.read(_READ_BYTES):
        _note_stderr(server, splitter.feed(chunk), secrets)
    _note_stderr(server, splitter.rest(), secrets)


def _note_stderr(server: str, lines: list[Line], secrets: Secrets) -> None:
    shown = [printable(secrets.hidden_in(line.head)) for line in lines]
    for line in shown:
        log.info("server_stderr", server=server, line=line)
    if shown:
        tell(server, Aside.STDERR, shown)


def _error(request_id: RequestId, message: str) -> SessionMessage:
    return SessionMessage(
        JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=PARSE_ERROR, message=message))
    )


def _first_fault(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "it is not a JSON-RPC message" if len(faults) > 1 else faults[0]["msg"]
