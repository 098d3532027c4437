"""The gateway as a process of its own, spoken to line by line, so that a test can say what no SDK would."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import IO, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import psutil

from tests.bounds import PAUSE_S, bound_s, with_wait

LIMIT_S = 20.0
"""The bound of everything that could hang."""
ENDS_WITHIN_S = 1.5
"""After this no process of ours may be left."""
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "raw", "version": "1"},
}

Json = dict[str, Any]


@asynccontextmanager
async def started(
    folder: Path,
    servers: Mapping[str, Any],
    *options: str,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    prelude: str = "",
) -> AsyncGenerator[RawGateway]:
    """A gateway that has been started with a configuration file in `folder`, where it also keeps its state.

    Args:
        prelude: Python that runs in the gateway's own process before it.
    """
    file = folder / "config.json"
    file.write_text(json.dumps({"mcpServers": servers, "asyncfc": settings or {}}))
    serve = ["serve", "--config", str(file), *options]
    async with run(folder, serve, environment=environment, prelude=prelude) as gateway:
        yield gateway


@asynccontextmanager
async def run(
    folder: Path, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, prelude: str = ""
) -> AsyncGenerator[RawGateway]:
    """The gateway's command with these arguments; whatever is left of it at the end is killed."""
    command = [sys.executable, "-m", "asyncfc_mcp", *arguments]
    if prelude:
        command[1:3] = ["-c", f"{prelude}\nfrom asyncfc_mcp.cli.main import main\nmain()"]
    own = {"ASYNCFC_STATE_FOLDER": str(folder / "state"), **(environment or {})}
    # The plain pipes of `subprocess`: only of those can a test close the end that it reads from.
    environ = {**os.environ, **own}
    process = subprocess.Popen(command, bufsize=0, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environ)  # noqa: ASYNC220
    gateway = RawGateway(process)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gateway.collect_stderr)
        try:
            yield gateway
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                gateway.kill()


class RawGateway:
    """One running gateway. It reads stdout only when asked, so that a test may leave it unread."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.pid = process.pid
        self._process = process
        self._stdin, self._stdout, self._error = Pipe(process.stdin), Pipe(process.stdout), Pipe(process.stderr)
        self.notifications: list[Json] = []
        self._ids = itertools.count(1)
        self._buffer = bytearray()
        self._searched = 0
        self._answers: dict[Any, Json] = {}
        self._stderr = bytearray()
        self._stderr_ended = anyio.Event()
        self._stderr_grew = anyio.Event()
        self._family: dict[int, psutil.Process] = {}

    # Saying

    async def send(self, message: object) -> None:
        await self.send_line(json.dumps(message).encode())

    async def send_line(self, line: bytes) -> None:
        with anyio.fail_after(bound_s(LIMIT_S)):
            await self._stdin.write(line + b"\n")

    async def start_request(self, method: str, params: Any = None) -> int:
        number = next(self._ids)
        await self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        return number

    async def start_call(self, tool: str, arguments: Any = None) -> int:
        return await self.start_request("tools/call", {"name": tool, "arguments": arguments or {}})

    async def call_line(self, tool: str, arguments: str) -> Json:
        """A call whose arguments are JSON that `json.dumps` could not write."""
        number = next(self._ids)
        head = f'{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"{tool}","arguments":'
        await self.send_line(f"{head}{arguments}}}}}".encode())
        return await self.answer(number)

    async def request(self, method: str, params: Any = None) -> Json:
        return await self.answer(await self.start_request(method, params))

    async def call(self, tool: str, **arguments: Any) -> Json:
        return await self.answer(await self.start_call(tool, arguments))

    async def text(self, tool: str, **arguments: Any) -> str:
        return text_of(await self.call(tool, **with_wait(tool, arguments)))

    async def token(self, tool: str, **arguments: Any) -> str:
        """Call and expect a token."""
        return (await self.call(tool, **arguments))["result"]["_meta"]["asyncfc/future"]["token"]

    async def initialize(self) -> None:
        await self.request("initialize", INITIALIZE)
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    # Hearing

    async def answer(self, number: Any) -> Json:
        """The answer to that request, whatever comes before it."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while number not in self._answers:
                message = json.loads(await self.line())
                if "method" in message:
                    self.notifications.append(message)
                else:
                    self._answers[message.get("id")] = message
        return self._answers.pop(number)

    def arrived(self, number: Any) -> Json | None:
        """The answer to that request, if it has been read already."""
        return self._answers.get(number)

    def forget_answers(self) -> None:
        """Drop what was read and not asked for."""
        self._answers.clear()

    async def line(self) -> bytes:
        """The next line on stdout.

        Raises:
            anyio.EndOfStream: there is none any more.
        """
        with anyio.fail_after(bound_s(LIMIT_S)):
            while (end := self._buffer.find(b"\n", self._searched)) < 0:
                self._searched = len(self._buffer)
                self._buffer += await self._stdout.read()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    async def rest(self) -> list[bytes]:
        """Every further line on stdout, until it ends."""
        lines: list[bytes] = []
        while True:
            try:
                lines.append(await self.line())
            except anyio.EndOfStream:
                return lines

    async def collect_stderr(self) -> None:
        try:
            while True:
                self._stderr += await self._error.read()
                self._stderr_grew.set()
                self._stderr_grew = anyio.Event()
        except anyio.EndOfStream:
            self._stderr_ended.set()

    async def stderr(self) -> str:
        """All that it said on stderr, once it has ended."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            await self._stderr_ended.wait()
        return self._stderr.decode()

    async def logged(self, event: str, nth: int = 1) -> Json:
        """The first log line of that event, or a later one."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while True:
                said = f'"event": "{event}"'.encode()
                lines = [line for line in self._stderr.split(b"\n")[:-1] if said in line]
                if len(lines) >= nth:
                    return json.loads(lines[nth - 1])
                await self._stderr_grew.wait()

    # Ending

    def family(self) -> list[psutil.Process]:
        """The gateway and every process that it has started, as far as they were there when this was asked."""
        gateway = psutil.Process(self.pid)
        self._family |= {one.pid: one for one in (gateway, *gateway.children(recursive=True))}
        return list(self._family.values())

    def close_stdin(self) -> None:
        self._stdin.close()

    def close_stdout(self) -> None:
        self._stdout.close()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def exit_code(self) -> int:
        """How it ended, once it has."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            return await anyio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)

    async def ended(self) -> int:
        """Its exit code; it fails when anything of the family is left after the time that it has."""
        start = time.monotonic()
        code = await self.exit_code()
        while left := alive(self._family.values()):
            assert time.monotonic() - start < bound_s(ENDS_WITHIN_S) + PAUSE_S, f"still there: {left}"
            await anyio.sleep(0.01)
        took_s = time.monotonic() - start
        assert took_s < bound_s(ENDS_WITHIN_S) + PAUSE_S, f"it took {took_s:.2f} s"
        return code

    def kill(self) -> None:
        """Leave nothing behind, however the test went."""
        if self._process.poll() is None:
            self.family()
        for one in alive(self._family.values()):
            with suppress(psutil.NoSuchProcess):  # it may be about to end by itself
                one.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout, self._error):
            pipe.close()


class Pipe:
    """Our end of one of its pipes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        os.set_blocking(file.fileno(), False)

    async def read(self) -> bytes:
        await anyio.wait_readable(self._file.fileno())
        chunk = os.read(self._file.fileno(), 1 << 20)
        if not chunk:
            raise anyio.EndOfStream
        return chunk

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            await anyio.wait_writable(self._file.fileno())
            with suppress(BlockingIOError):
                left = left[os.write(self._file.fileno(), left) :]

    def close(self) -> None:
        self._file.close()


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie does not."""
    return [one for one in processes if _is_alive(one)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def text_of(answer: Json) -> str:
    """All the text of an answer to a call."""
    return "\n".join(block["text"] for block in answer["result"]["content"] if block["type"] == "text")
