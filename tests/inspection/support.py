"""Asking the doctor through its command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from asyncfc_mcp.cli.main import main

SHAPED = Path(__file__).with_name("shaped.py")
NPM = os.environ.get("ASYNCFC_TEST_NPM", "")

needs_npm = pytest.mark.skipif(not NPM, reason="ASYNCFC_TEST_NPM does not name a folder with node_modules")


def shaped(**shape: Any) -> dict[str, Any]:
    """The entry of a server with these faults."""
    return {"command": sys.executable, "args": [str(SHAPED), json.dumps(shape)]}


def tool(name: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    """A tool that says that it only reads, so that there is nothing else to be said of it."""
    wanted: Any = {"type": "object", "properties": {}} if schema is None else schema
    return {"name": name, "inputSchema": wanted, "annotations": {"readOnlyHint": True}, **more}


def npm(name: str, *arguments: str) -> dict[str, Any]:
    script = Path(NPM) / "node_modules" / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js"
    return {"command": "node", "args": [str(script), *arguments]}


@dataclass(frozen=True)
class Said:
    """What the doctor said, and how it ended."""

    exit_code: int
    document: dict[str, Any]

    def codes(self, server: str = "one") -> list[str]:
        return [finding["code"] for finding in self.document["findings"] if finding["server"] == server]

    def finding(self, code: str, server: str = "one") -> dict[str, str]:
        found = [one for one in self.document["findings"] if (one["code"], one["server"]) == (code, server)]
        assert len(found) == 1, self.document["findings"]
        return found[0]


class Doctor:
    """Asks about configurations in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "servers.json"

    def of(self, servers: Mapping[str, Any], *options: str, settings: Mapping[str, Any] | None = None) -> Said:
        """What is said of these servers."""
        self.file.write_text(json.dumps({"mcpServers": servers, "asyncfc": settings or {}}))
        result = CliRunner().invoke(main, ["doctor", "--config", str(self.file), "--json", *options])
        assert result.exit_code in {0, 1}, (result.output, result.exception)
        document = json.loads(result.stdout)
        # how long a start takes says more of the machine that the tests run on
        document["findings"] = [one for one in document["findings"] if one["code"] != "slow_start"]
        return Said(result.exit_code, document)

    def of_one(self, entry: Mapping[str, Any], *options: str) -> Said:
        """What is said of one server."""
        return self.of({"one": entry}, *options)
