"""The inline wait follows the model: how long its steps take, and what it knows to be slow."""

from __future__ import annotations

import anyio
import pytest

from asyncfc_mcp.gateway.answering.delivery import SAME_STEP_S
from asyncfc_mcp.gateway.answering.pace import FIRST_STEP_S, LONGEST_WAIT_S, SHORTEST_WAIT_S, WORTH, Pace
from tests.harness import GatewayClient, running, text_of, toy

HOLD = {"hold": {"reads": [], "writes": ["held"]}, "append": {"reads": [], "writes": ["held"]}}


def pace(*steps_s: float) -> Pace:
    found = Pace()
    for step_s in steps_s:
        found.note(step_s)
    return found


def test_before_the_first_step_a_common_pace_is_assumed() -> None:
    assert Pace().worth_s == WORTH * FIRST_STEP_S


def test_a_call_is_worth_a_part_of_a_step() -> None:
    assert pace(4.0, 4.0, 4.0).worth_s == WORTH * 4


def test_pauses_of_the_user_do_not_count() -> None:
    assert pace(2.0, 2.0, 90.0, 2.0, 600.0, 45.0, 2.0, 300.0).worth_s == WORTH * 2


def test_old_steps_are_forgotten() -> None:
    assert pace(*[8.0] * 20, *[1.0] * 8).worth_s == WORTH


def test_no_call_is_waited_for_very_long_or_next_to_not_at_all() -> None:
    assert pace(500.0).worth_s == LONGEST_WAIT_S
    assert pace(0.15).worth_s == SHORTEST_WAIT_S


async def in_one_step(gateway: GatewayClient, *calls: dict[str, str]) -> list[str]:
    """The answers to calls that are sent side by side, in their order."""
    answers = [""] * len(calls)

    async def send(place: int, arguments: dict[str, str]) -> None:
        answers[place] = text_of(await gateway.call("echo", scope="chat", **arguments))

    async with anyio.create_task_group() as tasks:
        for place, arguments in enumerate(calls):
            tasks.start_soon(send, place, arguments)
    return answers


@pytest.mark.anyio
async def test_a_chain_that_was_sent_in_one_step_is_answered_with_its_values() -> None:
    async with running() as gateway:
        await gateway.text("echo", text="the server is up")
        chain = ({"text": "a", "_as": "first"}, {"text": "fut_first", "_as": "second"}, {"text": "fut_second"})
        assert await in_one_step(gateway, *chain) == ["a", "a", "a"]


@pytest.mark.anyio
async def test_behind_a_call_of_an_earlier_step_the_token_comes_at_once() -> None:
    async with running({"toy": toy(tools=HOLD, inline_wait_s="auto")}) as gateway:
        await gateway.token("hold", key="k", _wait_s=0)
        await anyio.sleep(1.5 * SAME_STEP_S)
        with anyio.fail_after(WORTH * FIRST_STEP_S):  # which is how long it would wait otherwise
            token = await gateway.token("append", key="n", value="v")
        await gateway.call("release", key="k")
        assert await gateway.value(token)
