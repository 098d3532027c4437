"""The measurements of scale run, and what they count shows that no call costs more because others live."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import core_alone
from benchmarks.scale.__main__ import CELLS, SERVER, Scaled, figures, scaled
from benchmarks.scale.wire import started

SMALL, LARGE = 250, 1_000
FEW = 20


@pytest.mark.parametrize("shape", core_alone.SHAPES, ids=lambda shape: shape.name)
def test_a_call_takes_no_more_instructions_because_more_futures_live(shape: core_alone.Shape) -> None:
    small, large = (sum(count for _, count in core_alone.counted(shape, size)) for size in (SMALL, LARGE))
    assert large <= 1.05 * small


def test_the_measurement_of_the_core_writes_what_it_prints(tmp_path: Path) -> None:
    file = tmp_path / "core.json"
    ended = CliRunner().invoke(
        core_alone.main, ["--quick", "--shape", "all_conflict", "--json", str(file)], catch_exceptions=False
    )
    assert ended.exit_code == 0, ended.output
    written = json.loads(file.read_text())
    assert {cost["event"] for cost in written["costs"]} == {"submitted", "explained", "settled", "told", "forgotten"}
    assert [figure["unit"] for figure in written["figures"]] == ["x"]


@pytest.mark.parametrize("name", ["stdio, all conflict", "http"])
def test_every_call_of_a_cell_gets_a_token_and_settles(name: str) -> None:
    cell = next(one for one in CELLS if one.name == name)

    async def measured() -> Scaled:
        async with asyncio.timeout(60), started([SERVER], asyncio.subprocess.DEVNULL) as direct:
            return await scaled(cell, FEW, direct)

    row = asyncio.run(measured())
    assert row.live == FEW
    assert row.cpu_us is None
    assert row.submits_per_s > 0
    assert row.settles_per_s > 0
    assert 0 < row.wake_up_ms <= row.wake_up_worst_ms


def test_the_processor_time_of_too_few_calls_is_not_told() -> None:
    few = Scaled("stdio", 10, 1, None, None, 1, None, 1, 1, 1, 1)
    assert few.cpu_us is None
    rows = [few, *(Scaled("stdio", live, 1, 2, 3, 1, 1.0, 1, 1, 1, 1) for live in (1_000, 10_000))]
    (growth,) = [figure for figure in figures(rows) if "CPU" in figure.what]
    assert growth.measured == 1


def test_a_future_that_weighs_too_much_misses_its_target() -> None:
    row = Scaled("stdio", 1_000, 1, 1, 1, 1, 4_000.0, 1, 1, 1, 1)
    assert [figure.is_met for figure in figures([row])] == [False, True]
