"""What clients have of servers beside calls follows a change of the configuration: lists, subscriptions, log levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncfc_mcp.app import App
from asyncfc_mcp.config.models import GatewayConfig, StdioEntry
from tests.harness import LIMIT_S, Era, running
from tests.passing.support import Heard, answer, both_eras, library, send, subscribe
from tests.passing.test_subscriptions import watching

pytestmark = pytest.mark.anyio


async def restart(app: App, **env: str) -> None:
    """Have every server replaced by one with another environment."""
    config = app.gateway.config
    changes = await app.gateway.take_up(config.model_copy(update={"servers": tuple(_others(config, env))}))
    assert changes.replaced == tuple(entry.key for entry in config.servers)


def _others(config: GatewayConfig, env: dict[str, str]) -> Any:
    for entry in config.servers:
        assert isinstance(entry.transport, StdioEntry)
        yield entry.model_copy(update={"transport": entry.transport.model_copy(update={"env": env})})


@both_eras
@pytest.mark.parametrize("server_era", ["legacy", "modern"])
async def test_a_subscription_goes_over_to_the_server_that_replaces_another(era: Era, server_era: str) -> None:
    async with watching(era, {"lib": library(era=server_era)}, "book://lib/one") as watcher:
        await restart(watcher.gateway.app, OTHER="yes")
        with anyio.fail_after(LIMIT_S):
            while await answer(watcher.gateway, "lib_watched") != ["book://lib/one"]:
                pass
        await answer(watcher.gateway, "lib_touch", uri="book://lib/one")
        await watcher.until_told("book://lib/one")


async def test_the_level_of_a_session_is_said_to_the_server_that_replaces_another() -> None:
    async with running({"lib": library(era="legacy")}, era="legacy") as gateway:
        await send(gateway, "logging/setLevel", level="warning")
        await restart(gateway.app, OTHER="yes")
        with anyio.fail_after(LIMIT_S):
            while await answer(gateway, "lib_level") != "warning":
                pass


async def test_resources_and_prompts_of_a_server_that_is_gone_are_gone_and_the_client_is_told(tmp_path: Path) -> None:
    heard = Heard()
    servers = {"one": library("one"), "two": library("two")}
    async with running(servers, era="legacy", message_handler=heard, state_folder=tmp_path) as gateway:
        await subscribe(gateway, "book://two/one")
        config = gateway.app.gateway.config
        await gateway.app.gateway.take_up(config.model_copy(update={"servers": config.servers[:1]}))
        await heard.until(lambda: heard.of("notifications/prompts/list_changed"))
        assert heard.of("notifications/resources/list_changed")
        with anyio.fail_after(LIMIT_S):
            listed = await gateway.client.list_resources()
            prompts = await gateway.client.list_prompts()
        assert not [one for one in listed.resources if str(one.uri).startswith("book://two")]
        assert not [one for one in prompts.prompts if one.name.startswith("two")]
