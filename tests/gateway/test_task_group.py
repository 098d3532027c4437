"""The task group of calls ends as one of anyio's does."""

from __future__ import annotations

import gc

import anyio
import pytest

from asyncfc_mcp.gateway.task_group import TaskGroup
from tests.harness import LIMIT_S

pytestmark = pytest.mark.anyio


async def test_leaving_it_cancels_what_it_owns_but_for_what_is_shielded() -> None:
    ended: list[str] = []

    async def work(name: str, going_on: anyio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await going_on.wait()
            ended.append(name)
        await anyio.sleep_forever()

    async def let_go(going_on: anyio.Event) -> None:
        going_on.set()

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as outside:
            going_on = anyio.Event()
            with anyio.CancelScope() as whole:
                async with TaskGroup() as tasks:
                    tasks.start(work, "first", going_on)
                    tasks.start(work, "second", going_on)
                    await anyio.lowlevel.checkpoint()
                    outside.start_soon(let_go, going_on)
                    whole.cancel()
                    await anyio.sleep_forever()
            assert whole.cancelled_caught
    assert sorted(ended) == ["first", "second"]


async def test_one_task_can_be_cancelled_alone() -> None:
    ended: list[str] = []

    async def work(name: str, until: anyio.Event) -> None:
        await until.wait()
        ended.append(name)

    with anyio.fail_after(LIMIT_S):
        done = anyio.Event()
        async with TaskGroup() as tasks:
            tasks.start(work, "cancelled", done).cancel()
            tasks.start(work, "kept", done)
            done.set()
            while not ended:
                await anyio.lowlevel.checkpoint()
    assert ended == ["kept"]


async def test_what_begins_while_it_ends_is_cancelled_and_nothing_begins_later() -> None:
    began: list[str] = []

    async def late() -> None:
        began.append("late")
        await anyio.sleep_forever()

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            tasks.start(late)

    with anyio.fail_after(LIMIT_S):
        async with TaskGroup() as tasks:
            tasks.start(work)
            await anyio.lowlevel.checkpoint()
    assert began == ["late"]
    with pytest.raises(RuntimeError):
        tasks.start(late)


async def test_a_task_that_breaks_ends_the_others_and_the_group() -> None:
    async def work() -> None:
        raise ValueError("broken")

    async def together() -> None:
        async with TaskGroup() as tasks:
            tasks.start(anyio.sleep_forever)
            tasks.start(work)
            await anyio.sleep_forever()

    with anyio.fail_after(LIMIT_S), pytest.raises(ExceptionGroup) as broken:
        await together()
    assert [str(one) for one in broken.value.exceptions] == ["broken"]


async def test_nothing_is_left_of_what_a_broken_group_refuses(recwarn: pytest.WarningsRecorder) -> None:
    async def breaks() -> None:
        raise ValueError("broken")

    async def late() -> None:
        raise AssertionError("it must not begin")

    async def together() -> None:
        async with TaskGroup() as tasks:
            tasks.start(breaks)
            try:
                await anyio.sleep_forever()
            finally:
                with pytest.raises(RuntimeError):
                    tasks.start(late)

    with anyio.fail_after(LIMIT_S), pytest.raises(ExceptionGroup) as broken:
        await together()
    gc.collect()
    assert [str(one) for one in broken.value.exceptions] == ["broken"]
    assert not [one for one in recwarn if "never awaited" in str(one.message)]
