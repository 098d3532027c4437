"""Whoever may not see a future learns nothing of it: not that it is there, and not that it moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from mcp import Client
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import Implementation, ResourceTemplateReference

from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.server.doorway import Context, claims_of, is_modern
from asyncfc_mcp.server.handlers import Handlers
from tests.harness import FREE, GatewayClient, running, toy
from tests.passing.support import eventually, refused, subscribe

pytestmark = pytest.mark.anyio


class ByName:
    """Takes clients for whom they say they are."""

    only_session: str | None = None

    def caller(self, context: Context) -> Caller:
        client = context.session.client_params
        name = client.client_info.name if client is not None else "nobody"
        return Caller(name, name, session=None if is_modern(context) else name, claims=claims_of(context))

    def reaches(self, session: str) -> bool:
        return bool(session)

    def has_lost(self, context: Context) -> bool:
        return False


@asynccontextmanager
async def two_people(era: str) -> AsyncGenerator[tuple[GatewayClient, GatewayClient]]:
    async with running({"toy": toy(tools={"hold": FREE, "echo": FREE})}) as gateway, anyio.create_task_group() as tasks:
        handlers = Handlers(gateway.app.gateway, GatewaySettings(), ByName())  # pyright: ignore[reportCallIssue]
        await tasks.start(handlers.run)
        info = {name: Implementation(name=name, version="1") for name in ("alice", "bob")}
        async with (
            Client(handlers.server, mode=era, client_info=info["alice"]) as alice,
            Client(handlers.server, mode=era, client_info=info["bob"]) as bob,
        ):
            yield GatewayClient(alice, gateway.app), GatewayClient(bob, gateway.app)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_strangers_future_is_not_there(era: str) -> None:
    async with two_people(era) as (alice, bob):
        token = await alice.named("echo", text="secret")
        async with refused() as errors:
            await bob.client.read_resource(f"future://{token}")
        async with refused() as references:
            await bob.client.read_resource(f"book://${{{token}}}")
        completed = await bob.client.complete(
            ResourceTemplateReference(uri="future://{token}"), {"name": "token", "value": "fut_"}
        )
    assert errors[0].error.data == {"uri": f"future://{token}"}
    assert "secret" not in errors[0].message
    assert f"{token} is not known" in references[0].message
    assert completed.completion.values == []


async def test_a_legacy_session_cannot_subscribe_to_a_strangers_future() -> None:
    async with two_people("legacy") as (alice, bob):
        token = await alice.token("hold", key="k", _wait_s=0)
        async with refused() as errors:
            await subscribe(bob, f"future://{token}")
        await alice.call("release", key="k")
    assert errors[0].code == -32002


async def test_a_stream_is_not_told_of_a_strangers_future_of_the_same_name() -> None:
    async with two_people("auto") as (alice, bob):
        for one, key in ((alice, "hers"), (bob, "his")):
            await one.call("hold", key=key, _as="page", _wait_s=0)
        told: list[str] = []

        async with (
            anyio.create_task_group() as tasks,
            bob.client.listen(resource_subscriptions=["future://fut_page"]) as events,
        ):

            async def collect() -> None:
                async for event in events:
                    assert isinstance(event, ResourceUpdated)
                    told.append(event.uri)

            tasks.start_soon(collect)
            await alice.call("release", key="hers")
            await alice.call("await_future", futures=["fut_page"])
            await bob.client.list_prompts(cache_mode="bypass")
            assert told == []
            await bob.call("release", key="his")
            await eventually(lambda: told)
            tasks.cancel_scope.cancel()
