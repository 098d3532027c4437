"""The servers behind the gateways of a chaos run, as a configuration has them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.chaos.gateways import ROOT
from tests.chaos.plan import Plan

Entry = dict[str, Any]


def servers_of(gateway: str, plan: Plan, journal: Path, files: Path, far_port: int) -> dict[str, Entry]:
    """The servers behind the gateway of that name."""
    write = {"writes": ["box/{key}"]}
    labels: dict[str, Entry] = dict.fromkeys(("write", "record", "repeatable"), write)
    labels["read"] = {"reads": ["box/{key}"]}
    if plan.plant == "order":
        labels = {name: {"reads": [], "writes": []} for name in labels}
    servers: dict[str, Entry] = {
        "box": _counter("box", plan, journal) | {"asyncfc": {"tools": labels}},
        "plain": _counter("plain", plan, journal),
        "far": {"url": f"http://127.0.0.1:{far_port}/mcp", "asyncfc": {"isolated": True}},
    }
    if plan.has_real_servers:
        servers |= {name: entry for name, entry in _real_servers(files).items() if name in _REAL.get(gateway, ())}
    return servers


def counter_arguments(name: str, plan: Plan, journal: Path) -> list[str]:
    """Of the interpreter, for the server that counts."""
    plant = ["--plant", plan.plant] if plan.plant in {"twice", "value"} else []
    return ["-m", "tests.chaos.counter", "--name", name, "--journal", str(journal), *plant]


def _counter(name: str, plan: Plan, journal: Path) -> Entry:
    arguments = counter_arguments(name, plan, journal)
    return {"command": sys.executable, "args": arguments, "env": {"PYTHONPATH": str(ROOT)}}


_REAL = {"window": ("memory", "repo"), "other": ("fs", "time"), "network": ("every",)}
"""Other people's servers, behind which gateway each."""


def _real_servers(files: Path) -> dict[str, Entry]:
    """Other people's servers, as far as they are installed."""
    memory = files.parent / "memory.jsonl"
    servers: dict[str, Entry] = {
        "fs": _from_npm("server-filesystem", str(files)),
        "memory": _from_npm("server-memory") | {"env": {"MEMORY_FILE_PATH": str(memory)}},
        "every": _from_npm("server-everything"),
        "time": _from_pypi("mcp_server_time"),
        "repo": _from_pypi("mcp_server_git"),
    }
    return {name: entry for name, entry in servers.items() if "command" in entry}


def _from_npm(package: str, *arguments: str) -> Entry:
    node, folder = shutil.which("node"), os.environ.get("ASYNCFC_TEST_NPM")
    script = Path(folder or "", "node_modules/@modelcontextprotocol", package, "dist/index.js")
    return {"command": node, "args": [str(script), *arguments]} if node and folder and script.exists() else {}


def _from_pypi(module: str, *arguments: str) -> Entry:
    is_there = importlib.util.find_spec(module) is not None
    return {"command": sys.executable, "args": ["-m", module, *arguments]} if is_there else {}


def make_repository(folder: Path) -> None:
    """A repository for the git server to look at."""
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
