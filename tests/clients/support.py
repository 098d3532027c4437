"""Runs a real client against the gateway, each as a process of its own, and keeps what they said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TOY = HERE.parent / "toy.py"
NPM = os.environ.get("ASYNCFC_TEST_NPM", "")
WITHOUT_NPM = "ASYNCFC_TEST_NPM does not name a folder with node_modules"
LIMIT_S = 45.0
MAKE_ENVIRONMENT_LIMIT_S = 300.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """One gateway's files, and the way to start it so that everything said is kept."""

    folder: Path
    config: Path

    @property
    def command(self) -> list[str]:
        gateway = [sys.executable, "-m", "asyncfc_mcp", "serve", "--config", str(self.config)]
        return [sys.executable, str(HERE / "wiretap.py"), str(self.folder / "tape"), *gateway]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "ASYNCFC_STATE_FOLDER": str(self.folder / "state")}

    def said_by(self, who: str) -> list[Json]:
        """The messages of one side, in order."""
        lines = (self.folder / "tape").read_text().splitlines()
        return [line["message"] for line in map(json.loads, lines) if line["by"] == who]


@dataclass(frozen=True, slots=True)
class Visit:
    """What a client made of the gateway."""

    report: Json
    requests: list[Json]
    """All that it sent."""


def make_place(folder: Path) -> Place:
    """A gateway in front of the toy server, where only `started` waits for something: the end of `destroy`."""
    tools: Json = {name: {"reads": [], "writes": []} for name in ("echo", "add", "hold", "release")}
    tools |= {"destroy": {"writes": ["it"]}, "started": {"reads": ["it"]}}
    toy = {"command": sys.executable, "args": [str(TOY)], "asyncfc": {"prefix": "", "tools": tools}}
    config = folder / "config.json"
    config.write_text(json.dumps({"mcpServers": {"toy": toy}, "asyncfc": {"inline_wait_s": 0.5}}))
    return Place(folder, config)


def visit(place: Place, client: list[str]) -> Visit:
    """Let a client play the scenario."""
    finished = subprocess.run(
        [*client, *place.command], env=place.env, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return Visit(json.loads(finished.stdout), place.said_by("client"))


def python_sdk_1() -> str:
    """The interpreter that has the Python SDK 1.x; made once and kept where ASYNCFC_TEST_CLIENTS says."""
    kept = os.environ.get("ASYNCFC_TEST_CLIENTS")
    if not kept:
        pytest.skip("ASYNCFC_TEST_CLIENTS names no folder in which to keep the environments of other clients")
    home = Path(kept, "python-sdk-1")
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "mcp<2"]
        subprocess.run(install, check=True, capture_output=True, timeout=MAKE_ENVIRONMENT_LIMIT_S)
        (home / "ready").touch()
    return str(python)


def typescript_sdk() -> list[str]:
    if not NPM:
        pytest.skip(WITHOUT_NPM)
    return ["node", str(HERE / "typescript_sdk.mjs")]


CLIENTS: dict[str, Callable[[], list[str]]] = {
    "python-sdk-2-legacy": lambda: [sys.executable, str(HERE / "python_sdk_2.py"), "legacy"],
    "python-sdk-2-auto": lambda: [sys.executable, str(HERE / "python_sdk_2.py"), "auto"],
    "python-sdk-1": lambda: [python_sdk_1(), str(HERE / "python_sdk_1.py")],
    "typescript-sdk-1": typescript_sdk,
}
"""How each client is started; the command of the gateway follows."""
