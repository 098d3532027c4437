"""Changes of the configuration among many calls: each call is carried out once, on one server or the next."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from asyncfc_mcp.config.models import GatewayConfig, StdioEntry
from tests.bounds import bound_s
from tests.harness import FREE, LIMIT_S, GatewayClient, running, text_of
from tests.reload.support import named

pytestmark = pytest.mark.anyio
CALLS = 150
CHANGES = 6


@pytest.mark.parametrize("labels", ["free", "ordered"])
async def test_no_call_is_lost_or_made_twice_while_its_server_is_replaced_again_and_again(
    tmp_path: Path, labels: str
) -> None:
    tools = {"journal": FREE} if labels == "free" else {}
    journal = tmp_path / "journal"
    async with running({"a": named(concurrency=4, tools=tools), "b": named()}, mode="async", store="memory") as gateway:
        async with anyio.create_task_group() as tasks:
            for number in range(CALLS):
                await gateway.call("a_journal", path=str(journal), line=str(number), _as=f"n{number}", _wait_s=0)
                if number % (CALLS // CHANGES) == 0:
                    tasks.start_soon(_change, gateway, number)
        with anyio.fail_after(bound_s(2 * LIMIT_S)):
            answers = [await gateway.value(f"fut_n{number}") for number in range(CALLS)]
    lines = journal.read_text().split()
    assert [f"wrote {number}" in answer for number, answer in enumerate(answers)] == [True] * CALLS
    assert sorted(lines, key=int) == [str(number) for number in range(CALLS)]
    if labels == "ordered":
        assert lines == [str(number) for number in range(CALLS)], "each writes what the one before may have read"


async def test_calls_of_a_server_that_comes_and_goes_end_with_a_value_or_with_what_is_the_matter() -> None:
    servers = {"a": named(), "b": named(tools={"echo": FREE})}
    async with running(servers, store="memory") as gateway:
        await gateway.call("b_who", _wait_s=LIMIT_S)
        config = gateway.app.gateway.config
        ways = itertools.cycle([config.model_copy(update={"servers": config.servers[:1]}), config])
        said: list[str] = []

        async def call(number: int) -> None:
            said.append(text_of(await gateway.call("b_echo", text=f"echo {number}", _wait_s=LIMIT_S)))

        async with anyio.create_task_group() as tasks:
            for number in range(48):
                tasks.start_soon(call, number)
                if number % 8 == 7:  # gone, and back in the end
                    await gateway.app.gateway.take_up(next(ways))
                await anyio.lowlevel.checkpoint()
    odd = [one for one in said if not one.startswith("echo ") and "taken out of the gateway's configuration" not in one]
    assert not odd
    assert any(one.startswith("echo ") for one in said)


async def _change(gateway: GatewayClient, number: int) -> None:
    config = gateway.app.gateway.config
    await gateway.app.gateway.take_up(config.model_copy(update={"servers": tuple(_others(config, number))}))


def _others(config: GatewayConfig, number: int) -> Iterator[object]:
    """The first server in another environment and with other room; the others as they are."""
    first, *others = config.servers
    assert isinstance(first.transport, StdioEntry)
    transport = first.transport.model_copy(update={"env": {"WHO": str(number)}})
    settings = first.settings.model_copy(update={"concurrency": 1 + number % 5})
    yield first.model_copy(update={"transport": transport, "settings": settings})
    yield from others
