"""Values that do not fit into memory are in the store alone, and come back when they are wanted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mcp.client.extension import advertise

from tests.harness import FREE, GatewayClient, running, text_of, toy
from tests.tasks.support import EXTENSION, TaskClient

pytestmark = pytest.mark.anyio

SERVERS = {"toy": toy(tools=dict.fromkeys(("large", "echo", "hold"), FREE))}
SIZE = 300_000
COUNT = 12


async def large_values(gateway: GatewayClient) -> list[str]:
    """Tokens of more values than fit; each one is different."""
    tokens = [await gateway.token("large", size=SIZE + number, _wait_s=0) for number in range(COUNT)]
    for token in tokens:
        await gateway.call("await_future", futures=[token])
    return tokens


def spilled(gateway: GatewayClient) -> list[str]:
    return [future.token for future in gateway.app.gateway.table if future.is_spilled]


async def test_memory_stays_within_its_bound_and_every_value_is_read_as_it_was(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, max_kept_mb=1) as gateway:
        tokens = await large_values(gateway)
        assert len(spilled(gateway)) >= COUNT - 4
        assert gateway.app.gateway.values.total_bytes <= 2**20
        for number, token in enumerate(tokens):
            assert await gateway.value(token) == "x" * (SIZE + number)
        assert gateway.app.gateway.values.total_bytes <= 2**20 + SIZE


async def test_several_are_brought_together_even_if_they_do_not_fit(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, max_kept_mb=1) as gateway:
        tokens = await large_values(gateway)
        answer = await gateway.call("await_future", futures=tokens)
        sizes = [len(block.text) for block in answer.content if block.type == "text" and block.text.startswith("x")]
        assert sizes == [SIZE + number for number in range(COUNT)]


async def test_a_spilled_value_goes_into_an_argument_a_resource_and_a_part(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, max_kept_mb=1) as gateway:
        await large_values(gateway)
        first, second, third = spilled(gateway)[:3]
        assert len(await gateway.text("echo", text=first, _wait_s=15)) >= SIZE
        assert len(await gateway.text("echo", text=f"<${{{second}}}>", _wait_s=15)) >= SIZE + 2
        read = await gateway.client.read_resource(f"future://{third}")
        assert len(json.loads(getattr(read.contents[0], "text", ""))["value"]) >= SIZE
        part = text_of(await gateway.call("get_future", future=spilled(gateway)[0], offset=10, limit=5))
        assert part.endswith("\nxxxxx")


async def test_a_spilled_value_is_the_result_of_its_task(tmp_path: Path) -> None:
    options = {"extensions": [advertise(EXTENSION)]}
    async with running(SERVERS, state_folder=tmp_path, max_kept_mb=1, client_options=options) as gateway:
        await large_values(gateway)
        task = await TaskClient(gateway).get(spilled(gateway)[0])
        assert len(task["result"]["content"][0]["text"]) >= SIZE


async def test_small_values_never_leave_memory(tmp_path: Path) -> None:
    async with running(SERVERS, state_folder=tmp_path, max_kept_mb=1) as gateway:
        small = await gateway.token("echo", text="small", _wait_s=0)
        await gateway.call("await_future", futures=[small])
        await large_values(gateway)
        assert small not in spilled(gateway)


async def test_without_a_store_values_do_not_spill() -> None:
    async with running(SERVERS, max_kept_mb=1) as gateway:
        await large_values(gateway)
        assert spilled(gateway) == []
