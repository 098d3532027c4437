"""Real servers from npm: ASYNCFC_TEST_NPM names a folder whose `node_modules` has them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio
import psutil
import pytest

from asyncfc_mcp.config.models import ServerEntry, StdioEntry
from asyncfc_mcp.config.policy import LabelSource
from asyncfc_mcp.downstream.claims import EVERYTHING, Claims, Era
from tests.bounds import PAUSE_S, bound_s
from tests.downstream.support import entry, running

NPM = os.environ.get("ASYNCFC_TEST_NPM", "")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real,
    pytest.mark.skipif(not NPM, reason="ASYNCFC_TEST_NPM does not name a folder with node_modules"),
]


def npm(name: str, *arguments: str, env: dict[str, str] | None = None) -> ServerEntry:
    script = Path(NPM) / "node_modules" / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js"
    return entry(name, StdioEntry(command="node", args=(str(script), *arguments), env=env or {}))


async def test_three_servers_connect_side_by_side_and_end_in_time(tmp_path: Path) -> None:
    memory = {"MEMORY_FILE_PATH": str(tmp_path / "memory.jsonl")}
    servers = [npm("filesystem", str(tmp_path)), npm("memory", env=memory), npm("everything")]
    with anyio.fail_after(30):
        async with running(servers) as pool:
            tools = await pool.catalog.tools()
            assert (await pool.connection("everything").call_tool("echo", {"message": "hi"})).text == "Echo: hi"
            assert (await pool.connection("memory").call_tool("read_graph", {})).has_structured
            children = psutil.Process().children(recursive=True)
            start = time.monotonic()
    assert time.monotonic() - start < bound_s(1.1) + PAUSE_S
    assert {tool.server for tool in tools} == {"filesystem", "memory", "everything"}
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


async def test_filesystem_tells_what_it_did_and_what_it_refused(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with running([npm("filesystem", str(tmp_path))]) as pool:
            tools = {tool.own_name: tool for tool in await pool.catalog.tools()}
            filesystem = pool.connection("filesystem")
            target = str(tmp_path / "a.txt")
            assert not (await filesystem.call_tool("write_file", {"path": target, "content": "a\r\nb\n\n"})).is_error
            read = await filesystem.call_tool("read_text_file", {"path": target})
            refused = await filesystem.call_tool("read_text_file", {"path": "/etc/passwd"})
    assert read.text == "a\r\nb\n\n"
    assert refused.is_error
    assert tools["read_text_file"].policy.hints.read_only is True
    assert tools["write_file"].policy.label_source in {LabelSource.PACK, LabelSource.DEFAULT}


async def test_everything_sends_images_and_progress() -> None:
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    with anyio.fail_after(20):
        async with running([npm("everything")]) as pool:
            everything = pool.connection("everything")
            image = await everything.call_tool("get-tiny-image", {})
            long = {"duration": 0.4, "steps": 4}
            await everything.call_tool("trigger-long-running-operation", long, on_progress=note)
            assert (await pool.catalog.tools())[0].tool["annotations"]
    assert "image" in image.block_types
    assert steps


async def test_npx_and_the_server_below_it_end_together(tmp_path: Path) -> None:
    through_npx = entry(
        "npx", StdioEntry(command="npx", args=("--prefix", NPM, "--no-install", "mcp-server-filesystem", str(tmp_path)))
    )
    with anyio.fail_after(30):
        async with running([through_npx]) as pool:
            await pool.connection("npx").call_tool("list_allowed_directories", {})
            children = psutil.Process().children(recursive=True)
            assert len(children) > 1
            start = time.monotonic()
    assert time.monotonic() - start < bound_s(1.1) + PAUSE_S
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_server_offers_more_tools_to_a_client_that_can_do_more_also_when_kept(era: Era, tmp_path: Path) -> None:
    able, unable = Claims.of(era, EVERYTHING.capabilities), Claims.of(era, {})
    counts: list[int] = []
    with anyio.fail_after(60):
        for claims in (able, unable, able, unable):
            async with running([npm("everything")], state_folder=tmp_path, waits_for_claims=True) as pool:
                pool.claim(claims)
                counts.append(len(pool.catalog.known))
                await pool.connection("everything").call_tool("echo", {"message": "hi"})
                listing = pool.connection("everything").listing
                counts.append(len(pool.catalog.known))
                assert listing
                assert listing.resources
                assert listing.templates
                assert listing.prompts
    assert counts == [0, 17, 0, 13, 17, 17, 13, 13]
