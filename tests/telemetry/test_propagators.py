"""Forms of trace context that the environment asks for and that are not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bounds import bound_s
from tests.inspection.support import shaped, tool


@pytest.mark.parametrize("written", ["b3", "b3,tracecontext", ",", "none, b3"])
def test_a_propagator_that_is_not_installed_costs_a_warning_and_not_the_start(tmp_path: Path, written: str) -> None:
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"one": shaped(tools=[tool("read")])}}))
    command = [sys.executable, "-m", "asyncfc_mcp", "tools", "--json", "--config", str(file)]
    env = {**os.environ, "OTEL_PROPAGATORS": written, "ASYNCFC_STATE_FOLDER": str(tmp_path)}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=bound_s(60), check=True)
    assert [one["name"] for one in json.loads(ended.stdout)["tools"]] == ["one_read"]
    assert json.loads(ended.stderr)["event"] == "otel_propagators_ignored"


def test_the_variable_is_as_it_was_for_the_servers() -> None:
    program = (
        "import os; from asyncfc_mcp.telemetry.propagators import settle_propagators;"
        "settle_propagators(os.environ); print(os.environ['OTEL_PROPAGATORS'])"
    )
    env = {**os.environ, "OTEL_PROPAGATORS": "b3"}
    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert ended.stdout == "b3\n"
