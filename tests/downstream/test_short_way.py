"""A call over streamable HTTP is one request, however its answer comes."""

from __future__ import annotations

from contextvars import copy_context
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry
from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.links.posting import Posting, handed_over
from asyncfc_mcp.downstream.outcome import DownstreamLost, RpcError
from tests.downstream.support import connected, eras_over_http, seen_by

pytestmark = pytest.mark.anyio


async def calls_of(connection: Connection, tool: str) -> list[dict[str, Any]]:
    named = [one for one in await seen_by(connection) if isinstance(one.get("params"), dict)]
    return [one for one in named if one["params"].get("name") == tool]


def at_path(server: ServerEntry, path: str, headers: dict[str, str] | None = None) -> ServerEntry:
    assert isinstance(server.transport, RemoteEntry)
    url = server.transport.url.removesuffix("/mcp") + path
    return server.model_copy(update={"transport": RemoteEntry(url=url, headers=headers or {})})


@pytest.mark.parametrize("tool", ["as_document", "as_events", "in_pieces"])
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_call_is_one_request_whether_its_answer_is_a_document_or_a_stream(era: str, tool: str) -> None:
    with anyio.fail_after(30):
        async with eras_over_http(era) as server, connected(server) as connection:
            assert (await connection.call_tool(tool, {})).text == tool
            assert len(await calls_of(connection, tool)) == 1


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_what_comes_before_the_answer_in_a_stream_is_heard_first(era: str) -> None:
    heard: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert (progress, total) == (1, None)
        heard.append(message)

    with anyio.fail_after(30):
        async with eras_over_http(era) as server, connected(server) as connection:
            assert (await connection.call_tool("as_steps", {}, on_progress=hear)).text == "as_steps"
            assert heard == ["half"]
            assert len(await calls_of(connection, "as_steps")) == 1


async def test_calls_of_a_session_say_which_it_is() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("legacy") as server, connected(server) as connection:
            for _ in range(2):
                await connection.call_tool("as_events", {})
            (listing,) = [one for one in await seen_by(connection) if one.get("method") == "tools/list"]
            assert listing["x-headers"].keys() == {"mcp-session-id", "mcp-protocol-version"}
            for call in await calls_of(connection, "as_events"):
                assert call["x-headers"] == listing["x-headers"]


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_document_that_cannot_be_unpacked_costs_its_call_alone(era: str) -> None:
    with anyio.fail_after(30):
        async with eras_over_http(era) as server, connected(server) as connection:
            with pytest.raises(DownstreamLost):
                await connection.call_tool("packed_badly", {})
            assert (await connection.call_tool("echo", {"text": "on"})).text == "on"
            assert connection.status.attempts == 0


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_an_answer_that_is_an_error_as_well_is_an_error(era: str) -> None:
    with anyio.fail_after(30):
        async with eras_over_http(era) as server, connected(server) as connection:
            with pytest.raises(RpcError, match="both"):
                await connection.call_tool("both", {})


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_connection_is_used_again_after_a_stream(era: str) -> None:
    with anyio.fail_after(30):
        async with eras_over_http(era) as server, connected(server) as connection:
            for _ in range(30):
                await connection.call_tool("as_events", {})
            ports = [call["x-port"] for call in await calls_of(connection, "as_events")]
            # now and then the end of a stream comes later than the next call, on a busy machine for a while
            assert min(len(set(ports[first : first + 10])) for first in (0, 10, 20)) < 5


async def test_a_server_with_sessions_may_answer_what_it_was_asked_to_cancel(tmp_path: Path) -> None:
    cancel, path = CancelRequest(), tmp_path / "go"
    outcomes: list[str | None] = []

    async def call() -> None:
        outcome = await connection.call_tool("after_file", {"path": str(path)}, cancel_requested=cancel)
        outcomes.append(outcome.text)

    with anyio.fail_after(30):
        async with (
            eras_over_http("legacy") as server,
            connected(server) as connection,
            anyio.create_task_group() as tasks,
        ):
            await connection.call_tool("seen", {})
            tasks.start_soon(call)
            while not await calls_of(connection, "after_file"):
                pass
            cancel.set()
            while not any(one.get("method") == "notifications/cancelled" for one in await seen_by(connection)):
                pass
            path.touch()
    assert outcomes == ["after_file"]


async def test_a_server_with_sessions_may_answer_on_another_stream_than_that_of_the_call() -> None:
    with anyio.fail_after(30):
        async with eras_over_http("legacy") as server, connected(at_path(server, "/talkative")) as connection:
            await connection.call_tool("seen", {})
            assert (await connection.call_tool("aside", {})).text == "aside"


class Interrupted:
    """The way to the SDK's transport, cancelled as that takes a request."""

    def __init__(self) -> None:
        self.taken = anyio.Event()
        self.context = copy_context()

    async def send(self, item: SessionMessage) -> None:
        assert isinstance(item.message, JSONRPCRequest)
        self.context = copy_context()
        self.taken.set()
        await anyio.sleep_forever()


async def test_a_request_that_is_cancelled_as_the_sdk_takes_its_response_is_not_sent_again() -> None:
    interrupted = Interrupted()
    write: Any = interrupted
    refusing = httpx2.MockTransport(lambda _: httpx2.Response(418))
    request = JSONRPCRequest(jsonrpc="2.0", id=1, method="tools/call")
    async with httpx2.AsyncClient(transport=refusing) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(Posting(client, "http://a.server/mcp", write).send, SessionMessage(request))
        await interrupted.taken.wait()
        tasks.cancel_scope.cancel()
    response = interrupted.context.run(handed_over)
    assert response is not None
    assert response.status_code == 202


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
