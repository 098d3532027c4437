"""A client that does not read, or goes away, costs nobody anything."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.shared.message import SessionMessage

from asyncfc_mcp.app import App
from asyncfc_mcp.gateway.requester import ClientGone
from asyncfc_mcp.server.sessions import MOST_WAITING
from tests.harness import LIMIT_S, running
from tests.passing.support import answer, eventually, library

pytestmark = pytest.mark.anyio


class RawClient:
    """A legacy client on the gateway's own streams that reads only what it is told to."""

    def __init__(self, send: Any, receive: Any) -> None:
        self._send = send
        self._receive = receive
        self._ids = iter(range(1, 1000))
        self.heard: list[dict[str, Any]] = []

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        identity = next(self._ids)
        await self.tell({"id": identity, "method": method, "params": params})
        while True:
            message = await self.read()
            if message.get("id") == identity:
                return message
            self.heard.append(message)

    async def tell(self, message: dict[str, Any]) -> None:
        text = json.dumps({"jsonrpc": "2.0", **message})
        await self._send.send(SessionMessage(types.jsonrpc_message_adapter.validate_json(text)))

    async def read(self) -> dict[str, Any]:
        with anyio.fail_after(LIMIT_S):
            received = await self._receive.receive()
        return received.message.model_dump(by_alias=True, mode="json", exclude_unset=True)


@asynccontextmanager
async def raw_client(app: App) -> AsyncGenerator[RawClient]:
    to_gateway, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_gateway = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks, to_gateway, from_gateway:
        tasks.start_soon(app.handlers.server.run, incoming, outgoing, app.handlers.options)
        client = RawClient(to_gateway, from_gateway)
        info = {"name": "raw", "version": "1"}
        handshake = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        await client.request("initialize", handshake)
        await client.tell({"method": "notifications/initialized"})
        yield client
        tasks.cancel_scope.cancel()


async def test_a_client_that_does_not_read_loses_its_subscriptions_and_slows_nobody(
    logged: list[MutableMapping[str, Any]],
) -> None:
    async with running({"lib": library()}) as gateway, raw_client(gateway.app) as silent:
        await silent.request("resources/subscribe", {"uri": "book://lib/one"})
        assert await answer(gateway, "lib_watched") == ["book://lib/one"]
        with anyio.fail_after(LIMIT_S):
            for _ in range(MOST_WAITING + 5):
                await answer(gateway, "lib_touch", uri="book://lib/one")
            while await answer(gateway, "lib_watched"):
                pass
    assert "client_does_not_read" in [line["event"] for line in logged]


async def test_a_session_that_ends_takes_its_subscriptions_with_it() -> None:
    async with running({"lib": library()}) as gateway:
        async with raw_client(gateway.app) as client:
            await client.request("resources/subscribe", {"uri": "book://lib/one"})
            assert await answer(gateway, "lib_watched") == ["book://lib/one"]
        with anyio.fail_after(LIMIT_S):
            while await answer(gateway, "lib_watched"):
                pass


async def test_a_session_can_be_asked_outside_of_any_request_until_it_ends() -> None:
    async with running() as gateway:
        channel = gateway.app.gateway.questions.back_channel
        assert channel is not None
        async with raw_client(gateway.app) as client:
            await eventually(lambda: channel.reaches("local"))
            answers: list[dict[str, Any]] = []

            async def ask() -> None:
                answers.append(await channel.ask("local", "roots/list", {"_meta": {"a": 1}}, LIMIT_S))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                asked = await client.read()
                assert asked["params"] == {"_meta": {"a": 1}}
                await client.tell({"id": asked["id"], "result": {"roots": [], "example": 1}})
            assert answers == [{"roots": [], "example": 1}]
        await eventually(lambda: not channel.reaches("local"))
        with pytest.raises(ClientGone):
            await channel.ask("local", "roots/list", None, LIMIT_S)
