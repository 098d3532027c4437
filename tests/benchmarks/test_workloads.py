"""The workloads of the end-to-end measurement are what they claim to be; `bfcl` only where its package is."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult, TextContent

from asyncfc_mcp.config.models import ServerSettings
from benchmarks.workloads.__main__ import main
from benchmarks.workloads.bfcl.package import is_there
from benchmarks.workloads.catalog import UnknownProgram, find, labels, programs
from benchmarks.workloads.draft import value_at
from benchmarks.workloads.labels import POLICIES, Policy, conflicts, labels_of
from benchmarks.workloads.latency import LogNormalLatency, durations_s
from benchmarks.workloads.overlapped import run_overlapped
from benchmarks.workloads.pointer import is_same
from benchmarks.workloads.program import Call, Program, Workload
from benchmarks.workloads.world import Tool
from tests.bounds import bound_s

needs_bfcl = pytest.mark.skipif(not is_there(), reason="bfcl-eval is not installed")
every_workload = pytest.mark.parametrize("workload", [pytest.param("bfcl", marks=needs_bfcl), "fanout", "coding"])


def tool_of(program: Program, call: Call) -> Tool:
    return next(tool for tool in program.tools[call.server] if tool.name == call.tool)


def argument_at(call: Call, into: tuple[str | int, ...]) -> Any:
    found: Any = call.arguments
    for step in into:
        found = found[step]
    return found


def accepts_only_text(tool: Tool, into: tuple[str | int, ...]) -> bool:
    schema: Mapping[str, Any] = tool.input_schema
    for step in into:
        schema = schema["items"] if isinstance(step, int) else schema["properties"][step]
    return schema.get("type") == "string"


def first_text(result: CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


@every_workload
def test_a_second_sequential_run_gives_the_same_answers_and_the_same_state(workload: Workload) -> None:
    for program in programs(workload):
        world = program.new_world()
        answers = tuple(world.call(call.server, call.tool, call.arguments) for call in program.calls)
        assert (answers, world.state()) == (program.expected, program.expected_state), program.name


@every_workload
def test_no_call_of_a_sequential_run_fails(workload: Workload) -> None:
    failed = [program.name for program in programs(workload) for answer in program.expected if answer.is_error]
    assert failed == []


@every_workload
def test_calls_are_numbered_in_program_order_and_need_only_earlier_ones(workload: Workload) -> None:
    for program in programs(workload):
        assert [call.index for call in program.calls] == list(range(len(program.calls)))
        assert all(use.producer < call.index for call in program.calls for use in call.uses), program.name


@every_workload
def test_a_verbatim_use_stands_for_exactly_the_true_argument(workload: Workload) -> None:
    for program in programs(workload):
        for call in program.calls:
            for use in (use for use in call.uses if use.is_verbatim):
                is_text = accepts_only_text(tool_of(program, call), use.into)
                value = value_at(program.expected_results[use.producer], use.path, is_text=is_text)
                assert is_same(value, argument_at(call, use.into)), (program.name, call.index, use)


@every_workload
def test_arguments_in_which_tokens_may_stand_fit_the_schemas(workload: Workload) -> None:
    for program in programs(workload):
        for call in program.calls:
            validator: Any = Draft202012Validator(tool_of(program, call).input_schema)
            assert not call.uses or validator.is_valid(dict(call.arguments)), (program.name, call.index)


@every_workload
def test_a_call_that_declares_no_write_changes_nothing(workload: Workload) -> None:
    for program in programs(workload):
        world = program.new_world()
        before = world.state()
        for call in program.calls:
            world.call(call.server, call.tool, call.arguments)
            after = world.state()
            assert tool_of(program, call).writes or after == before, (program.name, call.tool)
            before = after


@every_workload
@pytest.mark.parametrize("policy", ["root", "server", "read_write"])
def test_with_labels_every_program_stays_right_even_where_its_turns_overlap(workload: Workload, policy: Policy) -> None:
    for seed, program in enumerate(programs(workload)):
        outcome = run_overlapped(
            program, durations_s(program, LogNormalLatency(1, seed)), policy, do_turns_overlap=True
        )
        assert outcome.is_as_expected(program), program.name


@every_workload
def test_without_labels_programs_go_wrong_where_their_turns_overlap(workload: Workload) -> None:
    outcomes = (
        run_overlapped(program, durations_s(program, LogNormalLatency(1, 1)), "off", do_turns_overlap=True)
        for program in programs(workload)
    )
    wrong = sum(
        not outcome.is_as_expected(program) for program, outcome in zip(programs(workload), outcomes, strict=True)
    )
    assert wrong > 0


@every_workload
@pytest.mark.parametrize("policy", POLICIES)
def test_label_settings_are_ones_that_the_gateway_takes(workload: Workload, policy: Policy) -> None:
    for settings in labels(workload, policy).values():
        ServerSettings.model_validate(settings)


@needs_bfcl
def test_the_package_has_the_programs_that_the_published_figures_are_about() -> None:
    turns = [turn for program in programs("bfcl") for turn in program.turns]
    sizes = [len(turn.calls) for turn in turns]
    assert (len(programs("bfcl")), len(turns), sum(sizes), sizes.count(1)) == (200, 734, 1142, 474)


@needs_bfcl
def test_data_of_the_same_turn_is_found() -> None:
    first, second, distance = find("multi_turn_base_56").turns[0].calls
    assert [(use.producer, use.path, use.into, use.is_verbatim) for use in distance.uses] == [
        (first.index, "/zipcode", ("cityA",), True),
        (second.index, "/zipcode", ("cityB",), True),
    ]


@needs_bfcl
def test_a_rounded_number_must_be_seen_before_it_is_used() -> None:
    conversion, filling, *_ = find("multi_turn_base_81").turns[0].calls
    assert (conversion.tool, filling.tool) == ("liter_to_gallon", "fillFuelTank")
    assert [(use.producer, use.is_verbatim) for use in filling.uses] == [(conversion.index, False)]


@needs_bfcl
def test_methods_that_draw_from_the_random_generator_are_writes() -> None:
    tools = {tool.name: tool for tool in find("multi_turn_base_56").tools["VehicleControlAPI"]}
    assert tools["get_current_speed"].writes
    assert tools["get_outside_temperature_from_google"].writes


def test_programs_of_the_own_workloads_are_forty_each_and_all_different() -> None:
    for workload in ("fanout", "coding"):
        calls = {tuple((call.tool, str(call.arguments)) for call in program.calls) for program in programs(workload)}
        assert len(calls) == 40


def test_fan_outs_are_of_two_to_six_searches() -> None:
    starts = [
        sum(call.tool == "search" and not call.uses for call in program.turns[0].calls)
        for program in programs("fanout")
    ]
    assert set(starts) == {2, 3, 4, 5, 6}


def test_a_coding_trace_is_mostly_reads() -> None:
    calls = [(program, call) for program in programs("coding") for call in program.calls]
    writes = sum(bool(tool_of(program, call).writes) for program, call in calls)
    assert 0.1 < writes / len(calls) < 0.3


def test_mending_makes_the_tests_pass() -> None:
    for program in programs("coding"):
        runs = [
            answer.text
            for call, answer in zip(program.calls, program.expected, strict=True)
            if call.tool == "run_tests"
        ]
        assert '"failed": []' not in runs[0]
        assert all('"failed": []' in run for run in runs[1:])


def test_read_write_labels_let_edits_of_two_files_overlap_and_keep_tests_behind_both() -> None:
    program = find("coding_5")
    first, second, *_ = (call for call in program.calls if call.tool == "edit_file")
    tests = next(call for call in program.calls if call.tool == "run_tests" and call.index > second.index)
    assert not conflicts(program, first, second, "read_write")
    assert conflicts(program, first, second, "server")
    assert conflicts(program, first, tests, "read_write")
    assert conflicts(program, second, tests, "read_write")


def test_an_argument_that_is_passed_as_a_token_widens_its_label_to_the_namespace() -> None:
    program = find("coding_5")
    edit = next(call for call in program.calls if call.tool == "edit_file")
    assert [label.path for label in labels_of(program, edit, "read_write", referred={"path"})] == [("fs",)]


def test_latency_is_a_pure_function_of_the_call_with_the_mean_that_was_asked_for() -> None:
    latency = LogNormalLatency(2, 7)
    drawn = [latency.seconds("s", "t", {"n": number}, 0) for number in range(2000)]
    assert latency.seconds("s", "t", {"n": 5.0}, 0) == drawn[5]
    assert latency.seconds("s", "t", {"n": 5}, 1) != drawn[5]
    assert statistics.mean(drawn) == pytest.approx(2, rel=0.05)


def test_no_latency_is_no_time() -> None:
    assert LogNormalLatency(0, 7).seconds("s", "t", {}, 0) == 0


def test_an_unknown_program_is_named() -> None:
    with pytest.raises(UnknownProgram, match="'fanout_40'"):
        find("fanout_40")


@pytest.mark.anyio
@every_workload
async def test_the_servers_answer_over_mcp_as_the_sequential_run_did(workload: Workload) -> None:
    program = max(programs(workload)[:20], key=lambda program: len(program.calls))
    backend = program.backend()
    with anyio.fail_after(bound_s(20)):
        for server, in_process in backend.servers(LogNormalLatency(0, 0)).items():
            async with Client(in_process) as client:
                listed = await client.list_tools()
                assert [tool.name for tool in listed.tools] == [tool.name for tool in program.tools[server]]
        servers = backend.servers(LogNormalLatency(0, 0))
        for call, expected in zip(program.calls, program.expected, strict=True):
            async with Client(servers[call.server]) as client:
                result = await client.call_tool(call.tool, dict(call.arguments))
            assert (first_text(result), result.is_error) == (expected.text, False)
    assert backend.state() == program.expected_state


class SlowFirst:
    """A latency by which the call that says `slow` ends after any other."""

    def seconds(self, server: str, tool: str, arguments: Mapping[str, Any], occurrence: int) -> float:
        return 0.2 if arguments["body"] == "slow" else 0


@pytest.mark.anyio
async def test_a_call_takes_effect_as_it_ends() -> None:
    backend = find("fanout_0").backend()
    with anyio.fail_after(bound_s(5)):
        async with Client(backend.server("desk", SlowFirst())) as client, anyio.create_task_group() as calls:
            for body in ("slow", "fast"):
                calls.start_soon(client.call_tool, "write_note", {"title": "a", "body": body})
    assert backend.state() == {"a": "slow"}


@pytest.mark.anyio
async def test_a_server_of_a_program_runs_as_a_process_of_its_own() -> None:
    program = find("fanout_0")
    options = ["--program", program.name, "--server", "wiki", "--mean", "0.01", "--seed", "1"]
    process = StdioServerParameters(
        command=sys.executable, args=["-m", "benchmarks.workloads.serve", *options], cwd=Path(__file__).parents[2]
    )
    with anyio.fail_after(bound_s(20)):
        async with Client(stdio_client(process)) as client:
            result = await client.call_tool(program.calls[0].tool, dict(program.calls[0].arguments))
    assert first_text(result) == program.expected_results[0]


def test_the_command_writes_a_row_for_each_workload_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "workloads.json"
    monkeypatch.setattr(sys, "argv", ["workloads", "--quick", "--json", str(file)])
    main()
    rows = {row["workload"]: row["wrong"] for row in json.loads(file.read_text())["rows"]}
    assert rows.keys() >= {"fanout", "coding"}
    assert all(wrong["read_write"] == wrong["server"] == wrong["root"] == 0 for wrong in rows.values())
    assert "coding" in capsys.readouterr().out
