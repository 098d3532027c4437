"""Calls that are each sent after the last answer give what they would have given without a gateway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.order.model import Labels, run
from tests.order.play import Played, gateway_for, play_all
from tests.order.program import draw

pytestmark = pytest.mark.anyio

COUNT = 30
ALL_LABELS: list[Labels] = ["assumed", "declared", "mixed", "isolated"]


def differences(played: list[Played]) -> list[str]:
    """Where a program gave something else than the model, with everything that is needed to play it again."""
    found: list[str] = []
    for one in played:
        stopped = [index for index, result in enumerate(one.results) if result is not None and result.end == "stopped"]
        results, state = run(one.program, stopped=stopped)
        for index, (seen, expected) in enumerate(zip(one.results, results, strict=True)):
            same = seen == expected or (seen is not None and seen.end == "stopped" and index in stopped)
            if not same:
                found.append(f"{one.program}\n operation {index} gave {seen}, one after another it gives {expected}")
        if one.state != state:
            found.append(f"{one.program}\n the state is {one.state}, one after another it is {state}")
    return found


def tokens_in(played: list[Played]) -> int:
    """How many calls were answered with a token; a test in which none was would prove nothing."""
    return sum(len(one.tokens) for one in played)


@pytest.mark.parametrize("labels", ALL_LABELS)
async def test_random_programs_give_what_they_give_one_after_another(labels: Labels) -> None:
    programs = [draw(seed) for seed in range(COUNT)]
    async with gateway_for(labels, on_unseen_failure="run") as gateway:
        played = await play_all(gateway, programs)
    assert not differences(played)
    assert tokens_in(played) > COUNT


@pytest.mark.parametrize(
    "settings",
    [
        {"concurrency": 1},
        {"inline_wait_s": 0.008},
        {"mode": "async", "piggyback": "off"},
        {"order": "strict", "era": "legacy"},
    ],
    ids=lambda settings: " ".join(f"{key}={value}" for key, value in settings.items()),
)
async def test_the_order_does_not_depend_on_how_calls_are_answered(settings: dict[str, Any]) -> None:
    programs = [draw(seed) for seed in range(1_000, 1_000 + COUNT // 2)]
    async with gateway_for("mixed", on_unseen_failure="run", **settings) as gateway:
        played = await play_all(gateway, programs)
    assert not differences(played)
    assert tokens_in(played) > COUNT // 2


@pytest.mark.parametrize("labels", ALL_LABELS)
async def test_programs_whose_calls_name_themselves_give_what_they_give_one_after_another(labels: Labels) -> None:
    programs = [draw(seed) for seed in range(2_000, 2_000 + COUNT // 2)]
    async with gateway_for(labels, on_unseen_failure="run") as gateway:
        played = await play_all(gateway, programs, named=True)
    assert not differences(played)


async def test_without_labels_the_comparison_finds_wrong_results() -> None:
    # where sending a call takes longer than the one before it, they keep their order by themselves
    programs = [draw(seed, fails=0.0, longest_delay_s=0.4) for seed in range(COUNT // 2)]
    async with gateway_for("declared", labels_off=True, on_unseen_failure="run") as gateway:
        played = await play_all(gateway, programs)
    wrong = {difference.split("\n", 1)[0] for difference in differences(played)}
    assert len(wrong) > COUNT // 10
