"""Which writes are stopped behind a failed write that the client has not been told of, in whole programs."""

from __future__ import annotations

import pytest

from tests.order.model import Labels, may_stop, run, to_be_stopped
from tests.order.play import Played, gateway_for, play_all
from tests.order.program import draw
from tests.order.test_one_after_another import ALL_LABELS, COUNT, differences

pytestmark = pytest.mark.anyio


def stopped_in(played: Played) -> dict[int, int | None]:
    """The writes that were stopped, with the failure that each names."""
    return {
        index: result.cause
        for index, result in enumerate(played.results)
        if result is not None and result.end == "stopped"
    }


@pytest.mark.parametrize("labels", ALL_LABELS)
async def test_when_every_call_waits_just_the_writes_behind_unseen_failures_are_stopped(labels: Labels) -> None:
    programs = [draw(seed, awaits=0.0) for seed in range(3_000, 3_000 + COUNT)]
    async with gateway_for(labels, piggyback="off") as gateway:
        played = await play_all(gateway, programs, gated=True)
    assert not differences(played)
    problems: list[str] = []
    for one in played:
        assert len(one.tokens) == len(one.program.operations), f"all wait behind the gate\n{one.program}"
        expected = to_be_stopped(one.program, labels)
        seen = stopped_in(one)
        if seen.keys() != expected.keys() or any(cause not in expected[index] for index, cause in seen.items()):
            problems.append(f"{one.program}\n stopped with their causes: {seen}, expected: {expected}")
    assert not problems
    assert sum(len(stopped_in(one)) for one in played) > COUNT // 2


@pytest.mark.parametrize("labels", ALL_LABELS)
async def test_whenever_a_write_is_stopped_it_names_a_failure_that_the_client_had_not_seen(labels: Labels) -> None:
    programs = [draw(seed, fails=0.4, longest_delay_s=0.25) for seed in range(4_000, 4_000 + COUNT)]
    async with gateway_for(labels) as gateway:
        played = await play_all(gateway, programs)
    assert not differences(played)
    problems: list[str] = []
    for one in played:
        stopped = stopped_in(one)
        results, _ = run(one.program, stopped=stopped)
        for index, cause in stopped.items():
            operations = one.program.operations
            is_right = (
                cause is not None
                and cause < index
                and (failed := results[cause]) is not None
                and failed.end == "failed"
                and cause in one.tokens
                and cause not in one.told_before[index]
                and may_stop(operations[cause], operations[index], labels)
            )
            if not is_right:
                problems.append(f"{one.program}\n operation {index} was stopped because of {cause}")
    assert not problems
    assert any(stopped_in(one) for one in played)
