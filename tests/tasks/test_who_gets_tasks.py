"""Tasks go to clients that declare the extension and are to have them, for calls that outlive their inline wait."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.client.extension import advertise
from mcp_types import Implementation

from asyncfc_mcp.clients.tasks import TASK_HOSTS, task_host
from tests.harness import running, text_of, toy
from tests.tasks.support import CLAUDE_CODE, EXTENSION, SLOW, TaskClient, with_tasks

pytestmark = pytest.mark.anyio


async def test_a_call_that_outlives_its_inline_wait_is_answered_with_a_task() -> None:
    async with with_tasks() as client:
        task = await client.call("hold", key="a")
        assert task["resultType"] == "task"
        assert task["status"] == "working"
        assert task["taskId"].startswith("fut_hold_")
        assert not {"content", "result", "error", "inputRequests", "requestState", "task"} & task.keys()
        assert task["_meta"]["asyncfc/future"]["token"] == task["taskId"]


async def test_the_message_of_a_new_task_says_what_its_id_is_good_for() -> None:
    async with with_tasks() as client:
        task = await client.call("hold", key="a")
        for said in (task["taskId"], "as an argument", "await_future", "do not guess"):
            assert said in task["statusMessage"]


async def test_a_call_that_ends_in_time_is_answered_with_its_result() -> None:
    async with with_tasks(inline_wait_s=10) as client:
        result = await client.call("echo", text="hello")
        assert result["resultType"] == "complete"
        assert result["content"] == [{"type": "text", "text": "hello"}]
        assert "taskId" not in result


async def test_a_sync_tool_never_makes_a_task() -> None:
    async with with_tasks({"toy": toy(tools={**SLOW, "echo": {"mode": "sync"}})}) as client:
        assert (await client.call("echo", text="hello"))["resultType"] == "complete"


async def test_a_modern_client_that_does_not_declare_the_extension_gets_a_token() -> None:
    async with running({"toy": toy(tools=SLOW)}, tasks="always", inline_wait_s=0) as gateway:
        result = await TaskClient(gateway).call("hold", key="a")
        assert result["resultType"] == "complete"
        assert "taskId" not in result
        assert "stands for the result" in result["content"][0]["text"]


async def test_a_legacy_client_gets_a_token_whatever_it_declares() -> None:
    options = {"extensions": [advertise(EXTENSION)]}
    servers = {"toy": toy(tools=SLOW)}
    async with running(servers, era="legacy", client_options=options, tasks="always", inline_wait_s=0) as gateway:
        assert "stands for the result" in text_of(await gateway.call("hold", key="a"))


@pytest.mark.parametrize(
    ("client_info", "setting", "expected"),
    [
        (CLAUDE_CODE, "hosts", "task"),
        (CLAUDE_CODE, "always", "task"),
        (CLAUDE_CODE, "off", "complete"),
        (Implementation(name="claude-code", version="2.1.303"), "hosts", "complete"),
        (Implementation(name="another-host", version="9.9.9"), "hosts", "complete"),
        (Implementation(name="another-host", version="9.9.9"), "always", "task"),
    ],
)
async def test_the_setting_and_the_list_of_hosts_decide(client_info: Any, setting: str, expected: str) -> None:
    async with with_tasks(client_options={"client_info": client_info}, tasks=setting) as client:
        assert (await client.call("hold", key="a"))["resultType"] == expected


async def test_a_host_gets_no_more_tasks_at_once_than_it_keeps() -> None:
    most = TASK_HOSTS["claude-code"].most_at_once
    async with with_tasks(client_options={"client_info": CLAUDE_CODE}, tasks="hosts") as client:
        held = [await client.task("hold", key=f"key{number}") for number in range(most)]
        assert (await client.call("hold", key="more"))["resultType"] == "complete"
        await client.gateway.call("release", key="key0")
        await client.ended(held[0])
        assert (await client.call("hold", key="again"))["resultType"] == "task"


@pytest.mark.parametrize(
    ("version", "is_host"),
    [
        ("2.1.304", True),
        ("2.1.330-beta.1", True),
        ("2.2", True),
        ("3", True),
        ("2.1.99", False),
        ("2.1", False),
        ("dev", False),
        (None, False),
    ],
)
def test_versions_of_hosts_are_compared_by_their_numbers(version: str | None, is_host: bool) -> None:
    assert (task_host("claude-code", version) is not None) == is_host


@pytest.mark.parametrize("setting", ["hosts", "always"])
async def test_the_extension_is_declared_to_modern_clients(setting: str) -> None:
    async with running(tasks=setting) as gateway:
        discovered = await TaskClient(gateway).request("server/discover", {})
        assert discovered["capabilities"]["extensions"] == {EXTENSION: {}}


async def test_the_extension_is_not_declared_where_it_is_switched_off() -> None:
    async with running(tasks="off") as gateway:
        assert "extensions" not in (await TaskClient(gateway).request("server/discover", {}))["capabilities"]


async def test_the_extension_is_not_declared_to_legacy_clients() -> None:
    async with running(era="legacy", tasks="always") as gateway:
        capabilities = gateway.client.server_capabilities
        assert capabilities is not None
        assert capabilities.extensions is None
        assert gateway.app.handlers.options.capabilities.extensions in (None, {})
