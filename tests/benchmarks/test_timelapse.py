"""The time-lapse: what a program sees of the clock, and how long it really takes."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.to_thread
import pytest

from benchmarks import timelapse

real_monotonic = time.monotonic
LONG_S = 3600.0


def test_hours_of_waiting_take_no_time() -> None:
    async def wait() -> float:
        began_at = time.monotonic()
        await anyio.sleep(LONG_S)
        return time.monotonic() - began_at

    began_at = real_monotonic()
    assert timelapse.run(wait) == pytest.approx(LONG_S, abs=0.1)
    assert real_monotonic() - began_at < 5


def test_timers_fire_in_their_order() -> None:
    async def wait() -> list[int]:
        fired: list[int] = []

        async def fire(number: int) -> None:
            await anyio.sleep(number * 10)
            fired.append(number)

        async with anyio.create_task_group() as tasks:
            for number in (3, 1, 2):
                tasks.start_soon(fire, number)
        return fired

    assert timelapse.run(wait) == [1, 2, 3]


def test_work_counts_in_full() -> None:
    async def work() -> tuple[float, float]:
        began_at, worked_at = time.monotonic(), time.thread_time()
        while time.thread_time() - worked_at < 0.05:
            pass
        await anyio.sleep(1)
        return time.monotonic() - began_at, time.thread_time() - worked_at

    passed_s, worked_s = timelapse.run(work)
    assert passed_s == pytest.approx(1 + worked_s, abs=0.01)


def test_the_loop_and_the_monotonic_clock_agree() -> None:
    async def compare() -> float:
        await anyio.sleep(LONG_S)
        return abs(asyncio.get_running_loop().time() - time.monotonic())

    assert timelapse.run(compare) < 0.01


@pytest.mark.parametrize("kind", ["anyio", "asyncio"])
def test_a_busy_thread_keeps_the_clock_from_jumping(kind: str) -> None:
    async def wait_for_thread() -> tuple[bool, float]:
        may_end = threading.Event()
        timed_out = False
        began_at = time.monotonic()
        async with anyio.create_task_group() as tasks:

            async def in_thread() -> None:
                if kind == "anyio":
                    await anyio.to_thread.run_sync(may_end.wait, 5)
                else:
                    await asyncio.get_running_loop().run_in_executor(None, may_end.wait, 5)

            async def run_out() -> None:
                nonlocal timed_out
                await anyio.sleep(LONG_S)
                timed_out = True

            tasks.start_soon(run_out)
            threading.Timer(0.5, may_end.set).start()
            await in_thread()
            tasks.cancel_scope.cancel()
        return timed_out, time.monotonic() - began_at

    timed_out, passed_s = timelapse.run(wait_for_thread)
    assert not timed_out
    # what passes before the thread is waited for does not count, and a busy machine can take its time with that
    assert 0.01 < passed_s < 5


def test_a_deadline_cancels_at_its_time() -> None:
    async def give_up() -> float:
        began_at = time.monotonic()
        with anyio.move_on_after(LONG_S) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        return time.monotonic() - began_at

    assert timelapse.run(give_up) == pytest.approx(LONG_S, abs=0.1)


def test_a_cancelled_sleep_does_not_move_the_clock() -> None:
    async def cancel() -> float:
        began_at = time.monotonic()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, LONG_S)
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        await anyio.sleep(1)
        return time.monotonic() - began_at

    assert timelapse.run(cancel) == pytest.approx(2, abs=0.1)


def test_a_program_that_hangs_is_told_so() -> None:
    with pytest.raises(timelapse.NothingToWaitFor):
        timelapse.run(anyio.sleep_forever)


def test_the_clock_is_given_back() -> None:
    timelapse.run(anyio.lowlevel.checkpoint)
    assert time.monotonic is real_monotonic
