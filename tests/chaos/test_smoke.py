"""The chaos suite itself, for a few seconds: every part of it works, and nothing breaks that soon."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.chaos.episode import Times, play
from tests.chaos.plan import Plan, Plant

pytestmark = pytest.mark.anyio


async def run(folder: Path, *, chaos_s: float, pause_s: float, plant: Plant = "") -> tuple[set[str], int]:
    """The promises that were found broken, and how many calls were made."""
    plan = Plan(folder, "smoke", plant, has_real_servers=False)
    with anyio.fail_after(280):
        history, _ = await play(plan, Times(chaos_s, pause_s))
    history.close()
    for violation in history.violations:
        print(violation)  # noqa: T201  pytest shows it where the test fails
        for call in violation.calls:
            print(history.story(call))  # noqa: T201
    return {violation.promise for violation in history.violations}, history.counts["calls"]


async def test_no_promise_is_broken_in_a_few_seconds_of_chaos(tmp_path: Path) -> None:
    broken, calls = await run(tmp_path, chaos_s=8, pause_s=1)
    assert broken == set()
    assert calls > 20


async def test_a_gateway_without_a_store_is_found_out(tmp_path: Path) -> None:
    broken, _ = await run(tmp_path, chaos_s=4, pause_s=1000, plant="memory")
    assert "no token is unknown" in broken
