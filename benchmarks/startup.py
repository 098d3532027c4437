"""How long the first `tools/list` answer takes from the start of the process, and which imports that time goes into.

Run it with `python -m benchmarks.startup`. The lists are kept from an earlier start, as they are for a user after the
first day; no server has to be up for the answer.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import click

from benchmarks.common import Figure, machine, report

TARGET_S = 1.2
ROUNDS = 10
HEAVIEST = 10
_TOY = Path(__file__).parents[1] / "tests" / "toy.py"
_IMPORT_LINE = re.compile(r"import time:\s+(?P<own>\d+) \|\s+(?P<all>\d+) \| (?P<indent>\s*)(?P<name>\S+)")
_INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


@click.command()
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the results there as well.")
@click.option("--quick", is_flag=True, help="A smoke run: each start once.")
def main(*, file: Path | None, quick: bool) -> None:
    """Measure with one server and with six, then say where the time goes."""
    before = machine()
    rounds = 1 if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = Figure("python -c pass (best)", min(_bare_start_s() for _ in range(rounds)), "s")
        figures = [bare, *(figure for count in (1, 6) for figure in _measured(folder, count, rounds))]
        is_met = report(figures, before=before, as_json=False)
        _print_imports(folder)
    if file is not None:
        rows = [asdict(figure) for figure in figures]
        file.write_text(json.dumps({"machine_before": before, "machine_after": machine(), "figures": rows}, indent=2))
    sys.exit(0 if is_met or quick else 1)


def _measured(folder: Path, servers: int, rounds: int) -> Iterator[Figure]:
    command = _command(folder, servers)
    first_s, tools = _start(command, folder)
    times_s = [_start(command, folder)[0] for _ in range(rounds)]
    what = f"first tools/list, {servers} server{'s' if servers > 1 else ''}, {tools} tools"
    yield Figure(f"{what} (p50)", statistics.median(times_s), "s", TARGET_S, f"best of {rounds}: {min(times_s):.2f}")
    yield Figure(f"{what}, without kept lists", first_s, "s")


def _command(folder: Path, servers: int) -> list[str]:
    entries = {f"toy{number}": {"command": sys.executable, "args": [str(_TOY)]} for number in range(servers)}
    file = folder / f"{servers}.json"
    file.write_text(json.dumps({"mcpServers": entries}))
    return [sys.executable, "-m", "asyncfc_mcp", "serve", "--config", str(file)]


def _start(command: list[str], folder: Path) -> tuple[float, int]:
    """Seconds until the first list of tools is there, and how many they are."""
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        env=_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        _send(process.stdin, {"id": 1, "method": "initialize", "params": _INITIALIZE})
        _send(process.stdin, {"method": "notifications/initialized"})
        _send(process.stdin, {"id": 2, "method": "tools/list"})
        answer = _answer(process.stdout, 2)
        took_s = time.perf_counter() - start
        process.stdin.close()
        process.wait(timeout=10)
    return took_s, len(answer["result"]["tools"])


def _send(stdin: IO[bytes], message: dict[str, Any]) -> None:
    stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    stdin.flush()


def _answer(stdout: IO[bytes], number: int) -> dict[str, Any]:
    for line in stdout:
        message = json.loads(line)
        if message.get("id") == number and "method" not in message:
            return message
    raise SystemExit("the gateway ended without an answer")


def _bare_start_s() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


def _print_imports(folder: Path) -> None:
    """The imports that take longest themselves, and the outermost packages with all that they import."""
    command = _command(folder, 1)
    command[1:1] = ["-X", "importtime"]
    closed = subprocess.run(
        command, env=_environment(folder), stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True
    )
    found = [match for match in map(_IMPORT_LINE.match, closed.stderr.splitlines()) if match]
    own_us = {match["name"]: int(match["own"]) for match in found}
    all_us = {match["name"]: int(match["all"]) for match in found}
    print(f"{len(found)} modules are imported, {sum(own_us.values()) / 1e6:.2f} s with the tracing of it")
    print("\nheaviest by themselves:")
    for name in sorted(own_us, key=own_us.__getitem__, reverse=True)[:HEAVIEST]:
        print(f"  {own_us[name] / 1000:7.1f} ms  {name}")
    packages: dict[str, int] = {}
    for name, spent_us in own_us.items():
        package = name.partition(".")[0]
        packages[package] = packages.get(package, 0) + spent_us
    print("\nheaviest packages, their own modules alone:")
    for package in sorted(packages, key=packages.__getitem__, reverse=True)[:HEAVIEST]:
        print(f"  {packages[package] / 1000:7.1f} ms  {package}")
    print("\nheaviest with all that they import first:")
    for name in sorted(all_us, key=all_us.__getitem__, reverse=True)[: 3 * HEAVIEST]:
        print(f"  {all_us[name] / 1000:7.1f} ms  {name}")


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "ASYNCFC_STATE_FOLDER": str(folder / "state")}


if __name__ == "__main__":
    main()
