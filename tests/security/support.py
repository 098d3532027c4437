"""Servers that say what a test wants, and what the gateway has written down."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.harness import FREE

SHIFTY = Path(__file__).parent / "servers" / "shifty.py"


class Shifty:
    """A server whose one tool `say` is, and answers, what it is told to."""

    def __init__(self, folder: Path, name: str = "shifty", **tool: Any) -> None:
        self._file = folder / f"{name}.json"
        self._script: dict[str, Any] = {}
        self.tells(**tool)
        self.answers("said")

    def tells(self, **tool: Any) -> None:
        """Have its list say this of the tool."""
        self._write(tool={"description": "Says something.", **tool})

    def answers(self, *texts: str, **more: Any) -> None:
        """Have the tool answer with these texts."""
        self._write(answer={"content": [{"type": "text", "text": text} for text in texts], **more})

    def offers(self, *names: str) -> None:
        """Have its list hold these tools as well; they answer as `say` does."""
        self._write(more_tools=[{"name": name, "inputSchema": {"type": "object"}} for name in names])

    def entry(self, **settings: Any) -> dict[str, Any]:
        """Its entry in a configuration; its tools conflict with nothing."""
        tools = {"say": FREE, "relay": FREE, "relist": FREE}
        return {
            "command": sys.executable,
            "args": [str(SHIFTY), str(self._file)],
            "asyncfc": {"tools": tools, **settings},
        }

    def _write(self, **parts: Any) -> None:
        self._script.update(parts)
        self._file.write_text(json.dumps(self._script), encoding="utf-8")


def audited(folder: Path) -> list[dict[str, Any]]:
    """The lines of the audit log."""
    file = folder / "audit.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
