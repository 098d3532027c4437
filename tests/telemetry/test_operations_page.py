"""docs/operations.md says what there is: every event of the log, every metric; its files are well-formed."""

from __future__ import annotations

import ast
import plistlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncfc_mcp.telemetry.metrics import MOST_SERVERS, MOST_TOOLS, Metrics
from asyncfc_mcp.telemetry.readings import Readings, ServerReading, SettledCall

ROOT = Path(__file__).parents[2]
PAGE = ROOT.joinpath("docs", "operations.md").read_text(encoding="utf-8")
WRITES = {"debug", "info", "warning", "error", "exception"}


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def events_of(file: Path) -> Iterator[str]:
    """The names of the events that a module logs, as far as they are written out."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES):
            continue
        if ast.unparse(node.func.value) in {"log", "self._log"} and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def test_every_event_of_the_log_is_in_the_page() -> None:
    logged = {event for file in ROOT.joinpath("asyncfc_mcp").rglob("*.py") for event in events_of(file)}
    assert len(logged) > 50
    assert sorted(event for event in logged if f"`{event}`" not in PAGE) == []


def test_every_metric_is_in_the_page_and_every_one_of_the_page_is_there() -> None:
    metrics = Metrics()
    metrics.note(SettledCall("s", "t", "resolved", "", 0.1, 0.1))
    reading = Readings({"pending": 1}, 1, 1, 1, 1, 1, 1, 1.0, 1, {"s": ServerReading(is_up=True, restarts=0)})
    text = metrics.text(reading)[0].decode()
    written = {
        name for name in re.findall(r"^# TYPE (asyncfc_\w+)", text, re.MULTILINE) if not name.endswith("_created")
    }
    named = set(re.findall(r"`(asyncfc_\w+)`", PAGE))
    assert named == written


def test_the_bounds_of_labels_are_as_the_page_says() -> None:
    assert f"The first {MOST_TOOLS} tools and {MOST_SERVERS} servers" in PAGE


def test_the_launchd_file_is_a_property_list() -> None:
    assert plistlib.loads(block("xml").encode())["Label"] == "asyncfc-mcp"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_the_systemd_unit_is_accepted(tmp_path: Path) -> None:
    unit = tmp_path / "asyncfc-mcp.service"
    # the program and the user are not on this machine
    unit.write_text(block("ini").replace("/opt/asyncfc/bin/asyncfc-mcp", "/bin/true").replace("User=asyncfc\n", ""))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
