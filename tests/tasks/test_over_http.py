"""Tasks on streamable HTTP, where each request stands for itself: what it declares, and the headers that route it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from mcp_types import HEADER_MISMATCH, INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY

from tests.tasks.support import EXTENSION
from tests.transports.support import MODERN, Place, RawHttp, answer_in, place

pytestmark = pytest.mark.anyio

DECLARED: dict[str, Any] = {"extensions": {EXTENSION: {}}}
BAD_REQUEST = 400


@pytest.fixture
async def gateway() -> AsyncGenerator[Place]:
    async with place("http", tasks="always", inline_wait_s=0) as one:
        yield one


@pytest.fixture
async def http(gateway: Place) -> AsyncGenerator[RawHttp]:
    async with gateway.http() as client:
        yield client


async def say(
    http: RawHttp,
    method: str,
    params: dict[str, Any],
    *,
    capabilities: dict[str, Any] = DECLARED,
    name: str | None = None,
) -> httpx2.Response:
    envelope = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    headers = {"mcp_protocol_version": MODERN, "mcp_method": method}
    headers |= {"mcp_name": name} if name is not None else {}
    return await http.post(http.message(method, {**params, "_meta": envelope}), **headers)


async def call(http: RawHttp, capabilities: dict[str, Any] = DECLARED) -> dict[str, Any]:
    params = {"name": "hold", "arguments": {"key": "a"}}
    return answer_in(await say(http, "tools/call", params, capabilities=capabilities, name="hold"))["result"]


async def test_each_request_declares_for_itself(http: RawHttp) -> None:
    assert (await call(http))["resultType"] == "task"
    assert (await call(http, {}))["resultType"] == "complete"
    assert (await call(http, {"extensions": {"com.example/other": {}}}))["resultType"] == "complete"
    assert (await call(http))["resultType"] == "task"


async def test_a_task_is_there_for_whoever_holds_its_id(http: RawHttp, gateway: Place) -> None:
    task_id = (await call(http))["taskId"]
    async with gateway.http() as another:
        answer = answer_in(await say(another, "tasks/get", {"taskId": task_id}, name=task_id))
    assert answer["result"]["taskId"] == task_id
    assert answer["result"]["status"] == "working"


async def test_an_error_does_not_give_away_the_tasks_of_others(http: RawHttp) -> None:
    task_id = (await call(http))["taskId"]
    answer = answer_in(await say(http, "tasks/get", {"taskId": "fut_x"}, name="fut_x"))
    assert answer["error"]["code"] == INVALID_PARAMS
    assert task_id not in answer["error"]["message"]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("name", ["another", None])
async def test_a_header_that_does_not_name_the_task_is_refused(http: RawHttp, method: str, name: str | None) -> None:
    task_id = (await call(http))["taskId"]
    response = await say(http, method, {"taskId": task_id, "inputResponses": {}}, name=name)
    assert response.status_code == BAD_REQUEST
    assert answer_in(response)["error"]["code"] == HEADER_MISMATCH


async def test_what_is_missing_is_a_bad_request(http: RawHttp) -> None:
    response = await say(http, "tasks/get", {"taskId": "fut_x"}, capabilities={}, name="fut_x")
    assert response.status_code == BAD_REQUEST
    assert answer_in(response)["error"]["code"] == MISSING_REQUIRED_CLIENT_CAPABILITY


async def test_a_legacy_session_is_not_told_of_the_extension(http: RawHttp) -> None:
    answer = answer_in(await http.initialize())
    assert not answer["result"]["capabilities"].get("extensions")
