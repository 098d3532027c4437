"""Calls that servers run as tasks, in both dialects, over stdio and HTTP."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry, StdioEntry
from asyncfc_mcp.downstream.cancelling import CancelRequest
from asyncfc_mcp.downstream.connection import Connection
from asyncfc_mcp.downstream.outcome import (
    DownstreamError,
    DownstreamLost,
    InputRefused,
    MalformedResult,
    Outcome,
    RpcError,
)
from asyncfc_mcp.downstream.tasks.call import TaskCancelled, TaskLost
from asyncfc_mcp.downstream.tasks.following import poll_interval_s
from tests.downstream.support import connected, entry, free_port

pytestmark = pytest.mark.anyio

NPM = os.environ.get("ASYNCFC_TEST_NPM", "")
TOY = Path(__file__).parent / "servers" / "tasks_toy.py"
DIALECTS = ["2025", "2026"]
KINDS = [(dialect, carrier) for dialect in DIALECTS for carrier in ("stdio", "http")]
FAST: dict[str, Any] = {"pollInterval": 50, "pollIntervalMs": 50}
SLOW: dict[str, Any] = {"pollInterval": 60_000, "pollIntervalMs": 60_000}
"""So slow that a test would time out if it had to wait for a poll."""
ELICITATION = {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": {"type": "object"}}}


def text_result(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


@dataclass
class Server:
    """The toy at work, with a connection to it."""

    dialect: str
    connection: Connection
    processes: AsyncExitStack
    command: list[str]
    asked: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    statuses: list[str] = field(default_factory=list[str])
    progress: list[tuple[float, float | None, str | None]] = field(
        default_factory=list[tuple[float, float | None, str | None]]
    )
    reported: anyio.Event = field(default_factory=anyio.Event)

    async def answer(self, requests: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(requests)
        return {key: {"action": "accept", "content": {"name": key}} for key in requests}

    async def note_progress(self, done: float, total: float | None, message: str | None) -> None:
        self.progress.append((done, total, message))
        self.reported.set()

    async def work(self, key: str = "job", state: dict[str, Any] = FAST, **options: Any) -> Outcome:
        given: dict[str, Any] = {"on_input": self.answer, "on_status": self.statuses.append, **options}
        return await self.connection.call_tool("work", {"key": key, "state": state}, owner=key, **given)

    def start(self, tasks: TaskGroup, key: str = "job", state: dict[str, Any] = FAST, **options: Any) -> Ended:
        ended = Ended()

        async def run() -> None:
            try:
                ended.outcome = await self.work(key, state, **options)
            except DownstreamError as error:
                ended.error = error
            ended.event.set()

        tasks.start_soon(run)
        return ended

    async def steer(self, key: str = "job", *, tells: bool = False, forgets: bool = False, **state: Any) -> None:
        given = {"key": key, "state": state, "tells": tells, "forgets": forgets}
        await self.connection.call_tool("steer", given)

    async def saw(self, method: str, count: int = 1, key: str = "job") -> list[dict[str, Any]]:
        seen = await self.connection.call_tool("saw", {"key": key, "method": method, "count": count})
        return json.loads(seen.text or "")

    async def restart(self) -> None:
        """End its process; over stdio the connection starts the next one by itself."""
        with pytest.raises(DownstreamLost):
            await self.connection.call_tool("die", {})
        if "stdio" not in self.command:
            await self.processes.enter_async_context(process(self.command))


@dataclass
class Ended:
    """How a call that runs beside the test ends."""

    event: anyio.Event = field(default_factory=anyio.Event)
    outcome: Outcome | None = None
    error: DownstreamError | None = None

    async def text(self) -> str | None:
        await self.event.wait()
        if self.error is not None:
            raise self.error
        return self.outcome.text if self.outcome else None


@asynccontextmanager
async def process(command: list[str]) -> AsyncGenerator[None]:
    async with await anyio.open_process(command, stderr=None) as server:
        try:
            assert server.stdout is not None
            assert (await server.stdout.receive()).startswith(b"listening")
            yield
        finally:
            if server.returncode is None:
                server.kill()


@asynccontextmanager
async def serving(dialect: str, carrier: str, *, file: Path | None = None, hooks: Any = None) -> AsyncGenerator[Server]:
    where = "stdio" if carrier == "stdio" else str(free_port())
    command = [sys.executable, str(TOY), dialect, where, *([str(file)] if file else [])]
    with anyio.fail_after(60):
        async with AsyncExitStack() as processes:
            if carrier == "stdio":
                server: ServerEntry = entry("toy", StdioEntry(command=command[0], args=tuple(command[1:])))
            else:
                await processes.enter_async_context(process(command))
                server = entry("toy", RemoteEntry(url=f"http://127.0.0.1:{where}/mcp", type="http"))
            async with connected(server, hooks=hooks) as connection:
                yield Server(dialect, connection, processes, command)


@pytest.mark.parametrize(("dialect", "carrier"), KINDS)
async def test_a_task_is_followed_to_its_result(dialect: str, carrier: str) -> None:
    async with serving(dialect, carrier) as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks, state={**FAST, "statusMessage": "warming up"})
        await server.saw("tasks/get")
        await server.steer(statusMessage="half-way")
        await server.saw("tasks/get", 4)
        result = text_result("done", structuredContent={"n": 1}, extra={"kept": True}, _meta={"a": 1})
        await server.steer(status="completed", result=result)
        assert await ended.text() == "done"
        assert ended.outcome is not None
        expected = {key: value for key, value in result.items() if dialect == "2026" or key != "_meta"}
        assert ended.outcome.result == expected
        assert server.statuses == ["warming up", "half-way"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_tool_error_is_an_outcome(dialect: str) -> None:
    async with serving(dialect, "stdio") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.steer(status="completed", result=text_result("no luck", isError=True))
        assert await ended.text() == "no luck"
        assert ended.outcome is not None
        assert ended.outcome.is_error


@pytest.mark.parametrize(("dialect", "carrier"), KINDS)
async def test_a_failed_task_is_the_json_rpc_error_of_the_call(dialect: str, carrier: str) -> None:
    error = {"code": -32077, "message": "rate limit", "data": {"again_in_s": 5}}
    async with serving(dialect, carrier) as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.steer(status="failed", statusMessage="it went wrong", error=error)
        with pytest.raises(RpcError) as raised:
            await ended.text()
        assert {key: getattr(raised.value, key) for key in error} == error


async def test_a_failed_task_without_a_stored_result_says_why_it_failed() -> None:
    async with serving("2025", "stdio") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.steer(status="failed", statusMessage="out of paper")
        with pytest.raises(RpcError, match="out of paper: no result stored"):
            await ended.text()


@pytest.mark.parametrize(("dialect", "carrier"), KINDS)
async def test_cancelling_a_call_cancels_its_task(dialect: str, carrier: str) -> None:
    cancel = CancelRequest()
    async with serving(dialect, carrier) as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks, state={**SLOW, "statusMessage": "digging"}, cancel_requested=cancel)
        await server.saw("tools/call", key="job")
        while not server.statuses:
            await anyio.lowlevel.checkpoint()
        cancel.set()
        with pytest.raises(TaskCancelled, match=r"'work'.*was cancelled: digging"):
            await ended.text()
        assert len(await server.saw("tasks/cancel")) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_task_that_cannot_be_cancelled_is_waited_for(dialect: str) -> None:
    cancel = CancelRequest()
    async with serving(dialect, "stdio") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks, state={**FAST, "stubborn": True}, cancel_requested=cancel)
        await server.saw("tasks/get")
        cancel.set()
        await server.saw("tasks/cancel")
        await server.steer(status="completed", result=text_result("all the same"))
        assert await ended.text() == "all the same"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_server_hears_when_nobody_waits_any_more(dialect: str) -> None:
    async with serving(dialect, "stdio") as server:
        async with anyio.create_task_group() as tasks:
            server.start(tasks)
            await server.saw("tasks/get")
            tasks.cancel_scope.cancel()
        assert len(await server.saw("tasks/cancel")) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_polls_keep_the_servers_distance_and_follow_its_changes(dialect: str) -> None:
    async with serving(dialect, "http") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks, state={"pollInterval": 300, "pollIntervalMs": 300})
        polls = await server.saw("tasks/get", 3)
        assert all(later["at"] - earlier["at"] > 0.28 for earlier, later in itertools.pairwise(polls))
        await server.steer(pollInterval=1, pollIntervalMs=1)
        polls = (await server.saw("tasks/get", 8))[-4:]
        assert all(later["at"] - earlier["at"] > 0.04 for earlier, later in itertools.pairwise(polls))
        await server.steer(status="completed", result=text_result("done"))
        assert await ended.text() == "done"


@pytest.mark.parametrize(
    ("said", "meant_s"),
    [(1, 0.05), (200, 0.2), (3_600_000, 60), (None, 1), ("soon", 1), (True, 1), (-5, 0.05), (float("nan"), 1)],
)
def test_a_poll_interval_stays_within_reason(said: object, meant_s: float) -> None:
    assert poll_interval_s(said) == meant_s


@pytest.mark.parametrize(("dialect", "carrier"), KINDS)
async def test_a_notification_cuts_the_wait_short(dialect: str, carrier: str) -> None:
    async with serving(dialect, carrier) as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks, state=SLOW)
        # The one early look.
        await server.saw("tasks/get")
        await server.steer(tells=True, statusMessage="nearly there")
        while not server.statuses:
            await anyio.lowlevel.checkpoint()
        await server.steer(tells=True, status="completed", result=text_result("told"))
        assert await ended.text() == "told"
        assert server.statuses == ["nearly there"]
        assert len(await server.saw("tasks/get")) == 1


async def test_a_server_that_does_not_tell_of_tasks_is_polled() -> None:
    async with serving("2026", "http") as server, anyio.create_task_group() as tasks:
        await server.steer("deaf")
        ended = server.start(tasks, state={"pollIntervalMs": 1_000})
        await server.saw("subscriptions/listen")
        await server.steer(status="completed", result=text_result("polled"))
        assert await ended.text() == "polled"


@pytest.mark.parametrize("carrier", ["stdio", "http"])
async def test_each_input_request_of_a_task_is_asked_once(carrier: str) -> None:
    async with serving("2026", carrier) as server, anyio.create_task_group() as tasks:
        answered = anyio.Event()

        async def answer(requests: Mapping[str, Any]) -> dict[str, Any]:
            if "first" in requests:
                await answered.wait()
            return await server.answer(requests)

        ended = server.start(tasks, on_input=answer)
        await server.saw("tasks/get")
        await server.steer(status="input_required", inputRequests={"first": ELICITATION})
        await server.saw("tasks/get", 5)
        await server.steer(inputRequests={"first": ELICITATION, "second": ELICITATION})
        [update] = await server.saw("tasks/update")
        assert list(update["params"]["inputResponses"]) == ["second"]
        answered.set()
        assert set(json.loads(await ended.text() or "")) == {"first", "second"}
        assert server.asked == [{"second": ELICITATION}, {"first": ELICITATION}]


async def test_a_task_whose_input_is_refused_is_cancelled() -> None:
    async def refuse(requests: Mapping[str, Any]) -> dict[str, Any]:
        raise InputRefused(f"nobody to ask for {', '.join(requests)}")

    async with serving("2026", "stdio") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks, on_input=refuse)
        await server.saw("tasks/get")
        await server.steer(status="input_required", inputRequests={"first": ELICITATION})
        with pytest.raises(InputRefused, match="nobody to ask for first"):
            await ended.text()
        assert len(await server.saw("tasks/cancel")) == 1


async def test_an_answer_that_the_server_refuses_fails_the_call() -> None:
    async with serving("2026", "stdio") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.steer(status="input_required", inputRequests={"first": ELICITATION}, refuses=True)
        with pytest.raises(RpcError, match="not such an answer"):
            await ended.text()


async def test_a_question_is_withdrawn_when_the_call_is_cancelled() -> None:
    cancel, asked, withdrawn = CancelRequest(), anyio.Event(), anyio.Event()

    async def never(_: Mapping[str, Any]) -> dict[str, Any]:
        asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            withdrawn.set()
        return {}

    async with serving("2026", "http") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks, on_input=never, cancel_requested=cancel)
        await server.saw("tasks/get")
        await server.steer(status="input_required", inputRequests={"first": ELICITATION})
        await asked.wait()
        cancel.set()
        with pytest.raises(TaskCancelled):
            await ended.text()
        assert withdrawn.is_set()


class Answering:
    """Hooks that accept every elicitation, and remember whose it was."""

    def __init__(self, **content: Any) -> None:
        self.content = content
        self.owners: list[tuple[object, ...]] = []

    async def answer(self, server: str, owners: Any, method: str, params: dict[str, Any] | None) -> dict[str, Any]:
        if method != "elicitation/create":
            raise MCPError(METHOD_NOT_FOUND, "not here")
        self.owners.append(tuple(owners))
        return {"action": "accept", "content": self.content or {"said": (params or {}).get("message")}}

    def notified(self, server: str, owners: Any, method: str, params: dict[str, Any] | None) -> None:
        pass


@pytest.mark.parametrize("carrier", ["stdio", "http"])
async def test_a_2025_task_asks_while_its_result_is_waited_for_and_its_owner_answers(carrier: str) -> None:
    hooks = Answering()
    async with serving("2025", carrier, hooks=hooks) as server, anyio.create_task_group() as tasks:
        other = server.start(tasks, "other")
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.steer(status="input_required", ask=ELICITATION)
        assert json.loads(await ended.text() or "") == {"action": "accept", "content": {"said": "Who?"}}
        assert hooks.owners == [("job",)]
        await server.steer("other", status="completed", result=text_result("done"))
        await other.event.wait()


async def test_progress_of_a_2025_task_goes_on_after_its_creation() -> None:
    async with serving("2025", "stdio") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks, on_progress=server.note_progress)
        await server.saw("tasks/get")
        await server.connection.call_tool("report", {"key": "job", "done": 4})
        await server.reported.wait()
        assert server.progress == [(4.0, 10.0, "on it")]
        await server.steer(status="completed", result=text_result("done"))
        await ended.event.wait()


async def test_only_a_tool_that_requires_it_is_called_as_a_task() -> None:
    async with serving("2025", "stdio") as server:
        assert (await server.connection.call_tool("plain", {})).text == "plain"


@pytest.mark.parametrize(("dialect", "carrier"), KINDS)
async def test_a_task_is_found_again_after_the_connection_was_lost(dialect: str, carrier: str, tmp_path: Path) -> None:
    async with serving(dialect, carrier, file=tmp_path / "tasks") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.restart()
        await server.saw("tasks/get")
        await server.steer(status="completed", result=text_result("still here"))
        assert await ended.text() == "still here"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_task_that_died_with_its_server_is_lost(dialect: str) -> None:
    async with serving(dialect, "stdio") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.restart()
        with pytest.raises(DownstreamLost, match="may have taken effect"):
            await ended.text()


@pytest.mark.parametrize(("dialect", "carrier"), KINDS)
async def test_a_task_that_its_server_forgets_may_have_taken_effect(dialect: str, carrier: str) -> None:
    async with serving(dialect, carrier) as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.steer(forgets=True)
        with pytest.raises(TaskLost, match=r"knows nothing of it any more \(Task not found\).*taken effect"):
            await ended.text()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_result_that_is_none_is_named(dialect: str) -> None:
    async with serving(dialect, "stdio") as server, anyio.create_task_group() as tasks:
        ended = server.start(tasks)
        await server.saw("tasks/get")
        await server.steer(status="completed", result={"content": [{"type": "text"}]})
        with pytest.raises(MalformedResult, match="'work'"):
            await ended.text()


@pytest.mark.skipif(not NPM, reason="ASYNCFC_TEST_NPM does not name a folder with node_modules")
async def test_the_research_task_of_everything_asks_and_ends() -> None:
    script = Path(NPM) / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
    hooks = Answering(interpretation="snake")
    statuses: list[str] = []
    everything = entry("everything", StdioEntry(command="node", args=(str(script),)))
    with anyio.fail_after(60):
        async with connected(everything, hooks=hooks) as connection:
            outcome = await connection.call_tool(
                "simulate-research-query",
                {"topic": "python", "ambiguous": True},
                owner="me",
                on_status=statuses.append,
            )
    assert (outcome.text or "").startswith("# Research Report: python (snake)")
    assert hooks.owners == [("me",)]
    assert statuses[0] == "Gathering sources..."
    assert 'Continuing with interpretation: "snake"...' in statuses
