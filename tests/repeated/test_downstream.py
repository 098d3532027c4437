"""What the gateway sends again by itself: never a call that may have been carried out and must not be twice."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from asyncfc_mcp.gateway.intake.repeating import KEY_META_KEY
from tests import harness
from tests.harness import LIMIT_S, GatewayClient, running, text_of
from tests.repeated import breaking as stages
from tests.repeated.breaking import Era, breaking

pytestmark = pytest.mark.anyio

ERAS: dict[Era, harness.Era] = {"legacy": "legacy", "modern": "auto"}
every_era = pytest.mark.parametrize("era", ["legacy", "modern"])
LOST = (*stages.BEFORE_IT_IS_READ, *stages.BEFORE_IT_IS_CARRIED_OUT, *stages.AFTERWARDS)


async def _call(client: GatewayClient, tool: str) -> str:
    return text_of(await client.call(tool, _wait_s=LIMIT_S))


@every_era
@pytest.mark.parametrize("stage", LOST)
async def test_a_call_whose_connection_breaks_is_never_carried_out_twice(era: Era, stage: str) -> None:
    async with breaking(era) as server, running({"shop": server.entry}, era=ERAS[era]) as client:
        assert await _call(client, "pay") == "pay 1"
        server.plan.append(stage)
        lost = await client.call("pay", _wait_s=LIMIT_S)
        assert lost.is_error
        assert not server.plan
        was_carried_out = stage in stages.AFTERWARDS
        assert server.carried_out["pay"] == 1 + was_carried_out
        assert await _call(client, "pay") == f"pay {2 + was_carried_out}"


@every_era
@pytest.mark.parametrize("stage", LOST)
async def test_what_may_have_been_carried_out_is_said_to_be_of_unknown_outcome(era: Era, stage: str) -> None:
    async with breaking(era) as server, running({"shop": server.entry}, era=ERAS[era]) as client:
        await _call(client, "pay")
        server.plan.append(stage)
        assert "may have taken effect" in await _call(client, "pay")


@every_era
@pytest.mark.parametrize("stage", LOST)
async def test_a_call_that_only_reads_is_sent_again(era: Era, stage: str) -> None:
    async with breaking(era) as server, running({"shop": server.entry}, era=ERAS[era]) as client:
        await _call(client, "look")
        server.plan.append(stage)
        assert (await _call(client, "look")).startswith("look ")


async def test_a_call_refused_with_a_forgotten_session_is_sent_in_a_new_one_and_carried_out_once() -> None:
    async with breaking("legacy") as server, running({"shop": server.entry}, era="legacy") as client:
        await _call(client, "pay")
        server.plan.append("session_forgotten")
        assert await _call(client, "pay") == "pay 2"
        assert server.sent["pay"] == 3
        assert server.carried_out["pay"] == 2


@every_era
async def test_an_answer_that_is_resumed_is_taken_and_nothing_is_sent_again(era: Era) -> None:
    async with breaking(era) as server, running({"shop": server.entry}, era=ERAS[era]) as client:
        server.plan.append(stages.RESUMED)
        assert await _call(client, "pay") == "pay 1"
        assert server.sent["pay"] == 1


@every_era
async def test_a_key_goes_to_no_server_and_holds_where_the_server_was_lost(era: Era) -> None:
    async with breaking(era) as server, running({"shop": server.entry}, era=ERAS[era]) as client:
        server.plan.append("unanswered")
        answers: list[str] = []
        for _ in range(2):
            with anyio.fail_after(LIMIT_S):
                meta: Any = {KEY_META_KEY: "a-key-of-ours"}
                answers.append(text_of(await client.client.call_tool("pay", {"_wait_s": LIMIT_S}, meta=meta)))
        assert answers[0] == answers[1]
        assert "may have taken effect" in answers[0]
        assert server.carried_out["pay"] == 1
        assert "asyncfc/" not in "".join(server.read)
        assert "a-key-of-ours" not in "".join(server.read)
