"""A client that starts the gateway without the standard descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import toy
from tests.process.support import LIMIT_S


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX closes them")
@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_gateway_without_standard_descriptors_ends_at_once_and_well(tmp_path: Path, closed: str) -> None:
    server = [toy()["command"], *toy()["args"]]
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "asyncfc_mcp", "serve", "--", *server],
        env={**os.environ, "ASYNCFC_STATE_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 0
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
