"""Changes reach the clients of both eras that asked for them, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated, ToolsListChanged

from tests.harness import FREE, LIMIT_S, Era, GatewayClient, running, toy
from tests.passing.support import Heard, answer, both_eras, eventually, library, refused, subscribe, unsubscribe

pytestmark = pytest.mark.anyio

UPDATED = "notifications/resources/updated"


class Watcher:
    """A client of either era that collects the URIs it is told of."""

    def __init__(self, gateway: GatewayClient, heard: Heard, uris: list[str]) -> None:
        self.gateway = gateway
        self._heard = heard
        self._events: list[str] = []
        self._uris = uris

    @property
    def told(self) -> list[str]:
        # the SDK's modern client hands the same events to its message handler, too
        return self._events or [params["uri"] for params in self._heard.of(UPDATED)]

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        if self.gateway.client.protocol_version < "2026":
            for uri in self._uris:
                await subscribe(self.gateway, uri)
            yield
            for uri in self._uris:
                await unsubscribe(self.gateway, uri)
            return
        listen = self.gateway.client.listen(resource_subscriptions=self._uris)
        async with anyio.create_task_group() as tasks, listen as events:

            async def collect() -> None:
                async for event in events:
                    assert isinstance(event, ResourceUpdated)
                    self._events.append(event.uri)

            tasks.start_soon(collect)
            yield
            tasks.cancel_scope.cancel()

    async def until_told(self, *uris: str) -> None:
        await eventually(lambda: set(uris) <= set(self.told))


@asynccontextmanager
async def watching(era: Era, servers: dict[str, Any], *uris: str) -> AsyncGenerator[Watcher]:
    heard = Heard()
    async with running(servers, era=era, message_handler=heard) as gateway:
        watcher = Watcher(gateway, heard, list(uris))
        async with watcher.watching():
            yield watcher


@both_eras
@pytest.mark.parametrize("server_era", ["legacy", "modern"])
async def test_a_change_at_a_server_of_either_era_reaches_a_client_of_either_era(era: Era, server_era: str) -> None:
    async with watching(era, {"lib": library(era=server_era)}, "book://lib/one") as watcher:
        await answer(watcher.gateway, "lib_touch", uri="book://lib/one")
        await watcher.until_told("book://lib/one")


@both_eras
async def test_what_was_not_asked_for_is_not_told(era: Era) -> None:
    async with watching(era, {"lib": library()}, "book://lib/one") as watcher:
        await answer(watcher.gateway, "lib_touch", uri="book://shared")
        await answer(watcher.gateway, "lib_touch", uri="book://lib/one")
        await watcher.until_told("book://lib/one")
        assert watcher.told == ["book://lib/one"]


@both_eras
async def test_a_shared_resource_is_watched_at_the_server_that_answers_for_it(era: Era) -> None:
    async with watching(era, {"b": library("b"), "a": library("a")}, "book://shared") as watcher:
        assert await answer(watcher.gateway, "b_watched") == ["book://shared"]
        assert await answer(watcher.gateway, "a_watched") == []


async def test_two_clients_are_one_subscription_and_the_last_one_ends_it() -> None:
    async with running({"lib": library()}) as gateway:
        listen = gateway.client.listen
        async with listen(resource_subscriptions=["book://lib/one"]):
            async with listen(resource_subscriptions=["book://lib/one"]):
                assert await answer(gateway, "lib_watched") == ["book://lib/one"]
            assert await answer(gateway, "lib_watched") == ["book://lib/one"]
        with anyio.fail_after(LIMIT_S):
            while await answer(gateway, "lib_watched"):
                pass


async def test_a_legacy_session_that_unsubscribes_ends_its_subscription() -> None:
    async with running({"lib": library()}, era="legacy") as gateway:
        await subscribe(gateway, "book://lib/one")
        await subscribe(gateway, "book://lib/one")
        assert await answer(gateway, "lib_watched") == ["book://lib/one"]
        await unsubscribe(gateway, "book://lib/one")
        with anyio.fail_after(LIMIT_S):
            while await answer(gateway, "lib_watched"):
                pass


async def test_a_refused_subscription_is_the_servers_error() -> None:
    async with running({"lib": library()}, era="legacy") as gateway:
        async with refused() as errors:
            await subscribe(gateway, "book://lib/cover")
        async with refused() as unknown:
            await subscribe(gateway, "future://fut_nobody")
    assert errors[0].message == "The cover never changes"
    assert unknown[0].code == -32002


@both_eras
@pytest.mark.parametrize("server_era", ["legacy", "modern"])
async def test_subscriptions_outlive_a_server_that_starts_again(era: Era, server_era: str) -> None:
    async with watching(era, {"lib": library(era=server_era)}, "book://lib/one") as watcher:
        await watcher.gateway.call("lib_stop")
        with anyio.fail_after(LIMIT_S):
            while await answer(watcher.gateway, "lib_watched") != ["book://lib/one"]:
                pass
        await answer(watcher.gateway, "lib_touch", uri="book://lib/one")
        await watcher.until_told("book://lib/one")


@both_eras
async def test_every_move_of_a_future_is_told(era: Era) -> None:
    heard = Heard()
    async with running(era=era, message_handler=heard) as gateway:
        first = await gateway.token("hold", key="k", _wait_s=0)
        second = await gateway.token("echo", text=first, _wait_s=0)
        watcher = Watcher(gateway, heard, [f"future://{first}", f"future://{second}"])
        async with watcher.watching():
            await gateway.call("release", key="k")
            # the first one resolves; the second one runs and resolves, which a modern client may be told of at once
            await eventually(lambda: len(watcher.told) == (3 if era == "legacy" else 2))
    assert set(watcher.told) == {f"future://{first}", f"future://{second}"}


async def test_a_future_of_the_same_name_in_another_chat_is_not_told() -> None:
    heard = Heard()
    async with running({"toy": toy(tools={"hold": FREE})}, era="legacy", message_handler=heard) as gateway:
        for chat in ("one", "two"):
            await gateway.call("hold", scope=chat, key=chat, _as="page", _wait_s=0)
        meta: Any = {"asyncfc/scope": "one"}
        await subscribe(gateway, "future://fut_page", _meta=meta)
        await gateway.call("release", key="two")
        await gateway.call("await_future", scope="two", futures=["fut_page"])
        await gateway.client.list_prompts()
        assert heard.of(UPDATED) == []
        await gateway.call("release", key="one")
        await heard.until(lambda: heard.of(UPDATED))


@both_eras
async def test_a_changed_list_of_a_server_is_announced(era: Era) -> None:
    heard = Heard()
    async with running({"lib": library()}, era=era, message_handler=heard) as gateway:
        await gateway.client.list_resources()
        if era == "legacy":
            await answer(gateway, "lib_add_book")
            await heard.until(lambda: heard.of("notifications/resources/list_changed"))
            return
        async with gateway.client.listen(resources_list_changed=True) as events:
            await answer(gateway, "lib_add_book")
            with anyio.fail_after(LIMIT_S):
                async for event in events:
                    assert isinstance(event, ResourcesListChanged)
                    break


@both_eras
async def test_a_changed_list_of_tools_is_announced(era: Era) -> None:
    heard = Heard()
    async with running(era=era, message_handler=heard) as gateway:
        if era == "legacy":
            await gateway.call("change_tools")
            await heard.until(lambda: heard.of("notifications/tools/list_changed"))
            return
        async with gateway.client.listen(tools_list_changed=True) as events:
            await gateway.call("change_tools")
            with anyio.fail_after(LIMIT_S):
                async for event in events:
                    assert isinstance(event, ToolsListChanged)
                    break


@both_eras
async def test_both_eras_are_told_what_can_be_subscribed_to(era: Era) -> None:
    async with running(era=era) as gateway:
        modern = gateway.client.server_capabilities
        # the SDK's in-process transport makes options of its own for a handshake
        capabilities = modern if era == "auto" else gateway.app.handlers.options.capabilities
    assert capabilities.resources is not None
    assert capabilities.resources.subscribe
    assert capabilities.resources.list_changed
    assert capabilities.prompts is not None
    assert capabilities.prompts.list_changed
    assert capabilities.completions is not None
