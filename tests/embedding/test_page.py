"""Every snippet of the page on the Python API runs, in front of the server that it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCKS: list[str] = re.findall(
    r"^```python\n(.*?)^```",
    ROOT.joinpath("docs", "python-api.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
WHOLE, *PARTS = BLOCKS


def run(program: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT / "examples",
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished.stdout


def test_the_first_snippet_is_a_program() -> None:
    assert run(WHOLE) == "This is the text of p1.\n"


def test_the_others_stand_in_its_block() -> None:
    setting, _, _ = WHOLE.partition("async def main")
    body = textwrap.indent("".join(PARTS), "        ")
    main = f"async def main():\n    async with Gateway(SERVERS) as gateway:\n{body}\n\nasyncio.run(main())\n"
    printed = run(setting + main).splitlines()
    assert any(line.startswith("fut_readpaper_") and "has not settled within 0.1 s" in line for line in printed)
    assert any(line.startswith("fut_first ") for line in printed)
    assert "Saved: This is the text of p1. This is the text of p2." in printed
    assert "['This is the text of p1.', 'This is the text of p2.', 'This is the text of p3.']" in printed
    assert any("stands for the result of library_search_papers" in line for line in printed)
    assert any("'await_future'" in line and "'library_save_note'" in line for line in printed)
