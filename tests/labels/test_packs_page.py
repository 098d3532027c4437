"""docs/labels.md names every pack and what it was checked against."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncfc_mcp.packs.reader import Pack, read_packs

PAGE = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("pack", read_packs(), ids=lambda pack: pack.name)
def test_the_page_has_a_row_for_each_pack(pack: Pack) -> None:
    checked = ", ".join(f"`{one}`" for one in pack.verified.split(", "))
    assert f"\n| {pack.name} | {checked} | " in PAGE
    assert all(f"`{host}`" in PAGE for host in pack.hosts)


def test_the_page_has_no_row_without_a_pack() -> None:
    rows = [line.split(" | ")[0].removeprefix("| ") for line in PAGE.splitlines() if line.count(" | ") >= 3]
    assert set(rows[1:]) == {pack.name for pack in read_packs()}
