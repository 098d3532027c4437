"""Claude Code with the plugin installed as its README says, in a home of its own, with a script for a model."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.clients.model_stub import ModelStub
from tests.clients.programs import npm_program
from tests.harness import FREE, toy

PLUGIN = Path(__file__).parents[2] / "examples" / "claude-code-plugin"
PREFIX = "mcp__plugin_asyncfc_gw__"
"""What Claude Code puts before the names of the gateway's tools."""
LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Claude:
    """One user's Claude Code."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        # nothing of the user's own may reach it; the gateway's command is beside the interpreter
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.home / "claude"),
            "ASYNCFC_STATE_FOLDER": str(self.home / "state"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }

    def run(self, *arguments: str, at: Path | None = None, more: Mapping[str, str] = MappingProxyType({})) -> str:
        finished = subprocess.run(
            [npm_program("claude"), *arguments],
            env={**self.environment, **more},
            cwd=at or self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
        return finished.stdout

    def install(self, servers: dict[str, Any]) -> None:
        """The one line of the README."""
        file = self.home / "servers.json"
        file.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
        line = PLUGIN.joinpath("README.md").read_text(encoding="utf-8").partition("```sh\n")[2].partition("\n")[0]
        program, *words = shlex.split(line.replace("/absolute/path/servers.json", str(file)))
        assert program == "claude"
        self.run(*words, at=PLUGIN.parent)

    def ask(self, question: str, stub: ModelStub, *options: str) -> str:
        """Its answer."""
        allowed = ["--allowedTools", PREFIX.removesuffix("__"), "ToolSearch"]
        endpoint = {"ANTHROPIC_BASE_URL": stub.url, "ANTHROPIC_API_KEY": "none-is-needed"}
        printed = self.run("--print", question, "--output-format", "json", *options, *allowed, more=endpoint)
        return json.loads(printed)["result"]

    @property
    def transcript(self) -> Path:
        """Of its only conversation."""
        (file,) = self.home.joinpath("claude", "projects").glob("*/*.jsonl")
        return file


def servers() -> dict[str, Any]:
    """A toy whose `hold` lasts until `release`."""
    return {"toy": toy(tools={"hold": FREE, "echo": FREE})}
