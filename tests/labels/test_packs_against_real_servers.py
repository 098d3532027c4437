"""The packs name the tools that the real servers list, with the arguments that these tools really take."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import anyio
import pytest
from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import Tool

from asyncfc_mcp.core.label import Template
from asyncfc_mcp.packs.reader import find_pack

NPM = ["everything", "filesystem", "memory"]
PYPI = ["fetch", "git", "time"]


def command_of(name: str, folder: Path) -> list[str]:
    if name in PYPI:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        program = shutil.which(f"mcp-server-{name}", path=path)
        if program is None:
            pytest.skip(f"mcp-server-{name} is not installed")
        return [program]
    npm = os.environ.get("ASYNCFC_TEST_NPM")
    if npm is None:
        pytest.skip("ASYNCFC_TEST_NPM names no folder with node_modules")
    script = Path(npm, "node_modules", "@modelcontextprotocol", f"server-{name}", "dist", "index.js")
    return ["node", str(script), *([str(folder)] if name == "filesystem" else [])]


@pytest.fixture
def errors() -> Iterator[TextIO]:
    with Path(os.devnull).open("w") as file:
        yield file


async def list_tools(command: list[str], errors: TextIO) -> list[Tool]:
    with anyio.fail_after(30):
        parameters = StdioServerParameters(command=command[0], args=command[1:])
        async with stdio_client(parameters, errlog=errors) as streams, ClientSession(*streams) as session:
            await session.initialize()
            return (await session.list_tools()).tools


@pytest.mark.real
@pytest.mark.anyio
@pytest.mark.parametrize("name", NPM + PYPI)
async def test_a_pack_fits_the_real_server(name: str, tmp_path: Path, errors: TextIO) -> None:
    command = command_of(name, tmp_path)
    tools = await list_tools(command, errors)
    pack = find_pack(command, [tool.name for tool in tools])
    assert pack is not None
    assert pack.name == name
    for tool in tools:
        assert tool.name in pack.tools, f"{tool.name} has no labels"
        reads, writes = pack.tools[tool.name]
        fields = {field.name for text in (*reads, *writes) for field in Template.parse(text).fields}
        assert fields <= tool.input_schema.get("properties", {}).keys()
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is not bool(writes), f"{tool.name} and its server disagree"
