"""How many calls may run at once on all servers together."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.bad_input.support import free_toy
from tests.harness import FREE, GatewayClient, running
from tests.questions.support import FORM, User

pytestmark = pytest.mark.anyio

SERVERS = ("busy", "quiet", "steering")


def three(max_running: int, **settings: Any) -> AbstractAsyncContextManager[GatewayClient]:
    servers: dict[str, Any] = {}
    for name in SERVERS:
        servers[name] = free_toy()
        servers[name]["asyncfc"] |= {"prefix": name, "concurrency": 16}
        servers[name]["asyncfc"]["tools"] |= {"ask": FREE}
    return running(servers, max_running=max_running, inline_wait_s=0, piggyback="off", store="memory", **settings)


async def test_a_call_without_a_place_on_any_server_says_so() -> None:
    async with three(1) as gateway:
        first = await gateway.token("busy_hold", key="a")
        second = await gateway.token("quiet_echo", text="x")
        line = await gateway.text("get_future", future=second)
        assert "waits for room (1 of 1 calls already run on all servers together)" in line
        await gateway.call("cancel_future", futures=[first])
        assert await gateway.value(second) == "x"


async def test_servers_take_turns_when_the_limit_of_all_is_reached() -> None:
    async with three(1) as gateway:
        first = await gateway.token("busy_hold", key="a")
        busy = [await gateway.token("busy_echo", text=str(number)) for number in range(6)]
        quiet = await gateway.token("quiet_echo", text="soon")
        settled: list[str] = []
        gateway.app.gateway.runner.listen(
            lambda move, future: settled.append(future.token) if move.to_state == "resolved" else None
        )
        await gateway.call("cancel_future", futures=[first])
        await gateway.value(*busy, quiet)
        assert settled.index(quiet) <= 1
        assert [token for token in settled if token in busy] == busy


async def test_whoever_has_no_place_anywhere_is_shown_the_question_that_holds_one() -> None:
    user = User()
    async with three(1, client_options=user.options) as gateway:
        await gateway.token("busy_ask", method="elicitation/create", params=FORM)
        waiting = await gateway.token("quiet_echo", text="at last")
        assert await gateway.value(waiting) == "at last"
        assert user.asked == ["Which colour?"]
