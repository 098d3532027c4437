"""A client that costs next to nothing, and processes whose time and memory are read: for measuring many calls."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

ANSWER_S = 900.0
"""No request may take longer."""
_LONGEST_LINE = 2**26
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Wire:
    """One MCP process over its stdin and stdout, spoken to in plain JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        lines = cast("asyncio.StreamReader", self._process.stdout)
        async for line in lines:
            message = json.loads(line)
            if (waiting := self._waiting.pop(message.get("id"), None)) is not None and not waiting.done():
                waiting.set_result(message)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(RuntimeError("the process has ended"))

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request; its result.

        Raises:
            RuntimeError: an error came, or the process has ended.
        """
        number = next(self._ids)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        async with asyncio.timeout(ANSWER_S):  # wait_for swallows a cancellation that comes with the answer
            answer = await waiting
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _write(self, message: dict[str, Any]) -> None:
        sink = cast("asyncio.StreamWriter", self._process.stdin)
        sink.write(json.dumps(message).encode() + b"\n")

    async def shake_hands(self) -> None:
        """What a legacy client says first."""
        info = {"name": "scale-benchmark", "version": "1"}
        offer = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        await self.request("initialize", offer)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; its raw result.

        Raises:
            RuntimeError: it failed.
        """
        result = await self.request("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise RuntimeError(f"{tool}: {result}")
        return result

    # What it costs

    @property
    def cpu_s(self) -> float:
        """The processor time of the process, without that of its children."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def resident_bytes(self) -> int:
        """The memory of the process."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE

    async def close(self) -> None:
        """End the process: by the end of its stdin, by force when that does not help."""
        cast("asyncio.StreamWriter", self._process.stdin).close()
        for end in (None, self._process.terminate, self._process.kill):
            if end is not None:
                with suppress(ProcessLookupError):
                    end()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 20)
                break
        self._reading.cancel()


@asynccontextmanager
async def started(arguments: Sequence[str], log: IO[str] | int, **environment: str) -> AsyncGenerator[Wire]:
    """A Python process that speaks MCP over stdio."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        limit=_LONGEST_LINE,
        env={**os.environ, **environment},
    )
    wire = Wire(process)
    try:
        await asyncio.wait_for(wire.shake_hands(), 60)
        yield wire
    finally:
        await wire.close()


def milliseconds_since(stamp: str) -> float:
    """How long ago a `stamp` call ended."""
    return (time.monotonic_ns() - int(stamp)) / 1e6
