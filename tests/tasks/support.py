"""A client that knows the Tasks extension, and says everything raw: what the wire holds is what is tested."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import anyio
from mcp import Client
from mcp.client.extension import ClientExtension, NotificationBinding, advertise
from mcp.shared.exceptions import MCPError
from mcp_types import ErrorData, Implementation, NotificationParams, Request
from pydantic import BaseModel, ConfigDict

from tests.harness import FREE, LIMIT_S, GatewayClient, running, toy

EXTENSION = "io.modelcontextprotocol/tasks"
CLAUDE_CODE = Implementation(name="claude-code", version="2.1.330")
SLOW = {"hold": FREE, "steps": FREE, "hold_and_fail": FREE, "echo": FREE, "ask": FREE, "reject": FREE, "sleep": FREE}
"""Labels of the toy's tools that let a test steer them one by one."""


class RawResult(BaseModel):
    model_config = ConfigDict(extra="allow")


class RawRequest(Request[dict[str, Any], str]):
    """Any request."""


class TaskRequest(RawRequest):
    """One that carries the task's id in a header as well, where there are headers."""

    name_param: ClassVar[str | None] = "taskId"


class TaskClient:
    """Says what a client with the extension says."""

    def __init__(self, gateway: GatewayClient) -> None:
        self.gateway = gateway

    async def request(self, method: str, params: Mapping[str, Any], kind: type[RawRequest] = RawRequest) -> Any:
        with anyio.fail_after(LIMIT_S):
            result = await self.gateway.client.session.send_request(kind(method=method, params=dict(params)), RawResult)
        return result.model_dump()

    async def call(self, tool: str, **arguments: Any) -> Any:
        return await self.request("tools/call", {"name": tool, "arguments": arguments})

    async def task(self, tool: str, **arguments: Any) -> str:
        """Call and expect a task."""
        result = await self.call(tool, **arguments)
        assert result["resultType"] == "task", result
        return result["taskId"]

    async def get(self, task_id: str) -> Any:
        return await self.request("tasks/get", {"taskId": task_id}, TaskRequest)

    async def ended(self, task_id: str) -> Any:
        """Wait until the call behind a task has settled, without asking for the task; then the task."""
        token = task_id.lower()
        future = next(one for one in self.gateway.app.gateway.table if one.token == token)
        with anyio.fail_after(LIMIT_S):
            await future.settled.wait()
        return await self.get(task_id)

    async def update(self, task_id: str, responses: Mapping[str, Any]) -> Any:
        return await self.request("tasks/update", {"taskId": task_id, "inputResponses": dict(responses)}, TaskRequest)

    async def cancel(self, task_id: str) -> Any:
        return await self.request("tasks/cancel", {"taskId": task_id}, TaskRequest)

    async def refusal(self, method: str, **params: Any) -> ErrorData:
        """Ask and expect an error."""
        try:
            result = await self.request(method, params, TaskRequest if "taskId" in params else RawRequest)
        except MCPError as error:
            return error.error
        raise AssertionError(result)


class Watching(ClientExtension):
    """Declares the extension and takes its notifications."""

    identifier = EXTENSION

    def __init__(self) -> None:
        self._told, self.told = anyio.create_memory_object_stream[dict[str, Any]](100)

    def __enter__(self) -> None:
        """It is used within this."""

    def __exit__(self, *_: object) -> None:
        self._told.close()
        self.told.close()

    async def _take(self, params: NotificationParams) -> None:
        await self._told.send(params.model_dump(by_alias=True))

    def notifications(self) -> list[NotificationBinding[Any]]:
        return [NotificationBinding(method="notifications/tasks", params_type=AnyParams, handler=self._take)]

    async def next(self) -> dict[str, Any]:
        with anyio.fail_after(LIMIT_S):
            return await self.told.receive()


class AnyParams(NotificationParams):
    model_config = ConfigDict(extra="allow")


@asynccontextmanager
async def another_client(gateway: GatewayClient, **options: Any) -> AsyncGenerator[TaskClient]:
    """A second client at the same door, which declares what it likes."""
    async with Client(gateway.app.handlers.server, **options) as client:
        yield TaskClient(GatewayClient(client, gateway.app))


@asynccontextmanager
async def with_tasks(
    servers: Mapping[str, Any] | None = None,
    *,
    extension: ClientExtension | None = None,
    client_options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncGenerator[TaskClient]:
    """A client that declares the extension, of a gateway that gives tasks to everybody who does."""
    options = {"extensions": [extension or advertise(EXTENSION)], **(client_options or {})}
    settings = {"tasks": "always", "inline_wait_s": 0, **settings}
    servers = servers or {"toy": toy(tools=SLOW)}
    async with running(servers, client_options=options, **settings) as gateway:
        yield TaskClient(gateway)
