"""Resources, templates and prompts of all servers in one list each, the same for every client."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
from mcp_types import INVALID_PARAMS

from asyncfc_mcp.downstream.offers import Offers
from asyncfc_mcp.server.lists import is_sound
from tests.harness import Era, running
from tests.passing.support import answer, both_eras, eventually, library, refused, wire

pytestmark = pytest.mark.anyio

ICONS = [{"src": "https://example.org/book.png", "mimeType": "image/png", "sizes": ["48x48"]}]


def by(key: str, items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item[key]: item for item in items}


@both_eras
async def test_a_resource_is_listed_as_its_server_lists_it(era: Era) -> None:
    async with running({"lib": library()}, era=era) as gateway:
        listed = wire(await gateway.client.list_resources())["resources"]
    assert by("uri", listed)["book://lib/one"] == {
        "uri": "book://lib/one",
        "name": "one",
        "title": "The first book",
        "icons": ICONS,
        "annotations": {"audience": ["user"], "priority": 0.5},
        "_meta": {"example/shelf": 3},
        "size": 12,
    }


@both_eras
async def test_all_pages_of_all_servers_are_one_page_in_the_order_of_the_configuration(era: Era) -> None:
    async with running({"b": library("b"), "a": library("a", era="legacy")}, era=era) as gateway:
        listed = wire(await gateway.client.list_resources())
    assert [item["uri"] for item in listed["resources"]] == [
        "book://b/one",
        "book://shared",
        "ui://b/panel",
        "book://b/cover",
        "book://a/one",
        "ui://a/panel",
        "book://a/cover",
    ]
    assert "nextCursor" not in listed


async def test_both_eras_see_the_same_lists() -> None:
    lists: list[Any] = []
    for era in ("legacy", "auto"):
        async with running({"b": library("b"), "a": library("a")}, era=era) as gateway:
            client = gateway.client
            lists.append(
                (
                    wire(await client.list_resources())["resources"],
                    wire(await client.list_resource_templates())["resourceTemplates"],
                    wire(await client.list_prompts())["prompts"],
                )
            )
    assert lists[0] == lists[1]


@both_eras
@pytest.mark.parametrize("method", ["list_resources", "list_resource_templates", "list_prompts"])
async def test_an_unknown_cursor_is_refused(era: Era, method: str) -> None:
    async with running({"lib": library()}, era=era) as gateway, refused() as errors:
        await getattr(gateway.client, method)(cursor="2")
    assert errors[0].code == INVALID_PARAMS
    assert "cursor" in errors[0].message


@both_eras
async def test_the_first_server_of_a_shared_uri_answers_and_the_other_is_announced(
    era: Era, logged: list[MutableMapping[str, Any]]
) -> None:
    async with running({"b": library("b"), "a": library("a")}, era=era) as gateway:
        listed = wire(await gateway.client.list_resources())["resources"]
        await gateway.client.list_resources()
    assert by("uri", listed)["book://shared"]["name"] == "shared by b"
    said = str(logged)
    assert said.count("resource 'book://shared' of server 'a' is left out: server 'b' has one of that URI") == 1
    assert said.count("resource template 'book://any/{title}' of server 'a' is left out") == 1


async def test_list_futures_tells_what_was_left_out() -> None:
    async with running({"b": library("b"), "a": library("a")}) as gateway:
        await gateway.client.list_resources()  # it waits longer for the servers than the handshake does
        told = await gateway.text("list_futures")
    assert "resource 'book://shared' of server 'a' is left out: server 'b' has one of that URI" in told


@both_eras
async def test_templates_come_after_the_one_for_futures(era: Era) -> None:
    async with running({"lib": library()}, era=era) as gateway:
        listed = wire(await gateway.client.list_resource_templates())["resourceTemplates"]
    assert [item["uriTemplate"] for item in listed] == [
        "future://{token}",
        "book://lib/page/{number}",
        "book://any/{title}",
    ]
    assert listed[1] == {
        "uriTemplate": "book://lib/page/{number}",
        "name": "page",
        "title": "A page",
        "icons": ICONS,
    }


@both_eras
async def test_prompts_get_the_prefix_of_their_server_and_keep_the_rest(era: Era) -> None:
    async with running({"lib": library(), "bare": library("bare", prefix="")}, era=era) as gateway:
        listed = wire(await gateway.client.list_prompts())["prompts"]
    greet = by("name", listed)["lib_greet"]
    assert greet == {
        "name": "lib_greet",
        "title": "Greet somebody",
        "icons": ICONS,
        "arguments": [{"name": "who", "required": True}],
        "_meta": {"example/tone": "warm"},
    }
    assert by("name", listed)["greet"]["title"] == "Greet somebody"
    # a dot breaks clients, so that name is another one; which one owes nothing to other servers
    (changed,) = [name for name in by("name", listed) if name.startswith("lib_ask")]
    assert changed.startswith("lib_ask_first_")


async def test_two_prompts_of_one_name_cost_only_the_later_one(logged: list[MutableMapping[str, Any]]) -> None:
    both = {"a": library("a", prefix=""), "b": library("b", prefix="")}
    both["b"]["asyncfc"]["exclude"] = ["*"]  # its tools would collide as well, which stops the start
    async with running(both) as gateway:
        names = [item["name"] for item in wire(await gateway.client.list_prompts())["prompts"]]
    assert names.count("greet") == 1
    assert "prompt 'greet' of server 'b' is left out" in str(logged)


async def test_lists_say_how_long_they_may_be_kept() -> None:
    async with running({"lib": library()}) as gateway:
        listed = await gateway.client.list_resources()
    assert listed.ttl_ms == 60_000
    assert listed.cache_scope == "private"


@both_eras
async def test_a_changed_list_is_seen_at_the_next_request(era: Era) -> None:
    async with running({"lib": library()}, era=era) as gateway:
        assert "book://lib/new" not in str(await gateway.client.list_resources(cache_mode="bypass"))
        await answer(gateway, "lib_add_book")
        while "book://lib/new" not in str(await gateway.client.list_resources(cache_mode="bypass")):
            pass


async def test_lists_are_merged_only_when_one_of_them_is_another() -> None:
    async with running({"lib": library()}) as gateway:
        offers = Offers(gateway.app.pool, is_sound)
        merged = await offers.complete()
        assert offers.known is merged
        await answer(gateway, "lib_add_book")
        await eventually(lambda: offers.known is not merged)
    assert "book://lib/new" in offers.known.server_of_uri
