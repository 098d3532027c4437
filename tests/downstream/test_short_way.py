"""A call over streamable HTTP is one request, however its answer comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.outcome import DownstreamLost
from tests.downstream.support import connected, eras_over_http, seen_by

pytestmark = pytest.mark.anyio


async def calls_of(connection: Connection, tool: str) -> list[dict[str, Any]]:
    named = [one for one in await seen_by(connection) if isinstance(one.get("params"), dict)]
    return [one for one in named if one["params"].get("name") == tool]


def at_path(server: ServerEntry, path: str, headers: dict[str, str] | None = None) -> ServerEntry:
    assert isinstance(server.transport, RemoteEntry)
    url = server.transport.url.removesuffix("/mcp") + path
    return server.model_copy(update={"transport": RemoteEntry(url=url, headers=headers or {})})


@pytest.mark.parametrize("tool", ["as_document", "as_events"])
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_call_is_one_request_whether_its_answer_is_a_document_or_a_stream(era: str, tool: str) -> None:
    with anyio.fail_after(30):
        async with eras_over_http(era) as server, connected(server) as connection:
            assert (await connection.call_tool(tool, {})).text == tool
            assert len(await calls_of(connection, tool)) == 1


async def test_a_redirect_within_the_origin_is_followed() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("modern") as server, connected(at_path(server, "/moved")) as connection:
            assert (await connection.call_tool("there", {})).text == "there"
            assert len(await calls_of(connection, "there")) == 1


async def test_a_header_of_the_entry_goes_once_and_gives_way_to_the_protocols_own() -> None:
    own = {"X-Mine": "1", "Mcp-Method": "nonsense", "Accept": "text/plain"}
    with anyio.fail_after(30):
        async with eras_over_http("modern") as server, connected(at_path(server, "/mcp", own)) as connection:
            await connection.call_tool("seen", {})
            (_, call) = await calls_of(connection, "seen")
    assert call["x-headers"]["mcp-method"] == "tools/call"
    names = call["x-header-names"]
    assert len(names) == len(set(names))
    assert {"x-mine", "accept", "content-length"} <= set(names)


async def test_a_cookie_that_a_server_sets_comes_back_to_it() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("modern") as server, connected(server) as connection:
            await connection.call_tool("set_cookie", {})
            await connection.call_tool("after", {})
            (call,) = await calls_of(connection, "after")
    assert call["x-cookies"] == {"place": "here"}


async def test_an_answer_to_another_request_answers_none() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("modern") as server, connected(server) as connection:
            await connection.call_tool("seen", {})
            with anyio.move_on_after(0.3) as waiting:
                await connection.call_tool("for_another", {})
    assert waiting.cancelled_caught


async def test_the_end_of_the_connection_ends_a_call_that_goes_the_short_way(tmp_path: Path) -> None:
    path = tmp_path / "never"

    async def lose() -> None:
        with pytest.raises(DownstreamLost):
            await connection.call_tool("wait_for_file", {"path": str(path)})

    with anyio.fail_after(30):
        async with (
            eras_over_http("modern") as server,
            anyio.create_task_group() as tasks,
            connected(server) as connection,
        ):
            await connection.call_tool("seen", {})
            tasks.start_soon(lose)
            while not Path(f"{path}.waiting").exists():
                await anyio.lowlevel.checkpoint()
