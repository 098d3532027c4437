"""Access tokens that end: renewed without losing a call, and asked for anew when that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from mcp.server.auth.provider import AccessToken
from structlog.testing import capture_logs

from asyncfc_mcp.downstream.pool import Pool
from tests.downstream.support import running
from tests.sign_in.house import House, Kind, opened
from tests.sign_in.support import address, echo, far, ready, refusal, sign_in, signed_in

pytestmark = pytest.mark.anyio


async def many_echoes(pool: Pool, count: int) -> list[str]:
    answers: list[str] = []

    async def one(number: int) -> None:
        answers.append(await echo(pool, str(number)) or "")

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
    return sorted(answers, key=int)


async def waiting(house: House, count: int = 1) -> None:
    with anyio.fail_after(30):
        while house.waiting < count:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("kind", ["http", "json", "sse"])
async def test_many_calls_with_an_ended_token_cost_one_renewal_and_no_call(kind: Kind) -> None:
    with anyio.fail_after(60):
        async with opened(kind) as house, signed_in(house) as pool:
            house.authority.forget_tokens()
            assert await many_echoes(pool, 20) == [str(number) for number in range(20)]
            assert house.authority.renewals == 1
            assert len(house.authority.scopes_asked) == 1


@pytest.mark.parametrize("kind", ["http", "json", "sse"])
async def test_a_call_in_flight_outlives_its_token(kind: Kind) -> None:
    answers: list[str | None] = []

    async def wait(pool: Pool) -> None:
        answers.append((await pool.connection("far").call_tool("wait", {})).text)

    with anyio.fail_after(60):
        async with opened(kind) as house, signed_in(house) as pool, anyio.create_task_group() as tasks:
            tasks.start_soon(wait, pool)
            await waiting(house)
            house.authority.forget_tokens()
            assert await echo(pool, "next") == "next"
            house.let_go.set()
    assert answers == ["waited"]


async def test_a_token_past_its_time_is_renewed_before_it_is_sent() -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house)]) as pool:
            await address(pool)
            refused = house.refused
            house.authority.lifetime_s = 0
            await sign_in(pool)
            assert await echo(pool, "fresh") == "fresh"
            assert (house.authority.renewals, house.refused) == (1, refused)


async def test_a_slow_answer_holds_up_no_other_call() -> None:
    async def wait(pool: Pool) -> None:
        await pool.connection("far").call_tool("wait", {})

    with anyio.fail_after(60):
        # A server that answers in JSON sends nothing, not even a status, before a call has ended.
        async with opened("json") as house, signed_in(house) as pool, anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait, pool)
            await waiting(house, 3)
            assert await echo(pool, "meanwhile") == "meanwhile"
            house.let_go.set()


async def test_a_refused_renewal_asks_the_user_once_and_goes_on_after(tmp_path: Path) -> None:
    with capture_logs() as logs, anyio.fail_after(60):
        async with opened() as house, signed_in(house, tmp_path) as pool:
            house.authority.renews = False
            house.authority.forget_tokens()
            words = [await refusal(pool) for _ in range(3)]
            url = await address(pool)
            assert all(url in one for one in words)
            assert house.authority.renewals == 1
            await sign_in(pool)
            assert await echo(pool, "again") == "again"
    assert [event["event"] for event in logs].count("sign_in_expired") == 1


async def test_a_renewal_that_works_for_nothing_ends_in_a_sign_in() -> None:
    with anyio.fail_after(60):
        async with opened() as house, signed_in(house) as pool:
            house.authority.tokens = Forgetful()
            assert "it needs you to sign in" in await refusal(pool)
            assert house.authority.renewals <= 3


class Forgetful(dict[str, AccessToken]):
    """Holds nothing."""

    def __setitem__(self, key: str, value: AccessToken) -> None:
        pass


async def test_a_token_end_point_that_is_down_for_a_moment_costs_no_sign_in() -> None:
    with anyio.fail_after(60):
        async with opened() as house, signed_in(house) as pool, anyio.create_task_group() as tasks:
            house.broken_status = 503
            house.authority.forget_tokens()
            refused = house.refused

            async def call() -> None:
                assert await echo(pool, "later") == "later"

            tasks.start_soon(call)
            while house.refused == refused:
                await anyio.lowlevel.checkpoint()
            house.broken_status = None
        assert len(house.authority.scopes_asked) == 1


async def test_tokens_kept_from_an_earlier_start_are_renewed(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with opened() as house:
            async with signed_in(house, tmp_path):
                pass
            house.authority.forget_tokens()
            async with running([far(house)], state_folder=tmp_path) as pool:
                await ready(pool)
            assert house.authority.renewals == 1
            assert len(house.authority.scopes_asked) == 1


async def test_tokens_that_another_gateway_has_renewed_are_taken_over(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with opened() as house, signed_in(house, tmp_path) as pool:
            async with running([far(house)], state_folder=tmp_path) as other:
                await ready(other)
                house.authority.forget_tokens()
                assert await echo(other, "first") == "first"
            assert await echo(pool, "second") == "second"
            assert house.authority.renewals == 1


async def test_a_call_that_is_cancelled_in_the_middle_of_a_renewal_costs_nobody_the_new_tokens(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with opened() as house, signed_in(house, tmp_path) as pool:
            house.authority.forget_tokens()
            refused = house.refused
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(echo, pool, "never mind")
                while house.refused == refused:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            assert await echo(pool, "on") == "on"
            assert house.authority.renewals == 1
        [file] = (tmp_path / "sign-ins").iterdir()
    assert json.loads(file.read_text())["tokens"]["refresh_token"] in house.authority.renewable
