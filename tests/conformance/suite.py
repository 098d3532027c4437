"""Runs the official conformance suite against a URL and reads what it found."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

PACKAGES = os.environ.get("ASYNCFC_TEST_CONFORMANCE", "")
WITHOUT_PACKAGES = "ASYNCFC_TEST_CONFORMANCE does not name a folder with the suite in its node_modules"
LIMIT_S = 180.0
"""A run takes 3 to 15 s; one scenario that hangs takes the suite 30 s."""

_RESULT_FOLDER = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


@dataclass(frozen=True, slots=True)
class Finding:
    """What the suite says of one scenario."""

    passed: frozenset[str]
    """The ids of its checks that succeeded."""
    failures: tuple[str, ...]
    errors: frozenset[str] = frozenset()
    """The ids of its checks in which a tool failed: the suite takes any text for a result, an error's as well."""


class SuiteStopped(Exception):
    """The suite left no results: it could not run at all."""

    def __init__(self, said: str) -> None:
        super().__init__(f"the conformance suite gave no results; it said: {said[-2000:]}")


async def run_suite(url: str, revision: str, folder: Path) -> dict[str, Finding]:
    """Run every scenario of a revision; its own exit code does not matter, the caller judges."""
    modules = Path(PACKAGES, "node_modules")
    command = [
        str(modules / ".bin" / "node"),
        str(modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"),
        *("server", "--url", url, "--requirements", revision, "--output-dir", str(folder)),
    ]
    with anyio.fail_after(LIMIT_S):
        ran = await anyio.run_process(command, check=False)
    said = (ran.stdout + ran.stderr).decode(errors="replace")
    if not folder.is_dir():
        raise SuiteStopped(said)
    return dict(sorted(_findings(folder)))


def _findings(folder: Path) -> list[tuple[str, Finding]]:
    found = [(result, _RESULT_FOLDER.fullmatch(result.name)) for result in folder.iterdir()]
    return [(named["scenario"], _finding(result / "checks.json")) for result, named in found if named]


def _finding(file: Path) -> Finding:
    if not file.exists():
        return Finding(frozenset(), ("the suite broke off in this scenario",))
    checks: list[dict[str, Any]] = json.loads(file.read_text())
    return Finding(
        frozenset(check["id"] for check in checks if check["status"] == "SUCCESS"),
        tuple(
            f"{check['id']}: {check.get('errorMessage') or check['description']}"
            for check in checks
            if check["status"] == "FAILURE"
        ),
        frozenset(check["id"] for check in checks if _is_error(check.get("details"))),
    )


def _is_error(details: Any) -> bool:
    return isinstance(details, dict) and '"isError": true' in json.dumps(details)
