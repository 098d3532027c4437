"""`notifications/tasks` on `subscriptions/listen`: every move of a task, to those who named it and may see it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    JSONRPCRequest,
    SubscriptionsAcknowledgedNotification,
)

from asyncfc_mcp.server.sessions import MOST_WAITING
from tests.harness import LIMIT_S, running, toy
from tests.questions.support import FORM, RED, User
from tests.tasks.support import EXTENSION, SLOW, RawRequest, RawResult, TaskClient, Watching, with_tasks

pytestmark = pytest.mark.anyio


class Listener:
    """A client with a stream, and what came on it."""

    def __init__(self, client: TaskClient, watching: Watching) -> None:
        self.client = client
        self.watching = watching
        self.acknowledged: dict[str, Any] = {}
        self.is_acknowledged = anyio.Event()

    async def note(self, message: Any) -> None:
        if isinstance(message, SubscriptionsAcknowledgedNotification):
            self.acknowledged = message.params.notifications.model_dump(by_alias=True, exclude_none=True)
            self.is_acknowledged.set()

    @asynccontextmanager
    async def listening(self, *task_ids: str, **more: Any) -> AsyncGenerator[None]:
        self.is_acknowledged = anyio.Event()
        wanted = RawRequest(
            method="subscriptions/listen", params={"notifications": {"taskIds": list(task_ids), **more}}
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.client.gateway.client.session.send_request, wanted, RawResult)
            with anyio.fail_after(LIMIT_S):
                await self.is_acknowledged.wait()
            yield
            tasks.cancel_scope.cancel()

    async def statuses(self, count: int) -> list[str]:
        return [(await self.watching.next())["status"] for _ in range(count)]


@asynccontextmanager
async def listener(**options: Any) -> AsyncGenerator[Listener]:
    watching = Watching()
    heard: list[Listener] = []

    async def note(message: Any) -> None:
        await heard[0].note(message)

    with watching:
        async with with_tasks(extension=watching, message_handler=note, **options) as client:
            heard.append(Listener(client, watching))
            yield heard[0]


async def test_every_move_of_a_task_is_told() -> None:
    async with listener() as one:
        first = await one.client.task("hold", key="a")
        second = await one.client.task("echo", text=f"<${{{first}}}>")
        async with one.listening(second):
            await one.client.gateway.call("release", key="a")
            told = [await one.watching.next() for _ in range(3)]
        assert [task["status"] for task in told] == ["working", "working", "completed"]
        assert "pending" in told[0]["statusMessage"]
        assert "running" in told[1]["statusMessage"]
        assert told[2]["result"]["content"][0]["text"] == "<held a>"


async def test_what_is_told_is_what_would_have_been_answered() -> None:
    async with listener() as one:
        task_id = await one.client.task("hold", key="a")
        async with one.listening(task_id):
            await one.client.gateway.call("release", key="a")
            await one.watching.next()
            told = await one.watching.next()
        got = await one.client.get(task_id)
        del told["_meta"], got["_meta"], got["resultType"]
        assert told == got


async def test_what_is_told_names_its_stream() -> None:
    async with listener() as one:
        task_id = await one.client.task("hold", key="a")
        async with one.listening(task_id):
            assert SUBSCRIPTION_ID_META_KEY in (await one.watching.next())["_meta"]


async def test_a_task_that_had_ended_before_anybody_listened_is_told() -> None:
    async with listener() as one:
        task_id = await one.client.task("hold", key="a")
        await one.client.gateway.call("release", key="a")
        await one.client.ended(task_id)
        async with one.listening(task_id):
            assert await one.statuses(1) == ["completed"]


async def test_the_acknowledgement_names_the_tasks_that_there_are_and_what_else_was_granted() -> None:
    async with listener() as one:
        task_id = await one.client.task("hold", key="a")
        async with one.listening(task_id, "fut_unknown", "not a token", toolsListChanged=True):
            assert one.acknowledged == {"taskIds": [task_id], "toolsListChanged": True}


async def test_tasks_that_were_not_named_are_not_told() -> None:
    async with listener() as one:
        named, other = await one.client.task("hold", key="a"), await one.client.task("hold", key="b")
        async with one.listening(named):
            for key in "ba":
                await one.client.gateway.call("release", key=key)
            await one.client.ended(other)
            told = [await one.watching.next() for _ in range(2)]
        assert {task["taskId"] for task in told} == {named}


async def test_a_question_is_told_and_answered_without_a_poll() -> None:
    async with listener(client_options=User().options) as one:
        task_id = await one.client.task("ask", method="elicitation/create", params=FORM, gate="g")
        async with one.listening(task_id):
            await one.client.gateway.call("release", key="g")
            assert await one.statuses(1) == ["working"]
            asked = await one.watching.next()
            assert asked["status"] == "input_required"
            (key,) = asked["inputRequests"]
            await one.client.update(task_id, {key: RED})
            while (task := await one.watching.next())["status"] == "working":
                pass
            assert task["status"] == "completed"


async def test_a_cancelled_task_is_told() -> None:
    async with listener(servers={"toy": toy(tools=SLOW, cancel_grace_s=0.1)}) as one:
        task_id = await one.client.task("hold", key="a")
        async with one.listening(task_id):
            await one.client.cancel(task_id)
            assert await one.statuses(3) == ["working", "working", "cancelled"]


async def test_nothing_is_told_after_a_stream_has_ended() -> None:
    async with listener() as one:
        task_id = await one.client.task("hold", key="a")
        async with one.listening(task_id):
            assert await one.statuses(1) == ["working"]
        await one.client.gateway.call("release", key="a")
        await one.client.ended(task_id)
        assert one.watching.told.statistics().current_buffer_used == 0


async def test_a_client_that_does_not_declare_the_extension_is_told_what_is_missing() -> None:
    async with running(tasks="always") as gateway:
        error = await TaskClient(gateway).refusal("subscriptions/listen", notifications={"taskIds": ["fut_x"]})
        assert error.code == MISSING_REQUIRED_CLIENT_CAPABILITY
        assert error.data == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}


@pytest.mark.parametrize("task_ids", ["fut_x", [1], ["fut_x"] * 1025])
async def test_malformed_task_ids_are_refused(task_ids: Any) -> None:
    async with with_tasks() as client:
        error = await client.refusal("subscriptions/listen", notifications={"taskIds": task_ids})
        assert error.code == INVALID_PARAMS


async def test_a_client_that_does_not_read_loses_its_stream_and_slows_nobody(
    logged: list[MutableMapping[str, Any]],
) -> None:
    async with with_tasks() as client, listening_raw(client, await client.task("hold", key="a")) as (task_id, read):
        for _ in range(MOST_WAITING + 5):
            await client.update(task_id, {})
        assert "client_does_not_read" in [line["event"] for line in logged]
        while "result" not in (message := await read()):
            pass
        assert message["result"]["resultType"] == "complete"
        assert await client.update(task_id, {})


@asynccontextmanager
async def listening_raw(
    client: TaskClient, task_id: str
) -> AsyncGenerator[tuple[str, Callable[[], Awaitable[dict[str, Any]]]]]:
    """A stream, acknowledged, of a client that reads only when it is told to."""
    handlers = client.gateway.app.handlers
    to_gateway, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_gateway = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> dict[str, Any]:
        with anyio.fail_after(LIMIT_S):
            received = await from_gateway.receive()
        return received.message.model_dump(by_alias=True, mode="json", exclude_unset=True)

    envelope: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}},
    }
    params: dict[str, Any] = {"notifications": {"taskIds": [task_id]}, "_meta": envelope}
    request = JSONRPCRequest(jsonrpc="2.0", id=1, method="subscriptions/listen", params=params)
    async with anyio.create_task_group() as tasks, to_gateway, from_gateway:
        tasks.start_soon(handlers.server.run, incoming, outgoing, handlers.options)
        await to_gateway.send(SessionMessage(request))
        assert (await read())["method"] == "notifications/subscriptions/acknowledged"
        yield task_id, read
        tasks.cancel_scope.cancel()
