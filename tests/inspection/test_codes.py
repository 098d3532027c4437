"""The codes that programs read are all in the documentation, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import asyncfc_mcp.inspection
from asyncfc_mcp.inspection import schemas

SOURCE = Path(asyncfc_mcp.inspection.__file__).parent
PAGE = Path(__file__).parent.parent.parent / "docs" / "doctor.md"


def codes_of_the_source() -> Iterator[str]:
    for file in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                at = {"Finding": 2, "_Fault": 0}.get(node.func.id)
                said = node.args[at] if at is not None and len(node.args) > at else None
                if isinstance(said, ast.Constant):
                    yield str(said.value)
    yield from schemas._KINDS  # pyright: ignore[reportPrivateUsage] - the one table of codes


def test_the_page_lists_every_code() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (?:error|warning|note)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(set(codes_of_the_source()))
