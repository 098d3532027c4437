"""The overhead benchmark: what it makes of its figures, and a run of it over real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import psutil
import pytest
from mcp import Client

from benchmarks.overhead.measures import Size, echo, load, sizes, wake
from benchmarks.overhead.peers import Peer
from benchmarks.overhead.processes import DidNotStart, end, free_port, listening, usage
from benchmarks.overhead.relay import relay_to
from benchmarks.overhead.routes import Opened, Route
from benchmarks.overhead.server import build
from benchmarks.overhead.summary import Failure, Rounds, failures_table, spread, table, targets
from tests.bounds import bound_s

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "benchmarks.overhead", "--quick", "--only", "stdio"]
SMALL = Size(echoes=3, load=8, blobs=1, finishes=1, lists=1, limit_s=5, finish_s=0)


def measured(**milliseconds: float) -> Rounds:
    """One setting, each route with its `echo p50` in both rounds."""
    rounds = Rounds()
    for number in range(2):
        for route, value in milliseconds.items():
            rounds.add(number, "stdio>stdio", route.replace("_", " "), {"echo p50": value})
    return rounds


def test_a_ratio_compares_figures_of_the_same_round_alone() -> None:
    rounds = Rounds()
    for number, slowness in enumerate((1, 10, 1)):
        rounds.add(number, "s", "gateway", {"echo p50": 3.0 * slowness})
        rounds.add(number, "s", "relay", {"echo p50": 2.0 * slowness})
    rounds.add(3, "s", "gateway", {"echo p50": 99})
    ratio = rounds.ratio("s", "echo p50", "gateway", "relay")
    assert ratio is not None
    assert (ratio.lower, ratio.median, ratio.upper) == (1.5, 1.5, 1.5)


def test_a_spread_has_the_quartiles_of_what_was_measured() -> None:
    found = spread([4, 1, 3, 2, 5])
    assert found is not None
    assert (found.lower, found.median, found.upper) == (2, 3, 4)
    assert spread([]) is None


def test_the_inline_target_is_the_share_of_the_bare_relay() -> None:
    (figure,) = targets(measured(direct=1, relay=2, gateway=2.2), ["stdio>stdio"])
    assert figure.measured == pytest.approx(1.1)
    assert figure.is_met


def test_a_peer_is_judged_by_the_time_that_it_adds() -> None:
    _, figure = targets(measured(direct=1, relay=2, gateway=3, fastmcp=4), ["stdio>stdio"])
    assert figure.measured == pytest.approx(2 / 3)
    assert not figure.is_met


def test_what_was_not_measured_has_no_target() -> None:
    assert targets(measured(direct=1), ["stdio>stdio", "http>http"]) == []


def test_rows_of_one_measure_stand_together_in_the_table() -> None:
    rounds = Rounds()
    for route in ("direct", "relay"):
        rounds.add(0, "stdio>stdio", route, {"echo p50": 1, "calls/s at 16": 500})
    lines = [line.strip() for line in table(rounds.rows()) if line]
    assert [line.split()[0] for line in lines] == ["stdio>stdio", "direct", "relay"] * 2


def test_a_peer_that_broke_is_named_with_the_measure() -> None:
    broken = [Failure("http>http", "fastmcp", "echo", "McpError()")] * 3
    assert list(failures_table([*broken, Failure("http>http", "fastmcp", "load", "")])) == [
        "failed: http>http fastmcp at echo, 3 times",
        "failed: http>http fastmcp at load, 1 times",
    ]


def test_a_row_is_flat_in_json() -> None:
    row = measured(direct=2, gateway=3).rows()[1].as_json()
    assert row["median"] == 3
    assert row["to_direct_median"] == 1.5
    assert "to_relay_median" not in row


def test_a_peer_that_nobody_installed_is_not_there() -> None:
    assert not Peer("nobody", "nobody==1").is_installed


@pytest.mark.anyio
async def test_the_relay_passes_on_the_list_and_each_result() -> None:
    with anyio.fail_after(bound_s(20)):
        async with Client(build(5)) as behind, Client(relay_to(behind)) as client:
            opened = Opened(Route("relay", frozenset()), client)
            assert len((await client.list_tools()).tools) == 5
            for measure in (echo, load, sizes, wake):
                figures = await measure(opened, SMALL)
                assert all(value > 0 for value in figures.values())


@pytest.mark.anyio
async def test_a_process_that_ends_before_it_listens_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    with (tmp_path / "log").open("w") as log, anyio.fail_after(bound_s(20)), pytest.raises(DidNotStart, match="code 3"):
        async with listening(command, free_port(), log):
            pass


def test_usage_leaves_out_the_server_behind_the_path() -> None:
    server = str(ROOT / "benchmarks" / "overhead" / "server.py")
    process = psutil.Popen([sys.executable, server], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        while server not in process.cmdline():  # on a busy machine it is not known by its command at once
            assert process.is_running()
        assert usage(process).count == 0
        assert usage(psutil.Process()).count >= 1
    finally:
        end([process])
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="peers and signals as on POSIX")
def test_a_quick_run_prints_a_table_and_writes_all_of_it(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    finished = subprocess.run(
        [*COMMAND, "--paths", "direct,gateway-async", "--measures", "echo", "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=bound_s(60),
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    document = json.loads(file.read_text())
    assert {"token p50", "echo p50", "memory at start"} <= {row["measure"] for row in document["rows"]}
    assert "token in hand" in document["targets"][0]["what"]
    assert "gateway async" in finished.stdout
    assert document["failures"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="orphans come back to us on Linux alone")
def test_nothing_is_left_behind_when_it_is_interrupted(tmp_path: Path) -> None:
    benchmark = psutil.Popen(
        [*COMMAND, "--paths", "relay", "--measures", "echo", "--logs", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert benchmark.stderr is not None
        assert next(benchmark.stderr) == "stdio>stdio relay is open\n"
        started = benchmark.children(recursive=True)
        assert len(started) == 2
        benchmark.send_signal(signal.SIGTERM)
        benchmark.communicate(timeout=bound_s(20))
        assert not psutil.wait_procs(started, timeout=bound_s(5))[1]
    finally:
        end([benchmark])
