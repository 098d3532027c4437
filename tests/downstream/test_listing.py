"""Everything that a server lists, and how little one faulty list costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.listing import Listing
from tests.downstream.support import Noted, connected, eras, odd, running, seen_by

pytestmark = pytest.mark.anyio

RESOURCES = ({"uri": "a://1", "name": "one", "x": 1}, {"uri": "a://2", "name": "two"})
TEMPLATES = ({"uriTemplate": "a://{n}", "name": "any"},)
PROMPTS = ({"name": "greet", "arguments": [{"name": "who"}]},)


async def listing_of(connection: Connection) -> Listing:
    await connection.call_tool("seen", {})
    assert connection.listing
    return connection.listing


@pytest.mark.parametrize("server", ["legacy", "modern"])
async def test_all_pages_of_all_lists_are_fetched_as_the_server_gave_them(server: str) -> None:
    with anyio.fail_after(20), capture_logs() as logs:
        async with connected(eras(server)) as connection:
            listing = await listing_of(connection)
    assert (listing.resources, listing.templates, listing.prompts) == (RESOURCES, TEMPLATES, PROMPTS)
    assert listing.capabilities["x-custom"] == {"kept": True}
    # the one without a uri
    assert [line["event"] for line in logs].count("server_resource_skipped") == 1


async def test_what_a_server_does_not_offer_is_not_asked_for() -> None:
    with anyio.fail_after(20):
        async with connected(odd()) as connection:
            await connection.call_tool("echo", {})
            assert connection.listing
            assert connection.listing.capabilities == {"tools": {"listChanged": True}}
            assert connection.listing.resources == ()


@pytest.mark.parametrize(
    ("method", "field"),
    [("resources/list", "resources"), ("resources/templates/list", "templates"), ("prompts/list", "prompts")],
)
async def test_a_faulty_list_stays_as_it_was_and_costs_no_other(method: str, field: str) -> None:
    hooks = Noted()
    changed = "notifications/tools/list_changed"
    with anyio.fail_after(20), capture_logs() as logs:
        async with connected(eras("legacy"), hooks=hooks) as connection:
            before = await listing_of(connection)
            await connection.call_tool("break_list", {"method": method})
            await connection.call_tool("say", {"method": changed})
            await hooks.hears(changed)
            assert connection.listing == before
    (faulty,) = (line for line in logs if line["event"] == "server_list_faulty")
    assert field in faulty["list"].lower()


async def test_a_list_that_is_faulty_from_the_start_is_empty_and_the_server_is_of_use() -> None:
    with anyio.fail_after(20):
        async with connected(eras("broken_prompts")) as connection:
            listing = await listing_of(connection)
    assert (listing.prompts, listing.resources) == ((), RESOURCES)


async def test_other_lists_that_differ_from_the_kept_ones_are_announced(tmp_path: Path) -> None:
    kinds = {"notifications/resources/list_changed", "notifications/prompts/list_changed"}

    async def announced() -> set[str]:
        hooks = Noted()
        with anyio.fail_after(20):
            async with running([eras("legacy")], state_folder=tmp_path, hooks=hooks) as pool:
                await pool.connection("eras").call_tool("seen", {})
        return {method for _, method, _ in hooks.heard}

    assert await announced() == kinds
    assert await announced() == set()


async def test_a_raw_request_gives_the_raw_result() -> None:
    params: dict[str, Any] = {"a": None, "b": [1.5, {"c": "ü"}], "_meta": {"mine": 1}}
    with anyio.fail_after(20):
        async with connected(eras("legacy")) as connection:
            result = await connection.request("echo/params", params)
            sent = [message for message in await seen_by(connection) if message["method"] == "echo/params"]
    # all but what it says of its connection to us
    assert result == {"params": params, "_meta": {"mine": 1}}
    assert sent[0]["params"] == params
