"""An `await_future` that the client cuts short goes on as a task: that of the future itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp.client.extension import advertise

from tests.harness import running, toy
from tests.tasks.support import EXTENSION, SLOW, TaskClient, another_client, with_tasks

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def with_token(**settings: Any) -> AsyncGenerator[tuple[TaskClient, str]]:
    """A client with the extension, and the token of a call that a client without it has made."""
    settings = {"tasks": "always", "inline_wait_s": 0, "await_cap_s": 0.1, **settings}
    async with running({"toy": toy(tools=SLOW)}, **settings) as gateway:
        token = await gateway.token("hold", key="a")
        async with another_client(gateway, extensions=[advertise(EXTENSION)]) as client:
            yield client, token


@pytest.mark.parametrize("more", [{}, {"timeout_s": 60}])
async def test_an_await_of_one_future_goes_on_as_its_task(more: dict[str, Any]) -> None:
    async with with_token() as (client, token):
        task = await client.call("await_future", futures=[token], **more)
        assert task["resultType"] == "task"
        assert task["taskId"] == token
        await client.call("release", key="a", _wait_s=10)
        assert (await client.ended(token))["result"]["content"][0]["text"] == "held a"


async def test_an_await_that_took_as_long_as_was_wanted_is_answered() -> None:
    async with with_token() as (client, token):
        answer = await client.call("await_future", futures=[token], timeout_s=0)
        assert answer["resultType"] == "complete"
        assert "Still unsettled" in answer["content"][0]["text"]


async def test_an_await_of_a_part_or_of_several_futures_is_answered() -> None:
    async with with_token() as (client, token):
        for futures in ([f"{token}/key"], [token, await client.task("hold", key="b")]):
            answer = await client.call("await_future", futures=futures)
            assert answer["resultType"] == "complete"
            assert "Still unsettled" in answer["content"][0]["text"]


async def test_no_client_holds_a_task_twice() -> None:
    async with with_tasks(await_cap_s=0.1) as client:
        task_id = await client.task("hold", key="a")
        assert (await client.call("await_future", futures=[task_id]))["resultType"] == "complete"


async def test_a_client_that_is_to_have_no_tasks_gets_none_of_an_await() -> None:
    async with with_token(tasks="hosts") as (client, token):
        assert (await client.call("await_future", futures=[token]))["resultType"] == "complete"
