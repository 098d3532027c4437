"""Servers that ask for roots as soon as they are connected, before any call: as server-filesystem does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.session import ClientRequestContext
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, ErrorData, InputRequiredResult, ListRootsResult, Root

from tests.harness import FREE, LIMIT_S, Era, GatewayClient, running, text_of
from tests.questions.support import User

NPM = os.environ.get("ASYNCFC_TEST_NPM", "")
PROJECT = "file:///project"

pytestmark = pytest.mark.anyio


def rooted(prefix: str = "") -> dict[str, Any]:
    return {
        "command": sys.executable,
        "args": [str(Path(__file__).parent / "servers" / "rooted.py")],
        "asyncfc": {"prefix": prefix, "inline_wait_s": LIMIT_S, "tools": dict.fromkeys(("roots", "look", "end"), FREE)},
    }


ROOTED = {"rooted": rooted()}


class Mover:
    """A user with one folder, who may move to another one, or let nobody know."""

    def __init__(self, uri: str = PROJECT) -> None:
        self.uri = uri
        self.keeps_quiet = False
        self.asked = 0

    async def roots(self, _: ClientRequestContext) -> ListRootsResult | ErrorData:
        self.asked += 1
        if self.keeps_quiet:
            return ErrorData(code=-1, message="none of your business")
        return ListRootsResult(roots=[Root(uri=self.uri)])  # pyright: ignore[reportArgumentType]

    @property
    def options(self) -> dict[str, Any]:
        return {"list_roots_callback": self.roots}


async def said(gateway: GatewayClient, tool: str = "roots") -> dict[str, Any]:
    """What the client said, as far as the server knows."""
    return json.loads(await gateway.text(tool))


async def root(gateway: GatewayClient, tool: str = "roots") -> str:
    return (await said(gateway, tool))["roots"][0]["uri"]


async def heard(gateway: GatewayClient) -> dict[str, Any]:
    """What the server heard, once it has heard something."""
    with anyio.fail_after(LIMIT_S):
        while not (answer := await said(gateway)):
            pass
    return answer


async def test_a_server_that_asks_at_the_start_gets_the_roots_of_the_only_client() -> None:
    user = User()
    async with running(ROOTED, era="legacy", client_options={"list_roots_callback": user.roots}) as gateway:
        assert (await heard(gateway))["roots"][0]["uri"] == PROJECT
        assert user.asked == ["roots"]


async def test_a_client_without_a_handshake_is_asked_by_the_first_call_and_never_again() -> None:
    user = Mover()
    async with running(ROOTED, client_options=user.options) as gateway:
        assert [await root(gateway), await root(gateway)] == [PROJECT, PROJECT]
        assert user.asked == 1


async def test_first_calls_that_were_sent_side_by_side_all_find_the_roots() -> None:
    user, found = Mover(), list[str]()

    async def look() -> None:
        found.append(await root(gateway))

    async with running(ROOTED, client_options=user.options) as gateway, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(look)
    assert found == [PROJECT] * 3


async def test_a_client_is_asked_once_for_all_servers() -> None:
    user = Mover()
    servers = {"one": rooted("one"), "two": rooted("two")}
    async with running(servers, client_options=user.options) as gateway:
        assert [await root(gateway, "one_roots"), await root(gateway, "two_roots")] == [PROJECT, PROJECT]
        assert user.asked == 1


async def test_a_server_that_was_restarted_gets_the_roots_that_are_known() -> None:
    user = Mover()
    async with running(ROOTED, client_options=user.options) as gateway:
        assert await root(gateway) == PROJECT
        assert (await gateway.call("end")).is_error
        assert (await heard(gateway))["roots"][0]["uri"] == PROJECT
        assert user.asked == 1


async def test_a_server_that_does_not_ask_again_is_called_all_the_same() -> None:
    deaf = rooted()
    deaf["args"].append("deaf")
    user = Mover()
    async with running({"rooted": deaf}, client_options=user.options) as gateway:
        assert "no one client is meant" in (await said(gateway))["message"]
        assert "no one client is meant" in (await said(gateway))["message"]
        assert user.asked == 1


async def test_roots_asked_for_in_a_call_come_from_the_client_and_are_the_ones_that_are_known_then() -> None:
    user = Mover()
    async with running(ROOTED, client_options=user.options) as gateway:
        assert await root(gateway) == PROJECT
        user.uri = "file:///elsewhere"
        assert await root(gateway, "look") == "file:///elsewhere"
        assert user.asked == 2
        assert (await gateway.call("end")).is_error
        assert (await heard(gateway))["roots"][0]["uri"] == "file:///elsewhere"
        assert user.asked == 2


async def test_a_client_that_refuses_changes_nothing_and_is_asked_by_the_next_call() -> None:
    user = Mover()
    user.keeps_quiet = True
    async with running(ROOTED, client_options=user.options) as gateway:
        with pytest.raises(MCPError, match="none of your business"):
            await gateway.call("roots")
        user.keeps_quiet = False
        assert await root(gateway) == PROJECT


async def test_a_call_that_comes_back_without_the_roots_goes_on_and_the_client_is_not_asked_again() -> None:
    async with running(ROOTED, client_options=Mover().options) as gateway:
        session = gateway.client.session
        asked = await session.call_tool("roots", {}, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        again = await session.call_tool("roots", {}, request_state=asked.request_state, allow_input_required=True)
        assert isinstance(again, CallToolResult)
        assert "no one client is meant" in text_of(again)
        assert "no one client is meant" in (await said(gateway))["message"]


async def test_roots_that_come_back_without_the_state_are_taken() -> None:
    async with running(ROOTED, client_options=Mover().options) as gateway:
        session = gateway.client.session
        asked = await session.call_tool("roots", {}, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        (key,) = asked.input_requests or {}
        assert key.startswith("roots_")
        answers: Any = {key: {"roots": [{"uri": PROJECT}]}}
        again = await session.call_tool("roots", {}, input_responses=answers, allow_input_required=True)
        assert isinstance(again, CallToolResult)
        assert json.loads(text_of(again))["roots"] == [{"uri": PROJECT}]


async def test_a_client_that_declares_no_roots_is_never_asked() -> None:
    async with running(ROOTED) as gateway:
        assert "no one client is meant" in (await heard(gateway))["message"]


@pytest.mark.real
@pytest.mark.skipif(not NPM, reason="ASYNCFC_TEST_NPM does not name a folder with node_modules")
@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_server_filesystem_allows_the_folder_of_the_client_as_it_does_directly(era: Era, tmp_path: Path) -> None:
    script = Path(NPM, "node_modules", "@modelcontextprotocol", "server-filesystem", "dist", "index.js")
    user = Mover(tmp_path.resolve().as_uri())
    with anyio.fail_after(LIMIT_S):
        async with Client(
            stdio_client(StdioServerParameters(command="node", args=[str(script)])), mode="legacy", **user.options
        ) as client:
            while str(tmp_path) not in (direct := text_of(await client.call_tool("list_allowed_directories", {}))):
                pass
    entry = {"command": "node", "args": [str(script)], "asyncfc": {"prefix": "", "inline_wait_s": LIMIT_S}}
    async with running({"files": entry}, era=era, client_options=user.options) as gateway:
        with anyio.fail_after(LIMIT_S):
            through = await gateway.text("list_allowed_directories")
            while era == "legacy" and through != direct:
                through = await gateway.text("list_allowed_directories")
    assert through == direct
