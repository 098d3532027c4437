"""The processes of a measurement: a fixture server, and the gateway in front of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 30.0
END_LIMIT_S = 5.0


class DidNotStart(Exception):
    """A process ended before it served anything."""

    def __init__(self, command: list[str], said: str) -> None:
        super().__init__(f"{' '.join(command)} ended before it served; its last words: {said[-2000:] or 'not kept'}")


@asynccontextmanager
async def fixture(module: str) -> AsyncGenerator[str]:
    """A fixture server; gives its URL."""
    command = [sys.executable, "-m", f"tests.conformance.servers.{module}"]
    async with _running(command, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            port = await _line(BufferedByteReceiveStream(process.stdout))
        except anyio.IncompleteRead:
            raise DidNotStart(command, "") from None
        yield f"http://127.0.0.1:{port}/mcp"


@asynccontextmanager
async def gateway(servers: Mapping[str, Any], settings: Mapping[str, Any], folder: Path) -> AsyncGenerator[str]:
    """The gateway on streamable HTTP in front of these servers; gives its URL, and leaves its log in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.json"
    file.write_text(json.dumps({"mcpServers": servers, "asyncfc": settings}))
    options = ["--config", str(file), "--transport", "http", "--port", "0"]
    environment = {**os.environ, "ASYNCFC_STATE_FOLDER": str(folder / "state")}
    command = [sys.executable, "-m", "asyncfc_mcp", "serve", *options]
    async with _running(command, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        said = BufferedByteReceiveStream(process.stderr)
        with (folder / "gateway.log").open("w+") as kept:
            try:
                url = await _announced(said, kept)
            except anyio.IncompleteRead:
                kept.seek(0)
                raise DidNotStart(command, kept.read()) from None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_keep, said, kept)
                yield url
                tasks.cancel_scope.cancel()


async def _announced(said: BufferedByteReceiveStream, kept: IO[str]) -> str:
    """The URL in the line of the log that says it."""
    while True:
        line = await _line(said)
        kept.write(line + "\n")
        with suppress(ValueError):
            event = json.loads(line)
            if event.get("event") == "listening":
                return event["url"]


async def _keep(said: BufferedByteReceiveStream, kept: IO[str]) -> None:
    async for chunk in said:
        kept.write(chunk.decode(errors="replace"))


async def _line(stream: BufferedByteReceiveStream) -> str:
    with anyio.fail_after(START_LIMIT_S):
        return (await stream.receive_until(b"\n", 1 << 20)).decode(errors="replace")


@asynccontextmanager
async def _running(command: list[str], **options: Any) -> AsyncGenerator[Process]:
    """A child process, ended when the block is left."""
    async with await anyio.open_process(command, cwd=ROOT, **options) as process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            with anyio.move_on_after(END_LIMIT_S, shield=True):
                await process.wait()
            if process.returncode is None:
                process.kill()
