"""From an empty package cache to the first overlapped call, as a new user goes: `python -m benchmarks.first_minutes`.

A home with nothing in it but Cursor's file and two servers; a fresh virtual environment; `pip install` without a cache;
`asyncfc-mcp init`; then the gateway is started as the client's own file says, and two calls go out side by side. The
clock stops when the gateway says that both run. What pip has to fetch depends on the network, and is told apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.common import Figure, machine, report

TARGET_S = 120.0
CHECKOUT = Path(__file__).parents[1]
_FIRST_CALLS = """
import json, sys
import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    (entry,) = json.load(open(sys.argv[1]))["mcpServers"].values()
    gateway = StdioServerParameters(command=entry["command"], args=entry["args"], env=entry.get("env"))
    async with Client(stdio_client(gateway, errlog=sys.stderr)) as client:
        async def call(tool, **arguments):
            return (await client.call_tool(tool, arguments)).content[0].text
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: call("travel_search_flights", origin="Oslo", city="Rome", _wait_s=0))
            tasks.start_soon(lambda: call("travel_search_hotels", city="Rome", nights=2, _wait_s=0))
        listed = await call("list_futures")
        print(listed)
        if listed.count("running") < 2:
            sys.exit("the two calls do not run at once")

anyio.run(main)
"""


class Stopwatch:
    """The stages of a new user's way, each with the seconds it took."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._since = time.perf_counter()

    def stage(self, name: str) -> None:
        """What went on since the last stage is over."""
        now = time.perf_counter()
        self.stages[name] = now - self._since
        self._since = now


def walk(home: Path) -> dict[str, float]:
    """Go the way; the seconds of each stage.

    Raises:
        subprocess.CalledProcessError: one of them failed; its output has been shown.
    """
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": ""}
    watch = Stopwatch()
    venv.create(home / "env", with_pip=True)
    python = home / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    watch.stage("a virtual environment")
    _run([str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", str(CHECKOUT)], environment, home)
    watch.stage("pip install, nothing cached")
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    place = ["--journal", str(home / "journal"), "--folder", str(home)]
    servers = {
        name: {"command": str(python), "args": ["-m", f"asyncfc_mcp.demo.servers.{name}", *place]}
        for name in ("travel", "notes")
    }
    file.write_text(json.dumps({"mcpServers": servers}, indent=2), encoding="utf-8")
    _run([str(python), "-m", "asyncfc_mcp", "init", "--yes", "--client", "cursor"], environment, home)
    watch.stage("asyncfc-mcp init")
    _run([str(python), "-c", _FIRST_CALLS, str(file)], environment, home)
    watch.stage("the client's start, and two calls that overlap")
    return watch.stages


def _run(command: list[str], environment: Mapping[str, str], folder: Path) -> None:
    subprocess.run(command, env=dict(environment), cwd=folder, check=True, stdin=subprocess.DEVNULL)


@click.command()
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the results there as well.")
def main(*, file: Path | None) -> None:
    """Measure a new user's first minutes."""
    before = machine()
    with tempfile.TemporaryDirectory() as home:
        stages = walk(Path(home))
    figures = [Figure(name, round(took_s, 1), "s") for name, took_s in stages.items()]
    figures.append(Figure("from nothing to the first overlapped call", round(sum(stages.values()), 1), "s", TARGET_S))
    is_met = report(figures, before=before, as_json=False)
    if file is not None:
        file.write_text(json.dumps({"machine": before, "figures": [asdict(one) for one in figures]}, indent=2))
    sys.exit(0 if is_met else 1)


if __name__ == "__main__":
    main()
