"""A file that is copied by token is copied byte for byte."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult, TextContent

from tests.fidelity.doors import LIMIT_S, Door, connected
from tests.fidelity.gateways import gateway_command
from tests.fidelity.servers import NPM, WITHOUT_NPM, npm_server

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.skipif(not NPM, reason=WITHOUT_NPM)]

CONTENTS = {
    "nothing": "",
    "one newline": "\n",
    "trailing newlines": "a\n\n\n",
    "no newline at the end": "a\nb",
    "CRLF, CR and LF": "a\r\nb\rc\nd\r\n",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x80\x85",
    "line separators of Unicode": "a\u2028b\u2029c\x0bd\x0ce",
    "byte order mark": "\ufeffa\ufeff",
    "beyond the first plane": "👩‍👩‍👧 \U0001d4b3 \U0010ffff \uffff \ufdd0",
    "decomposed and right to left": "e\u0301 \u202eabc\u202c שלום",
    "what looks like a token": "fut_other",
    "what looks like a reference": "${fut_other/a} $${fut_other} $${HOME}",
    "JSON": '{"a": [1, 2.50, null]}',
    "a number": "007",
    "white space": "  \t \n ",
    "backslashes and quotes": '\\n \\u0000 "quoted" \\',
}
LARGE = "".join(f"{number:07} ü\r\n" for number in range(90_000))
"""Over 1 MB."""


@dataclass(frozen=True, slots=True)
class Copier:
    """A gateway in front of a filesystem server, and the folder that it may use."""

    door: Door
    folder: Path

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        with anyio.fail_after(LIMIT_S):
            result = await self.door.client.call_tool(f"filesystem_{tool}", arguments)
        assert not result.is_error, result.content
        return result


@asynccontextmanager
async def copier(folder: Path) -> AsyncGenerator[Copier]:
    program, *arguments = npm_server("filesystem")
    files = folder / "files"
    files.mkdir()
    entry = {"command": program, "args": [*arguments, str(files)]}
    config = folder / "config.json"
    config.write_text(json.dumps({"mcpServers": {"filesystem": entry}, "asyncfc": {"inline_wait_s": 20}}))
    env = {"ASYNCFC_STATE_FOLDER": str(folder / "state")}
    with anyio.fail_after(60):
        async with connected(gateway_command(config), "auto", env=env) as door:
            await door.client.list_tools()
            yield Copier(door, files)


async def test_every_content_is_copied_byte_for_byte(tmp_path: Path) -> None:
    async with copier(tmp_path) as files:
        for number, (name, content) in enumerate(CONTENTS.items()):
            source, target = files.folder / f"{number}.in", files.folder / f"{number}.out"
            source.write_bytes(content.encode())
            await files.call("read_text_file", path=str(source), _as=f"source{number}")
            await files.call("write_file", path=str(target), content=f"fut_source{number}")
            assert target.read_bytes() == source.read_bytes(), name


async def test_a_large_file_is_copied_by_the_token_on_its_last_line(tmp_path: Path) -> None:
    async with copier(tmp_path) as files:
        source, target = files.folder / "in", files.folder / "out"
        source.write_bytes(LARGE.encode())
        read = await files.call("read_text_file", path=str(source))
        last = read.content[-1]
        assert isinstance(last, TextContent)
        token = last.text.split('"')[1]
        await files.call("write_file", path=str(target), content=token)
        assert target.read_bytes() == source.read_bytes()


async def test_reads_and_writes_sent_side_by_side_copy_every_file(tmp_path: Path) -> None:
    async with copier(tmp_path) as files:
        contents = list(CONTENTS.values())
        for number, content in enumerate(contents):
            (files.folder / f"{number}.in").write_bytes(content.encode())
        async with anyio.create_task_group() as tasks:
            for number in range(len(contents)):
                tasks.start_soon(copy_with_both_calls_at_once, files, number)
        await files.door.client.call_tool("await_future", {"futures": []})
        for number, content in enumerate(contents):
            assert (files.folder / f"{number}.out").read_bytes() == content.encode()


async def copy_with_both_calls_at_once(files: Copier, number: int) -> None:
    async def read() -> None:
        await files.call("read_text_file", path=str(files.folder / f"{number}.in"), _as=f"both{number}")

    async def write() -> None:
        await files.call("write_file", path=str(files.folder / f"{number}.out"), content=f"fut_both{number}")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        tasks.start_soon(read)
