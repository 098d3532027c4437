"""What holds however a client comes: on stdio, streamable HTTP or SSE, with a handshake or without."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import ToolListChangedNotification

from tests.harness import LIMIT_S, text_of
from tests.transports.support import EVERY_WAY, LEGACY, MODERN, Way, call, place, token, until, value

pytestmark = pytest.mark.anyio

HANDSHAKES = [way for way in EVERY_WAY if way.era == "legacy"]


@pytest.fixture(params=EVERY_WAY, ids=str)
async def client(request: pytest.FixtureRequest) -> AsyncGenerator[Client]:
    way: Way = request.param
    async with place(way.kind) as gateway, gateway.client(way.era) as one:
        assert one.protocol_version == (LEGACY if way.era == "legacy" else MODERN)
        yield one


async def test_the_tools_are_listed_the_gateways_own_first(client: Client) -> None:
    names = [tool.name for tool in (await client.list_tools()).tools]
    assert names[:4] == ["await_future", "get_future", "cancel_future", "list_futures"]
    assert {"echo", "hold", "record"} < set(names)


async def test_a_fast_call_gives_its_value(client: Client) -> None:
    result = await call(client, "echo", text="hi")
    assert text_of(result) == "hi"
    assert result.meta is None or "asyncfc/future" not in result.meta


async def test_an_error_of_a_tool_stays_one(client: Client) -> None:
    result = await call(client, "fail", message="no")
    assert result.is_error
    assert text_of(result) == "no"


async def test_a_slow_call_gives_a_token_to_await(client: Client) -> None:
    held = await token(client, "hold", key="a")
    await call(client, "release", key="a")
    assert await value(client, "await_future", futures=[held]) == "held a"


async def test_a_token_as_an_argument_stands_for_its_value(client: Client) -> None:
    held = await token(client, "hold", key="a")
    echoed = await token(client, "echo", text=f"<${{{held}}}>")
    await call(client, "release", key="a")
    assert await value(client, "await_future", futures=[echoed]) == "<held a>"


async def test_progress_of_a_call_reaches_whoever_waits_for_it(client: Client) -> None:
    steps: list[tuple[float, str | None]] = []
    complete = anyio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, message))
        if progress == total:
            complete.set()

    async with anyio.create_task_group() as tasks:

        async def wait_inline() -> None:
            await client.call_tool("steps", {"key": "p", "_wait_s": LIMIT_S}, progress_callback=note)

        tasks.start_soon(wait_inline)
        with anyio.fail_after(LIMIT_S):
            await complete.wait()
        await call(client, "release", key="p")
    assert steps[-1] == (3, "step 3")


async def test_a_call_whose_request_is_cancelled_is_cancelled(client: Client) -> None:
    async with anyio.create_task_group() as tasks:

        async def wait_in_vain() -> None:
            await client.call_tool("hold", {"key": "c", "_wait_s": LIMIT_S})

        tasks.start_soon(wait_in_vain)
        assert await value(client, "started", key="c") == "started c"
        tasks.cancel_scope.cancel()
    assert await until(client, "cancelled", lambda seen: seen == "1", _wait_s=LIMIT_S) == "1"


async def test_cancelling_a_wait_cancels_no_call(client: Client) -> None:
    held = await token(client, "hold", key="w")
    with anyio.move_on_after(0.2):
        await client.call_tool("await_future", {"futures": [held]})
    await call(client, "release", key="w")
    assert await value(client, "await_future", futures=[held]) == "held w"


@pytest.mark.parametrize("way", HANDSHAKES, ids=str)
async def test_what_is_declared_is_the_same(way: Way) -> None:
    async with place(way.kind) as gateway:
        async with gateway.client(way.era) as first:
            await first.list_tools()  # which waits for the server for longer than a handshake does
        async with gateway.client(way.era) as one:
            assert one.server_capabilities.tools is not None
            assert one.server_capabilities.tools.list_changed is True
            assert one.instructions is not None
            assert "Play nicely." in one.instructions


@pytest.mark.parametrize("way", HANDSHAKES, ids=str)
async def test_a_changed_list_is_announced(way: Way) -> None:
    announced = anyio.Event()

    async def note(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            announced.set()

    async with place(way.kind) as gateway, gateway.client(way.era, message_handler=note) as one:
        await call(one, "change_tools")
        with anyio.fail_after(LIMIT_S):
            await announced.wait()
