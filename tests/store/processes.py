"""Processes that hold a store, told what to do from a test; see gateway_process.py."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

LIMIT_S = 30.0
ROOT = Path(__file__).parents[2]


class Holder:
    """One of them."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._answers = BufferedByteReceiveStream(process.stdout)
        self.owner = ""

    async def tell(self, command: str, *arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        await self._process.stdin.send(json.dumps([command, *arguments]).encode() + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        with anyio.fail_after(LIMIT_S):
            return json.loads(await self._answers.receive_until(b"\n", 1_000_000))

    async def kill(self) -> None:
        """Without a word (SIGKILL), and gone when this returns."""
        self._process.kill()
        with anyio.fail_after(LIMIT_S):
            await self._process.wait()


@asynccontextmanager
async def holding(file: Path) -> AsyncGenerator[Holder]:
    command = [sys.executable, "-W", "error", "-m", "tests.store.gateway_process", str(file)]
    async with await anyio.open_process(command, cwd=ROOT, stderr=None) as process:
        holder = Holder(process)
        holder.owner = (await holder.answer())["owner"]
        try:
            yield holder
        finally:
            if process.returncode is None:
                process.kill()
