"""Log messages of servers: asked for at the level that clients want, and passed on to whom they concern."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from mcp import Client
from mcp_types import INVALID_PARAMS, LoggingLevel, LoggingMessageNotificationParams

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.config.models import RemoteEntry
from tests.downstream.support import eras_over_http
from tests.harness import LIMIT_S, Era, GatewayClient, running
from tests.passing.support import answer, both_eras, eventually, library, refused, send
from tests.transports.support import serving

pytestmark = pytest.mark.anyio


class Messages:
    """What a client's logging callback is given."""

    def __init__(self) -> None:
        self.texts: list[Any] = []

    async def __call__(self, params: LoggingMessageNotificationParams) -> None:
        self.texts.append(params.data)


@pytest.mark.parametrize("level", get_args(LoggingLevel))
async def test_the_level_of_a_session_is_set_at_its_servers(level: LoggingLevel) -> None:
    async with running({"lib": library()}, era="legacy") as gateway:
        await send(gateway, "logging/setLevel", level=level)
        with anyio.fail_after(LIMIT_S):
            while await answer(gateway, "lib_level") != level:
                pass


async def test_the_level_is_set_on_a_legacy_clients_own_connection_to_a_server_of_both_eras(tmp_path: Path) -> None:
    async with eras_over_http("dual") as server:
        assert isinstance(server.transport, RemoteEntry)
        file = tmp_path / "config.json"
        entry = {"url": server.transport.url, "asyncfc": {"inline_wait_s": LIMIT_S}}
        file.write_text(json.dumps({"mcpServers": {"eras": entry}}))
        app = App(load_file(file, os.environ), None, serves_network=True)
        async with serving(app, "http") as url, Client(url, mode="legacy") as client:
            gateway = GatewayClient(client, app)
            await gateway.call("eras_seen")
            await send(gateway, "logging/setLevel", level="warning")
            with anyio.fail_after(LIMIT_S):
                while "logging/setLevel" not in await gateway.text("eras_seen"):
                    pass


async def test_an_unknown_level_is_refused() -> None:
    async with running({"lib": library()}, era="legacy") as gateway, refused() as errors:
        await send(gateway, "logging/setLevel", level="loud")
    assert errors[0].code == INVALID_PARAMS


async def test_the_level_outlives_a_server_that_starts_again() -> None:
    async with running({"lib": library()}, era="legacy") as gateway:
        await send(gateway, "logging/setLevel", level="warning")
        with anyio.fail_after(LIMIT_S):
            while await answer(gateway, "lib_level") != "warning":
                pass
            await gateway.call("lib_stop")
            while await answer(gateway, "lib_level") != "warning":
                pass


async def test_messages_below_the_level_of_a_session_are_left_out() -> None:
    messages = Messages()
    async with running({"lib": library()}, era="legacy", client_options={"logging_callback": messages}) as gateway:
        await send(gateway, "logging/setLevel", level="error")
        await answer(gateway, "lib_say", level="warning", text="not wanted")
        await answer(gateway, "lib_say", level="error", text="wanted")
        await eventually(lambda: messages.texts)
    assert messages.texts == ["wanted"]


async def test_a_session_that_has_not_said_gets_everything() -> None:
    messages = Messages()
    async with running({"lib": library()}, era="legacy", client_options={"logging_callback": messages}) as gateway:
        await answer(gateway, "lib_say", level="debug", text="chatter")
        await eventually(lambda: messages.texts)
    assert messages.texts == ["chatter"]


@both_eras
async def test_messages_in_the_course_of_a_read_reach_its_reader(era: Era) -> None:
    messages = Messages()
    options: dict[str, Any] = {"logging_callback": messages}
    async with running({"lib": library(era="legacy")}, era=era, client_options=options) as gateway:
        meta: Any = {"io.modelcontextprotocol/logLevel": "info"} if era == "auto" else None
        await gateway.client.read_resource("book://lib/talkative", meta=meta)
        await eventually(lambda: messages.texts)
    assert messages.texts == ["read on"]
