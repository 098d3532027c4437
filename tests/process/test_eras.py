"""The era of a connection is that of its first request, and stays so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest

from tests.harness import toy
from tests.process.support import INITIALIZE, LIMIT_S, started

pytestmark = pytest.mark.anyio

ENVELOPE: dict[str, Any] = {
    "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
}


async def test_a_request_without_a_handshake_is_refused_once_there_was_one(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        await gateway.initialize()
        error = (await gateway.request("tools/list", ENVELOPE))["error"]
        assert error["code"] == types.INVALID_REQUEST
        assert "began with a handshake" in error["message"]
        assert names(await gateway.request("tools/list"))


async def test_a_handshake_is_refused_where_the_client_began_without_one(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        assert names(await gateway.request("tools/list", ENVELOPE))
        error = (await gateway.request("initialize", INITIALIZE))["error"]
        assert error["code"] == types.UNSUPPORTED_PROTOCOL_VERSION
        assert error["data"] == {"supported": ["2026-07-28"], "requested": "2025-11-25"}


async def test_a_list_that_was_given_before_is_checked_as_the_first_one_was(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        early = await gateway.request("tools/list")
        assert early["error"]["code"] == types.INVALID_PARAMS
        await gateway.initialize()
        first = await gateway.request("tools/list")
        assert (await gateway.request("tools/list"))["result"] == first["result"]
        assert "error" in await gateway.request("tools/list", {"cursor": 5})
        assert "error" in await gateway.request("tools/list", {"_meta": {"progressToken": []}})


async def test_a_list_that_was_given_before_is_not_given_once_it_has_changed(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        await gateway.initialize()
        before = names(await gateway.request("tools/list"))
        assert names(await gateway.request("tools/list")) == before
        await gateway.call("change_tools")
        with anyio.fail_after(LIMIT_S):
            while not any(said["method"] == "notifications/tools/list_changed" for said in gateway.notifications):
                await gateway.request("ping")
        assert names(await gateway.request("tools/list")) != before


def names(answer: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in answer["result"]["tools"]]
