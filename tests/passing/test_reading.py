"""Reading resources: by the server that lists them, by templates, by asking round."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    ReadResourceRequest,
    ReadResourceRequestParams,
    ReadResourceResult,
)

from tests.harness import LIMIT_S, Era, running, toy
from tests.passing.support import answer, both_eras, eventually, library, refused, text, wire

pytestmark = pytest.mark.anyio

NOT_FOUND = {"legacy": -32002, "auto": INVALID_PARAMS}


@both_eras
async def test_a_listed_resource_is_read_at_its_server(era: Era) -> None:
    async with running({"b": library("b"), "a": library("a")}, era=era) as gateway:
        assert text(await gateway.client.read_resource("book://a/one")) == "book://a/one read at a"
        assert text(await gateway.client.read_resource("book://shared")) == "book://shared read at b"


@both_eras
async def test_an_unlisted_resource_is_read_where_its_template_matches(era: Era) -> None:
    async with running({"b": library("b"), "a": library("a")}, era=era) as gateway:
        assert text(await gateway.client.read_resource("book://a/page/7")) == "book://a/page/7 read at a"
        assert text(await gateway.client.read_resource("book://any/poem")) == "book://any/poem read at b"


@both_eras
async def test_a_resource_that_nobody_announces_is_asked_for_in_turn(era: Era) -> None:
    async with running({"b": library("b"), "a": library("a")}, era=era) as gateway:
        assert text(await gateway.client.read_resource("book://a/x/y/z")) == "book://a/x/y/z read at a"


@both_eras
@pytest.mark.parametrize("servers", [("b", "a"), ("a",)])
async def test_a_resource_that_nobody_has_is_an_error_with_its_uri(era: Era, servers: tuple[str, ...]) -> None:
    async with running({name: library(name) for name in servers}, era=era) as gateway, refused() as errors:
        await gateway.client.read_resource("test://nothing")
    assert errors[0].code == NOT_FOUND[era]
    assert errors[0].error.data == {"uri": "test://nothing"}


async def test_the_code_of_a_legacy_servers_error_is_that_of_a_modern_clients_revision() -> None:
    async with running({"a": library("a", era="legacy")}) as gateway, refused() as errors:
        await gateway.client.read_resource("test://nothing")
    assert errors[0].code == INVALID_PARAMS
    assert errors[0].message == "No such book"


@both_eras
async def test_apps_and_blobs_pass_with_their_meta(era: Era) -> None:
    async with running({"lib": library()}, era=era) as gateway:
        panel = await gateway.client.read_resource("ui://lib/panel")
        cover = await gateway.client.read_resource("book://lib/cover")
    (content,) = wire(panel)["contents"]
    assert content == {
        "uri": "ui://lib/panel",
        "mimeType": "text/html;profile=mcp-app",
        "text": "<p>hi</p>",
        "_meta": {"ui": {"csp": {"connectDomains": ["https://example.org"]}}},
    }
    assert wire(panel)["_meta"]["example/read"] is True
    assert isinstance(cover, ReadResourceResult)
    assert isinstance(cover.contents[0], BlobResourceContents)
    assert cover.contents[0].blob == "iVBORw0KGgo="


async def test_cache_hints_are_the_servers_or_none_at_all() -> None:
    servers = {"lib": library(era="modern"), "old": library("old", era="legacy")}
    async with running(servers) as gateway:
        said = await gateway.client.read_resource("book://shared")
        unsaid = await gateway.client.read_resource("book://old/one")
    assert (said.ttl_ms, said.cache_scope) == (5000, "public")
    assert (unsaid.ttl_ms, unsaid.cache_scope) == (0, "private")


@both_eras
async def test_trace_context_goes_downstream_and_our_own_keys_do_not(era: Era) -> None:
    meta = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "asyncfc/scope": "chat 1"}
    async with running({"lib": library()}, era=era) as gateway:
        seen = text(await gateway.client.read_resource("book://lib/request", meta=meta))  # pyright: ignore[reportArgumentType]
    assert "asyncfc/scope" not in seen
    assert json.loads(seen)["traceparent"] == meta["traceparent"]


@both_eras
async def test_a_failing_server_is_a_clear_error_and_not_a_missing_resource(era: Era) -> None:
    async with running({"lib": library(), "toy": toy()}, era=era) as gateway:
        await gateway.client.list_resources()
        gateway.app.pool.connection("lib").stop()
        async with refused() as errors:
            await gateway.client.read_resource("book://lib/one")
    assert errors[0].code == INTERNAL_ERROR
    assert "server 'lib'" in errors[0].message


@both_eras
async def test_a_token_in_a_uri_stands_for_its_value(era: Era) -> None:
    async with running({"lib": library(), "toy": toy()}, era=era) as gateway:
        token = await gateway.named("echo", text="7")
        whole = await gateway.named("echo", text="book://lib/page/8")
        assert text(await gateway.client.read_resource(f"book://lib/page/${{{token}}}")).startswith(
            "book://lib/page/7 "
        )
        assert text(await gateway.client.read_resource(whole)).startswith("book://lib/page/8 ")


@both_eras
async def test_a_uri_waits_for_the_value_it_needs(era: Era) -> None:
    async with running({"lib": library(), "toy": toy()}, era=era) as gateway:
        token = await gateway.token("hold", key="k", _wait_s=0)
        read: list[str] = []

        async def read_it() -> None:
            read.append(text(await gateway.client.read_resource(f"book://any/${{{token}}}")))

        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_it)
                await gateway.call("started", key="k")
                assert not read
                await gateway.call("release", key="k")
    assert read == ["book://any/held k read at lib"]


@both_eras
async def test_references_that_are_of_no_use_say_why(era: Era) -> None:
    async with running({"lib": library(), "toy": toy()}, era=era, await_cap_s=0.2) as gateway:
        failed = await gateway.named("fail", message="no luck")
        (future,) = gateway.app.gateway.table
        await eventually(future.settled.is_set)
        held = await gateway.token("hold", key="k", _wait_s=0)
        messages: list[str] = []
        for part in (f"${{{failed}}}", f"${{{held}}}", "${fut_none}", held):
            async with refused() as errors:
                await gateway.client.read_resource(f"book://any/{part}")
            assert errors[0].code == INVALID_PARAMS
            messages.append(errors[0].message)
    assert "no luck" in messages[0]
    assert "it has no value yet: await it" in messages[1]
    assert "fut_none is not known" in messages[2]
    assert f"write ${{{held}}}" in messages[3]


@both_eras
async def test_progress_of_a_read_reaches_its_reader(era: Era) -> None:
    steps: list[Any] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, total, message))

    async with running({"lib": library()}, era=era) as gateway:
        request = ReadResourceRequest(params=ReadResourceRequestParams(uri="book://lib/one"))
        await gateway.client.session.send_request(request, ReadResourceResult, progress_callback=note)
        await eventually(lambda: steps)
    assert steps == [(1, 2, "opening")]


@both_eras
async def test_a_read_that_its_reader_gives_up_is_cancelled_at_its_server(era: Era) -> None:
    async with running({"lib": library()}, era=era) as gateway:
        await gateway.client.list_resources()
        with anyio.move_on_after(0.2):
            await gateway.client.read_resource("book://lib/never")
        with anyio.fail_after(LIMIT_S):
            while not await answer(gateway, "lib_cancelled"):
                pass
