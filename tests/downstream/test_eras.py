"""Which era is spoken, and in whose name, with servers of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, UNSUPPORTED_PROTOCOL_VERSION, ErrorData, JSONRPCError, JSONRPCRequest

from asyncfc_mcp.downstream.claims import EVERYTHING, Claims, Era
from asyncfc_mcp.downstream.handshake import Negotiation
from asyncfc_mcp.downstream.links.faults import BROKEN_OFF, NO_ANSWER, TRANSPORT_FAULT_CODE, UNREACHABLE
from asyncfc_mcp.downstream.links.overhearing import Aside, overheard_by
from asyncfc_mcp.downstream.outcome import DownstreamLost, DownstreamUnavailable
from asyncfc_mcp.downstream.status import ConnectionState
from tests.bounds import bound_s
from tests.downstream.support import connected, eras, eras_over_http, reached, running, seen_by

pytestmark = pytest.mark.anyio

META = "io.modelcontextprotocol/"
CAPABILITIES: dict[str, Any] = {"roots": {"listChanged": True}, "elicitation": {}, "x-vendor": {"a": [1, None]}}
TASKS: dict[str, Any] = {"extensions": {META + "tasks": {}}}
LEGACY = "2025-11-25"
MODERN = "2026-07-28"


@pytest.mark.parametrize(
    ("era", "server", "spoken", "handshakes"),
    [
        ("legacy", "legacy", LEGACY, ["initialize"]),
        ("legacy", "dual", LEGACY, ["initialize"]),
        ("legacy", "modern", MODERN, ["initialize", "server/discover"]),
        ("legacy", "pathless", MODERN, ["initialize", "server/discover"]),
        ("modern", "legacy", LEGACY, ["server/discover", "initialize"]),
        ("modern", "dual", MODERN, ["server/discover"]),
        ("modern", "modern", MODERN, ["server/discover"]),
        ("modern", "pathless", MODERN, ["server/discover"]),
    ],
)
@pytest.mark.parametrize("carrier", ["stdio", "http"])
async def test_a_server_is_spoken_to_in_the_era_of_the_client_where_it_has_that(
    carrier: str, era: Era, server: str, spoken: str, handshakes: list[str]
) -> None:
    claims = Claims.of(era, CAPABILITIES)
    with anyio.fail_after(30):
        if carrier == "http":
            async with eras_over_http(server) as there, connected(there, claims=claims) as connection:
                seen = await seen_by(connection)
        else:
            async with connected(eras(server), claims=claims) as connection:
                seen = await seen_by(connection)
    assert connection.status.protocol_version == spoken
    methods = [message["method"] for message in seen]
    assert [method for method in methods if method in ("initialize", "server/discover")] == handshakes


NOBODY = ErrorData(code=TRANSPORT_FAULT_CODE, message="nobody there", data=UNREACHABLE)
"""What the HTTP link says of a request that found nobody."""
HUNG_UP = ErrorData(code=TRANSPORT_FAULT_CODE, message="hung up", data=BROKEN_OFF)
"""What it says of a connection that was closed in the place of an answer."""
PROXY = ErrorData(code=INTERNAL_ERROR, message="bad gateway", data=NO_ANSWER)
OTHERWISE = ErrorData(
    code=UNSUPPORTED_PROTOCOL_VERSION, message="ask again", data={"supported": [MODERN], "requested": MODERN}
)


async def refused(negotiation: Negotiation, era: Era, refusals: list[ErrorData]) -> tuple[list[str], str]:
    """What a server is asked that answers so, one after another, and with what its connection ends."""
    to_us, heard = anyio.create_memory_object_stream[SessionMessage | Exception]()
    said, from_us = anyio.create_memory_object_stream[SessionMessage]()
    asked: list[str] = []

    async def refuse() -> None:
        async with to_us:
            async for message in from_us:
                assert isinstance(message.message, JSONRPCRequest)
                refusal = JSONRPCError(jsonrpc="2.0", id=message.message.id, error=refusals[len(asked)])
                asked.append(message.message.method)
                await to_us.send(SessionMessage(refusal))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks, from_us:
            tasks.start_soon(refuse)
            async with ClientSession(heard, said) as session:
                try:
                    await negotiation.settle(session, Claims(era))
                except MCPError as error:
                    return asked, error.message
    raise AssertionError("it was settled")


ASK, GREET = "server/discover", "initialize"


@pytest.mark.parametrize(
    ("era", "refusals", "questions"),
    [
        ("modern", [NOBODY], [ASK]),
        ("modern", [OTHERWISE, NOBODY], [ASK, ASK]),
        ("modern", [OTHERWISE, HUNG_UP, HUNG_UP], [ASK, ASK, ASK]),
        ("modern", [HUNG_UP, NOBODY], [ASK, ASK]),
        ("modern", [PROXY, NOBODY], [ASK, ASK]),
        ("legacy", [NOBODY], [GREET]),
        ("legacy", [PROXY, NOBODY], [GREET, GREET]),
        ("legacy", [HUNG_UP, HUNG_UP], [GREET, GREET]),
        ("legacy", [OTHERWISE, NOBODY], [GREET, ASK]),
    ],
)
async def test_a_server_that_gives_no_answer_is_not_asked_another_question_once_it_can(
    era: Era, refusals: list[ErrorData], questions: list[str]
) -> None:
    assert await refused(Negotiation(), era, refusals) == (questions, refusals[-1].message)


@pytest.mark.parametrize(
    ("era", "refusals", "questions"),
    [
        ("modern", [HUNG_UP, HUNG_UP, NOBODY], [ASK, ASK, GREET]),
        ("modern", [PROXY, PROXY, NOBODY], [ASK, ASK, GREET]),
        ("modern", [OTHERWISE, PROXY, PROXY, NOBODY], [ASK, ASK, ASK, GREET]),
        ("legacy", [PROXY, PROXY, NOBODY], [GREET, GREET, ASK]),
    ],
)
async def test_a_server_that_gives_no_answer_twice_is_asked_the_other_question(
    era: Era, refusals: list[ErrorData], questions: list[str]
) -> None:
    assert await refused(Negotiation(), era, refusals) == (questions, "nobody there")


async def test_a_legacy_server_that_ends_at_the_modern_question_is_reached() -> None:
    ends: list[str] = []

    class Ear:
        def heard(self, server: str, aside: Aside, lines: list[str]) -> None:
            if aside is Aside.ENDED:
                ends.append(server)

    with anyio.fail_after(60), overheard_by(Ear()):
        async with connected(eras("abrupt"), claims=Claims("modern")) as connection:
            for ended in (1, 3):  # it may have failed as it started, and so is asked again
                seen = await seen_by(connection)
                assert [message["method"] for message in seen[:2]] == ["initialize", "notifications/initialized"]
                assert connection.status.protocol_version == LEGACY
                assert len(ends) == ended
                with pytest.raises(DownstreamLost):
                    await connection.call_tool("leave", {})


async def test_a_handshake_claims_what_the_client_does_and_is_ours_by_name() -> None:
    tasks: dict[str, Any] = {"tasks": {"list": {}}}
    with anyio.fail_after(20):
        async with connected(eras("legacy"), claims=Claims.of("legacy", CAPABILITIES | tasks)) as connection:
            first = (await seen_by(connection))[0]
    # A client's own tasks have no way through.
    assert first["params"]["capabilities"] == CAPABILITIES
    assert first["params"]["protocolVersion"] == LEGACY
    assert first["params"]["clientInfo"]["name"] == "asyncfc-mcp"


async def test_every_request_to_a_modern_server_claims_what_its_own_client_does() -> None:
    other = Claims.of("legacy", {"sampling": {}, "extensions": {"x/y": {"z": 1}}}, "warning")
    with anyio.fail_after(20):
        async with connected(eras("modern"), claims=Claims.of("modern", CAPABILITIES)) as connection:
            await connection.call_tool("for_nobody", {})
            await connection.call_tool("for_other", {}, claims=other, meta={"traceparent": "00-1"})
            echoed = await connection.request("echo/params", {}, claims=other)
            seen = await seen_by(connection)
    said = [message["params"]["_meta"] for message in seen if message["method"] == "tools/call"]
    claimed = [meta[META + "clientCapabilities"] for meta in said]
    assert claimed[0] == CAPABILITIES | TASKS
    assert claimed[1] == {"sampling": {}, "extensions": {"x/y": {"z": 1}, META + "tasks": {}}}
    assert claimed[2] == CAPABILITIES | TASKS
    assert [meta.get(META + "logLevel") for meta in said] == [None, "warning", None]
    assert said[1]["traceparent"] == "00-1"
    assert {meta[META + "clientInfo"]["name"] for meta in said} == {"asyncfc-mcp"}
    assert echoed["params"]["_meta"][META + "clientCapabilities"] == claimed[1]
    assert seen[0]["params"]["_meta"][META + "clientCapabilities"] == CAPABILITIES | TASKS


async def test_nothing_is_said_before_the_client_is_known() -> None:
    claims = Claims.of("legacy", {"roots": {}})
    with anyio.fail_after(20):
        async with running([eras("dual")], waits_for_claims=True) as pool:
            assert await pool.catalog.tools(0.3) == ()
            pool.claim(claims)
            pool.claim(EVERYTHING)
            connection = pool.connection("eras")
            first = (await seen_by(connection))[0]
    assert (first["method"], first["params"]["capabilities"]) == ("initialize", {"roots": {}})
    assert connection.claims == claims


async def test_a_client_that_says_nothing_is_taken_to_be_able_to_do_everything() -> None:
    with anyio.fail_after(20):
        start = anyio.current_time()
        async with running([eras("dual")], waits_for_claims=True) as pool:
            connection = pool.connection("eras")
            seen = await seen_by(connection)
            assert 1.9 < anyio.current_time() - start < bound_s(6)
    assert seen[0]["params"]["_meta"][META + "clientCapabilities"] == EVERYTHING.capabilities | TASKS


async def test_lists_are_kept_for_each_kind_of_client(tmp_path: Path) -> None:
    able, unable = Claims.of("legacy", {"roots": {}}), Claims.of("legacy", {})
    for claims in (able, unable):
        with anyio.fail_after(20):
            async with running([eras("legacy")], state_folder=tmp_path, waits_for_claims=True) as pool:
                pool.claim(claims)
                await pool.connection("eras").call_tool("seen", {})
    for claims, is_offered in ((able, True), (unable, False), (Claims.of("modern", {}), None)):
        with anyio.fail_after(20):
            async with running([eras("legacy")], state_folder=tmp_path, waits_for_claims=True) as pool:
                pool.claim(claims)
                tools = {tool.own_name for tool in pool.catalog.known}
        assert ("for_roots" in tools) is (is_offered is True)
        assert ("seen" in tools) is (is_offered is not None)


async def test_a_refused_handshake_is_told_in_the_servers_words() -> None:
    with anyio.fail_after(20):
        async with connected(eras("refusing"), claims=Claims("legacy"), start_timeout_s=1.0) as connection:
            await reached(connection, ConnectionState.WAITING)
            with pytest.raises(DownstreamUnavailable, match="not today"):
                await connection.call_tool("seen", {})
