"""A gateway of its own for each client, and all that the client says to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.clients.http_wiretap import http_wiretap

HERE = Path(__file__).parent
TOY = HERE.parent / "toy.py"
LIMIT_S = 60.0
"""The bound of everything that a client does."""
ENDS_WITHIN_S = 20.0

Json = dict[str, Any]
Door = Literal["stdio", "http", "sse"]
"""How a client reaches the gateway."""


@dataclass(frozen=True, slots=True)
class Place:
    """One gateway's files, and the ways to start it so that everything that clients say is kept."""

    folder: Path
    config: Path

    @property
    def gateway(self) -> list[str]:
        return [sys.executable, "-m", "asyncfc_mcp", "serve", "--config", str(self.config)]

    @property
    def command(self) -> list[str]:
        """For clients that start it themselves."""
        return [sys.executable, str(HERE / "wiretap.py"), str(self.folder / "tape"), *self.gateway]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "ASYNCFC_STATE_FOLDER": str(self.folder / "state")}

    @contextmanager
    def served(self, door: Door) -> Generator[str]:
        """The URL of a gateway that is there until this is left."""
        command = [*self.gateway, "--transport", door, "--port", "0"]
        with subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                with http_wiretap(listening_at(process), self.folder / "tape") as url:
                    yield url
            finally:
                process.terminate()
                process.wait(ENDS_WITHIN_S)

    @contextmanager
    def reached(self, door: Door) -> Generator[list[str]]:
        """What names the gateway to a client: the command that starts it, or the URL of one that runs."""
        if door == "stdio":
            yield self.command
            return
        with self.served(door) as url:
            yield [url]

    def said_by_client(self) -> list[Json]:
        """Its messages, in order."""
        lines = (self.folder / "tape").read_text().splitlines()
        return [line["message"] for line in map(json.loads, lines) if line["by"] == "client"]


def listening_at(process: subprocess.Popen[bytes]) -> str:
    """Where a gateway says that it listens, once it does; whatever it says later is read and forgotten."""
    assert process.stderr is not None
    said: list[bytes] = []
    for line in process.stderr:
        said.append(line)
        if b'"listening"' in line:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return json.loads(line)["url"]
    raise AssertionError(b"".join(said).decode())


@dataclass(frozen=True, slots=True)
class Visit:
    """What a client made of the gateway."""

    report: Json
    requests: list[Json]
    """All that it sent."""


def make_place(folder: Path) -> Place:
    """A gateway in front of two small servers, where only `started` waits for something: the end of `destroy`."""
    tools: Json = {name: {"reads": [], "writes": []} for name in ("echo", "add", "hold", "release")}
    tools |= {"destroy": {"writes": ["it"]}, "started": {"reads": ["it"]}}
    for name in ("echo", "add", "destroy"):  # no tokens: on a busy machine the second of a step may not be enough
        tools[name]["inline_wait_s"] = 20
    toy = {"command": sys.executable, "args": [str(TOY)], "asyncfc": {"prefix": "", "tools": tools}}
    shelf = {"command": sys.executable, "args": [str(HERE / "shelf.py")], "asyncfc": {"prefix": ""}}
    config = folder / "config.json"
    config.write_text(json.dumps({"mcpServers": {"toy": toy, "shelf": shelf}, "asyncfc": {"inline_wait_s": 1}}))
    return Place(folder, config)


def visit(place: Place, client: Sequence[str], door: Door) -> Visit:
    """Let a client play the scenario."""
    with place.reached(door) as where:
        command = [*client, door, *where]
        finished = subprocess.run(command, env=place.env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return Visit(json.loads(finished.stdout), place.said_by_client())
