"""Scripted models play programs through the gateway in a time-lapse, beside models without one."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.agents import AGENTS, PARALLEL, SYNC, Agent, Mode, await_s, plan_of, steps_of
from benchmarks.end_to_end import CURVE_SAMPLE, inline_waits, main, settings_for
from benchmarks.replay.cells import Cell, cells_of
from benchmarks.replay.playing import Measurement, Sample, Setting, Variant, play
from benchmarks.replay.regret import curve
from benchmarks.replay.verdicts import verdicts
from benchmarks.workloads.labels import Policy
from tests.bounds import bound_s

ROOT = Path(__file__).parents[2]
FANOUT = Setting("fanout", 1, mean_s=1.0, decode=1.0)
CODING = Setting("coding", 3, mean_s=1.0, decode=1.0)
MODES: tuple[Mode, ...] = ("waits", "overlaps")


def samples(setting: Setting, *agents: Agent) -> list[Sample]:
    measurement = Measurement(setting)
    variants = [Variant(agent, "read_write", mode) for agent, mode in product(agents, MODES)]
    return [measurement.sample(variant) for variant in variants]


@pytest.fixture(scope="module")
def played() -> list[Sample]:
    """Every agent, with turns that wait and that overlap."""
    return samples(FANOUT, *AGENTS)


def test_every_agent_gets_the_results_of_the_sequential_run(played: list[Sample]) -> None:
    assert all(sample.is_right for sample in played)


def test_nobody_is_faster_than_the_best_schedule(played: list[Sample]) -> None:
    for sample in played:
        assert sample.took_s >= sample.best_s - 0.001, sample.variant
        assert sample.took_s >= sample.replayed_s - 0.001, sample.variant


def test_the_scheduler_adds_next_to_nothing_to_the_waits_that_were_taken(played: list[Sample]) -> None:
    assert all(sample.took_s < 1.05 * sample.replayed_s for sample in played)


def test_a_choosing_agent_comes_close_to_the_best_schedule(played: list[Sample]) -> None:
    chosen = [sample for sample in played if sample.variant.agent.style == "choosing"]
    assert len(chosen) == 6
    assert all(sample.took_s < 1.05 * sample.best_s for sample in chosen)


def test_the_synchronous_model_takes_what_it_writes_and_what_its_calls_take(played: list[Sample]) -> None:
    sample = played[0]
    assert sample.sync_s == pytest.approx(sample.model_s + sample.tools_s, rel=0.02)


@pytest.mark.parametrize("setting", [FANOUT, CODING], ids=["fanout", "coding"])
def test_a_whole_turn_in_one_step_comes_out_right(setting: Setting) -> None:
    _, is_right = play(setting, Variant(Agent("choosing", "turn"), "read_write", "waits"))
    assert is_right


def test_without_labels_a_coding_program_goes_wrong() -> None:
    assert not play(CODING, Variant(Agent("choosing", "turn"), "off", "waits"))[1]


def test_one_call_a_step_and_levels_hold_the_same_calls() -> None:
    program = CODING.program
    one = steps_of(program, SYNC, "read_write", "waits", 1.0)
    levels = steps_of(program, PARALLEL, "read_write", "waits", 1.0)
    assert {call.index for step in one for call in step.calls} == {call.index for step in levels for call in step.calls}
    assert len(levels) < len(one)


def test_an_answer_waits_for_its_turn_only_where_turns_wait() -> None:
    program = FANOUT.program
    assert len(program.turns) > 1
    agent = Agent("eager", "one")
    first = {
        mode: next(step for step in steps_of(program, agent, "root", mode, 1.0) if not step.calls) for mode in MODES
    }
    assert first["waits"].sees == {call.index for call in program.turns[0].calls}
    assert first["overlaps"].sees == frozenset()


@pytest.mark.parametrize("mode", MODES)
def test_a_choosing_agent_waits_for_what_its_next_calls_or_its_answer_need(mode: Mode) -> None:
    steps = steps_of(FANOUT.program, Agent("choosing", "one"), "root", mode, 1.0)
    needed = frozenset[int]()
    for step in reversed(steps):
        assert all((step.wait_s[call.index] > 0) == (call.index in needed) for call in step.calls)
        needed = step.sees if step.calls else needed | step.sees


def test_decoding_by_tokens_takes_longer_for_longer_calls() -> None:
    steps = steps_of(FANOUT.program, SYNC, "root", "waits", "tokens")
    calls = [(step.calls[0].decode_tokens, step.decode_s) for step in steps if step.calls]
    assert all(seconds == pytest.approx(tokens / 60) for tokens, seconds in calls)
    assert 0 < plan_of(steps, (), "tokens").await_s < 1


def test_an_await_takes_longer_for_each_future_that_it_names_where_tokens_count() -> None:
    assert await_s("tokens", 3) - await_s("tokens", 2) == pytest.approx(await_s("tokens", 2) - await_s("tokens"))
    assert await_s("tokens", 2) > await_s("tokens")
    assert await_s(3.0, 9) == await_s(3.0) == 3.0
    for sample in samples(Setting("fanout", 1, mean_s=1.0, decode="tokens"), Agent("eager", "levels")):
        assert sample.awaits > 0
        assert sample.took_s >= sample.best_s - 0.001


def test_cells_sum_programs_up_and_verdicts_name_the_worst(played: list[Sample]) -> None:
    cells = cells_of(played)
    assert len(cells) == len(played)
    assert all(isinstance(cell, Cell) and cell.programs == 1 for cell in cells)
    said = {verdict.target: verdict for verdict in verdicts(cells)}
    assert said["no program goes wrong"].is_met
    slow = said["eager: at most 1.05 of sync"]
    assert slow.worst == max(cell.to_sync for cell in cells if cell.agent.startswith("eager"))


def test_parallel_calls_are_the_same_competitor_whatever_the_gateway_is_told() -> None:
    measurement = Measurement(CODING)
    policies: tuple[Policy, ...] = ("root", "read_write")
    root, read_write = (measurement.sample(Variant(Agent("eager", "one"), policy, "waits")) for policy in policies)
    assert root.parallel_s == read_write.parallel_s < 0.9 * root.sync_s


def test_the_sample_of_the_curve_has_programs_of_one_turn_and_of_more() -> None:
    chosen = settings_for(["fanout"], CURVE_SAMPLE, [(1.0, 1.0)])
    assert {len(setting.program.turns) > 1 for setting in chosen} == {True, False}


def test_the_curve_compares_values_within_a_cell() -> None:
    assert inline_waits("0, 1.5,auto") == [0.0, 1.5, "auto"]
    measurement = Measurement(FANOUT)
    found = [measurement.sample(Variant(Agent("eager", "one"), "root", "waits", wait)) for wait in (0.0, 1.0)]
    points = curve(cells_of(found))
    assert min(point.worst_regret for point in points) == 1.0
    assert max(point.worst_regret for point in points) > 1.0


def test_the_command_writes_what_it_prints(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    ran = CliRunner().invoke(main, ["--quick", "--only", "fanout", "--workers", "1", "--json", str(file)])
    assert ran.exit_code in (0, 1), ran.output  # the targets may be missed; this one cell decides nothing
    assert "no program goes wrong" in ran.output
    written = json.loads(file.read_text())
    assert {row["agent"] for row in written["cells"]} == {agent.name for agent in AGENTS}
    assert all(row["wrong"] == 0 for row in written["cells"])


def test_without_the_package_of_a_workload_the_command_says_how_to_install_it() -> None:
    hidden = "import sys; sys.modules['bfcl_eval'] = None; from benchmarks.end_to_end import main; main(['--quick'])"
    ran = subprocess.run(
        [sys.executable, "-c", hidden], cwd=ROOT, capture_output=True, text=True, timeout=bound_s(60), check=False
    )
    assert ran.returncode == 1
    assert "pip install --no-deps bfcl-eval" in ran.stderr
    assert "Traceback" not in ran.stderr
