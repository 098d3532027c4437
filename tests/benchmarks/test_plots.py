"""The figures are drawn from the flat rows of the JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("matplotlib")

from benchmarks import plots


def cell(workload: str, agent: str, mode: str) -> dict[str, Any]:
    conditions = {"workload": workload, "mean_s": 1.0, "decode": "tokens", "policy": "read_write"}
    times = {"sync_s": 10.0, "parallel_s": 9.0, "best_s": 7.0}
    return {**conditions, **times, "mode": mode, "agent": agent, "speed_up": 1.25, "of_best": 0.9, "of_replayed": 0.99}


RESULTS: dict[str, Any] = {
    "end_to_end": {
        "cells": [
            cell(workload, agent, mode)
            for workload in ("fanout", "coding")
            for agent in plots.SHOWN
            for mode in ("waits", "overlaps")
        ]
    },
    "inline_wait": {
        "curve": [
            {"inline_wait": value, "style": style, "worst_to_sync": 1.1, "worst_regret": 1.2}
            for value in (0.0, 1.0, "auto")
            for style in plots.STYLES
        ]
    },
    "overhead": {
        "rows": [
            {"setting": "stdio", "route": route, "measure": "p50", "median": 2.0, "lower": 1.9, "upper": 2.2}
            for route in ("direct", "gateway")
        ]
    },
    "scale": {
        "rows": [
            {
                "cell": "stdio",
                "live": live,
                "cpu_us": 300.0,
                "bytes_a_future": None if live == 1 else 2500.0,
                "wake_up_ms": 2.0,
                "submits_per_s": 900.0,
            }
            for live in (1, 1000)
        ]
    },
    "unknown": {},
}


def test_every_file_of_results_gives_its_figures(tmp_path: Path) -> None:
    for name, document in RESULTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    ran = CliRunner().invoke(plots.main, [str(tmp_path), str(tmp_path / "figures")])
    assert ran.exit_code == 0, ran.output
    drawn = {file.stem for file in (tmp_path / "figures").glob("*.svg")}
    assert drawn >= {
        "speed_up_waits",
        "speed_up_overlaps",
        "fraction_of_best",
        "inline_wait",
        "overhead_0",
        "scale_cpu_us",
    }


def test_the_same_results_give_the_same_figures(tmp_path: Path) -> None:
    (tmp_path / "inline_wait.json").write_text(json.dumps(RESULTS["inline_wait"]))
    for folder in ("one", "other"):
        CliRunner().invoke(plots.main, [str(tmp_path), str(tmp_path / folder)])
    one, other = ((tmp_path / folder / "inline_wait.svg").read_bytes() for folder in ("one", "other"))
    assert one == other
