"""`tasks/get`, `tasks/update` and `tasks/cancel`: how a task stands, what it asks, and how it is stopped."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mcp.client.extension import advertise
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_REQUIRED_CLIENT_CAPABILITY

from tests.harness import FREE, running, toy
from tests.questions.support import FORM, RED, User, asking
from tests.tasks.support import EXTENSION, SLOW, TaskClient, another_client, with_tasks

pytestmark = pytest.mark.anyio

SURVEY = {
    "command": sys.executable,
    "args": [str(Path(__file__).parent / "servers" / "survey.py")],
    "asyncfc": {"prefix": ""},
}


async def asked(client: TaskClient, gate: str = "g") -> tuple[str, dict[str, Any]]:
    """A task that has come to its question, and the task as it stands then."""
    task_id = await client.task("ask", method="elicitation/create", params=FORM, gate=gate)
    await client.gateway.call("release", key=gate)
    return task_id, await at_its_question(client, task_id)


async def at_its_question(client: TaskClient, task_id: str) -> dict[str, Any]:
    while (task := await client.get(task_id))["status"] == "working":
        pass
    return task


# tasks/get


async def test_a_working_task_says_how_it_stands() -> None:
    async with with_tasks() as client:
        task_id = await client.task("hold", key="a")
        task = await client.get(task_id)
        assert task["resultType"] == "complete"
        assert task["taskId"] == task_id
        assert task["status"] == "working"
        assert "running" in task["statusMessage"]
        assert not {"result", "error", "inputRequests"} & task.keys()


async def test_a_task_says_why_it_waits() -> None:
    async with with_tasks() as client:
        first = await client.task("hold", key="a")
        second = await client.task("echo", text=first)
        assert f"waits for the value of {first}" in (await client.get(second))["statusMessage"]


async def test_times_are_iso_8601_and_durations_whole_milliseconds() -> None:
    async with with_tasks(ttl_s=600) as client:
        task = await client.call("hold", key="a")
        assert datetime.fromisoformat(task["createdAt"]) <= datetime.fromisoformat(task["lastUpdatedAt"])
        assert isinstance(task["ttlMs"], int)
        assert task["ttlMs"] >= 600_000
        assert isinstance(task["pollIntervalMs"], int)
        assert 500 <= task["pollIntervalMs"] <= 5000


async def test_a_value_lives_for_its_ttl_after_it_came() -> None:
    async with with_tasks(ttl_s=600) as client:
        task_id = await client.task("hold", key="a")
        created = await client.get(task_id)
        await client.gateway.call("release", key="a")
        task = await client.ended(task_id)
        lived_s = datetime.fromisoformat(task["lastUpdatedAt"]) - datetime.fromisoformat(task["createdAt"])
        assert task["createdAt"] == created["createdAt"]
        assert task["ttlMs"] == pytest.approx(600_000 + lived_s.total_seconds() * 1000, abs=5)
        assert (await client.get(task_id))["ttlMs"] == task["ttlMs"]


async def test_a_completed_task_holds_the_result_of_its_call() -> None:
    async with with_tasks() as client:
        task_id = await client.task("hold", key="a")
        await client.gateway.call("release", key="a")
        task = await client.ended(task_id)
        assert task["status"] == "completed"
        assert task["result"]["content"] == [{"type": "text", "text": "held a"}]
        assert "error" not in task


async def test_nothing_is_attached_to_the_result_of_a_task() -> None:
    async with with_tasks() as client:
        first, second = await client.task("hold", key="a"), await client.task("hold", key="b")
        for key in "ab":
            await client.gateway.client.call_tool("release", {"key": key, "_wait_s": 10})
        await client.ended(first)
        assert [block["text"] for block in (await client.ended(second))["result"]["content"]] == ["held b"]


async def test_a_tool_that_fails_completes_its_task_with_an_error_result() -> None:
    async with with_tasks() as client:
        task_id = await client.task("hold_and_fail", key="a", message="no such thing")
        await client.gateway.call("release", key="a")
        task = await client.ended(task_id)
        assert task["status"] == "completed"
        assert task["result"]["isError"] is True
        assert "no such thing" in task["result"]["content"][0]["text"]


async def test_a_request_that_the_server_refuses_fails_its_task() -> None:
    async with with_tasks() as client:
        task_id = await client.task("reject", message="never")
        task = await client.ended(task_id)
        assert task["status"] == "failed"
        assert task["error"] == {"code": INVALID_PARAMS, "message": "never", "data": {"toy": True}}
        assert "result" not in task


async def test_a_failure_of_the_gateways_own_is_a_result_as_it_is_inline() -> None:
    async with with_tasks({"toy": toy(tools={**SLOW, "hold": {**FREE, "timeout_s": 1}})}) as client:
        task_id = await client.task("hold", key="a")
        needing = await client.task("echo", text=task_id)
        task = await client.ended(task_id)
        assert task["status"] == "completed"
        assert task["result"]["isError"] is True
        assert "timed_out" in task["result"]["content"][0]["text"]
        poisoned = await client.ended(needing)
        assert poisoned["result"]["isError"] is True
        assert task_id in poisoned["result"]["content"][0]["text"]


async def test_a_task_that_was_read_is_not_attached_to_later_results() -> None:
    async with with_tasks() as client:
        task_id = await client.task("hold", key="a")
        await client.gateway.call("release", key="a")
        await client.ended(task_id)
        later = await client.gateway.call("started", key="a")
        assert "asyncfc/delivered" not in (later.meta or {})


async def test_a_task_can_be_read_again_and_again() -> None:
    async with with_tasks() as client:
        task_id = await client.task("hold", key="a")
        await client.gateway.call("release", key="a")
        assert await client.ended(task_id) == await client.get(task_id)


async def test_a_task_id_is_answered_in_the_clients_own_spelling() -> None:
    async with with_tasks() as client:
        task_id = (await client.task("hold", key="a")).upper().replace("FUT_HOLD_", "fut_hold_")
        assert (await client.get(task_id))["taskId"] == task_id


async def test_the_id_of_a_task_can_be_passed_as_an_argument_and_awaited() -> None:
    async with with_tasks() as client:
        task_id = await client.task("hold", key="a")
        later = await client.task("echo", text=f"<${{{task_id}}}>")
        await client.gateway.call("release", key="a")
        assert (await client.ended(later))["result"]["content"][0]["text"] == "<held a>"
        assert await client.gateway.value(task_id) == "held a"


# Refusals


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_client_that_does_not_declare_the_extension_is_told_what_is_missing(method: str) -> None:
    async with running(tasks="always") as gateway:
        error = await TaskClient(gateway).refusal(method, taskId="fut_x", inputResponses={})
        assert error.code == MISSING_REQUIRED_CLIENT_CAPABILITY
        assert error.data == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("task_id", ["fut_hold_8k2m4x7qa", "786512e2-9e0d-44bd-8f29-789f320fe840", ""])
async def test_an_unknown_task_is_an_error_that_says_so(method: str, task_id: str) -> None:
    async with with_tasks() as client:
        error = await client.refusal(method, taskId=task_id, inputResponses={})
        assert error.code == INVALID_PARAMS
        assert "fut_" in error.message


@pytest.mark.parametrize("method", ["tasks/list", "tasks/result"])
async def test_methods_of_earlier_revisions_are_not_there(method: str) -> None:
    async with with_tasks() as client:
        assert (await client.refusal(method, taskId="fut_x")).code == METHOD_NOT_FOUND


async def test_there_are_no_tasks_where_they_are_switched_off() -> None:
    async with with_tasks(tasks="off") as client:
        assert (await client.refusal("tasks/get", taskId="fut_x")).code == METHOD_NOT_FOUND


async def test_a_legacy_client_has_no_methods_for_tasks() -> None:
    async with running(era="legacy", tasks="always") as gateway:
        assert (await TaskClient(gateway).refusal("tasks/get", taskId="fut_x")).code == METHOD_NOT_FOUND


@pytest.mark.parametrize("responses", [None, [], {"key": "not an object"}])
async def test_malformed_answers_are_refused(responses: Any) -> None:
    async with with_tasks() as client:
        task_id = await client.task("hold", key="a")
        error = await client.refusal("tasks/update", taskId=task_id, inputResponses=responses)
        assert error.code == INVALID_PARAMS


# tasks/cancel


async def test_cancelling_a_task_cancels_its_call() -> None:
    async with with_tasks({"toy": toy(tools=SLOW, cancel_grace_s=0.1)}) as client:
        task_id = await client.task("hold", key="a")
        acknowledged = await client.cancel(task_id)
        assert acknowledged.pop("resultType") == "complete"
        assert acknowledged.keys() <= {"_meta"}
        task = await client.ended(task_id)
        assert task["status"] == "cancelled"
        assert "result" not in task
        assert json.loads(await client.gateway.text("cancelled")) >= 1


async def test_cancelling_a_task_that_has_ended_changes_nothing() -> None:
    async with with_tasks() as client:
        task_id = await client.task("hold", key="a")
        await client.gateway.call("release", key="a")
        before = await client.ended(task_id)
        assert (await client.cancel(task_id))["resultType"] == "complete"
        assert await client.get(task_id) == before


# tasks/update


async def test_a_question_of_a_running_task_is_shown_and_answered() -> None:
    async with with_tasks(client_options=User().options) as client:
        task_id, task = await asked(client)
        assert task["status"] == "input_required"
        assert "Which colour?" in task["statusMessage"]
        ((key, request),) = task["inputRequests"].items()
        assert request == {"method": "elicitation/create", "params": FORM}
        acknowledged = await client.update(task_id, {key: RED})
        assert acknowledged.pop("resultType") == "complete"
        assert acknowledged.keys() <= {"_meta"}
        task = await client.ended(task_id)
        assert json.loads(task["result"]["content"][0]["text"]) == {"result": RED}


async def test_an_answer_under_a_key_that_was_never_asked_is_ignored() -> None:
    async with with_tasks(client_options=User().options) as client:
        task_id, task = await asked(client)
        await client.update(task_id, {"another": RED, "0.elicit": RED})
        assert (await client.get(task_id))["inputRequests"] == task["inputRequests"]


async def test_an_answered_question_is_not_shown_again() -> None:
    async with with_tasks(client_options=User().options) as client:
        task_id, task = await asked(client)
        (key,) = task["inputRequests"]
        await client.update(task_id, {key: RED})
        assert key not in (await client.get(task_id)).get("inputRequests", {})


async def test_the_questions_of_one_task_never_share_a_key() -> None:
    async with with_tasks({"asking": asking(inline_wait_s=0)}, client_options=User().options) as client:
        task_id = await client.task("quiz")
        keys: list[str] = []
        for answer in ("a", "b"):
            task = await at_its_question(client, task_id)
            (key,) = task["inputRequests"]
            keys.append(key)
            await client.update(task_id, {key: {"action": "accept", "content": {answer: "yes"}}})
        task = await client.ended(task_id)
        assert json.loads(task["result"]["content"][0]["text"]) == ["yes", "yes"]
        assert len(set(keys)) == 2


async def test_answers_may_come_one_by_one() -> None:
    async with with_tasks({"survey": SURVEY}, client_options=User().options) as client:
        task_id = await client.task("both")
        task = await at_its_question(client, task_id)
        first, second = task["inputRequests"]
        await client.update(task_id, {first: {"action": "accept", "content": {"a": "1"}}})
        task = await client.get(task_id)
        assert task["status"] == "input_required"
        assert set(task["inputRequests"]) == {second}
        await client.update(task_id, {second: {"action": "accept", "content": {"b": "2"}}})
        assert json.loads((await client.ended(task_id))["result"]["content"][0]["text"]) == ["1", "2"]


async def test_a_task_shows_the_question_of_a_blocker_that_is_no_task() -> None:
    servers = {"toy": toy(tools=SLOW)}
    user = User()
    async with running(servers, client_options=user.options, tasks="always", inline_wait_s=0) as gateway:
        token = await gateway.token("ask", method="elicitation/create", params=FORM, gate="g")
        await gateway.call("release", key="g")
        async with another_client(gateway, extensions=[advertise(EXTENSION)], **user.options) as client:
            task_id = await client.task("echo", text=f"${{{token}}}")
            (key,) = (await at_its_question(client, task_id))["inputRequests"]
            await client.update(task_id, {key: RED})
            task = await client.ended(task_id)
            assert json.loads(task["result"]["content"][0]["text"]) == {"result": RED}


async def test_a_task_leaves_the_question_of_a_blocker_to_the_task_that_this_is() -> None:
    async with with_tasks(client_options=User().options) as client:
        first, _ = await asked(client)
        second = await client.task("echo", text=f"${{{first}}}")
        task = await client.get(second)
        assert task["status"] == "working"
        assert first in task["statusMessage"]


async def test_a_client_is_not_shown_what_it_does_not_say_that_it_can_answer() -> None:
    async with with_tasks(client_options=User().options) as client:
        task_id, _ = await asked(client)
        async with another_client(client.gateway, extensions=[advertise(EXTENSION)]) as unable:
            task = await unable.get(task_id)
            assert task["status"] == "working"
            assert "waits for the user's answer" in task["statusMessage"]


async def test_a_question_that_can_be_asked_inline_comes_before_the_task() -> None:
    user = User()
    async with with_tasks({"asking": asking(inline_wait_s=10)}, client_options=user.options) as client:
        result = await client.call("greet")
        assert result["resultType"] == "input_required"
        assert "taskId" not in result
