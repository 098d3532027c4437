"""What is waited for on a future: woken once, for good, and without a trace of those who stopped waiting."""

from __future__ import annotations

import anyio
import pytest

from asyncfc_mcp.gateway.future import Signal

pytestmark = pytest.mark.anyio


async def test_a_signal_wakes_all_who_wait_and_all_who_come_later() -> None:
    signal, woken = Signal(), list[int]()

    async def wait(number: int) -> None:
        await signal.wait()
        woken.append(number)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(wait, number)
            await anyio.wait_all_tasks_blocked()
            assert woken == []
            signal.set()
        await wait(3)
    assert sorted(woken) == [0, 1, 2, 3]
    assert signal.is_set()


async def test_one_who_stops_waiting_keeps_no_other_from_being_woken() -> None:
    signal = Signal()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(signal.wait)
            with anyio.move_on_after(0.01):
                await signal.wait()
            signal.set()
