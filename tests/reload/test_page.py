"""docs/reload.md says of every setting what a change of it does, and what it says is so."""

from __future__ import annotations

import re
from pathlib import Path

from asyncfc_mcp.config.differences import TAKEN_UP
from asyncfc_mcp.config.models import GatewaySettings, SharedSettings, ToolSettings

PAGE = Path(__file__).parents[2] / "docs" / "reload.md"


def settings_in(section: str) -> set[str]:
    """The names in the first column of the tables of a section."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    first_cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}


def names(model: type[SharedSettings | ToolSettings | GatewaySettings]) -> dict[str, str]:
    """As they are written in the file, by what the code calls them."""
    return {name: field.alias or name for name, field in model.model_fields.items()}


def test_every_setting_of_a_server_is_there() -> None:
    assert settings_in("Settings of a server") == {*names(SharedSettings), *names(ToolSettings)}


def test_every_setting_that_counts_at_once_is_there_and_no_other() -> None:
    assert settings_in("Settings at the top") == TAKEN_UP - set(SharedSettings.model_fields)


def test_every_setting_that_needs_a_restart_is_there_and_no_other() -> None:
    needing = {written for name, written in names(GatewaySettings).items() if name not in TAKEN_UP}
    assert settings_in("What needs a restart") == needing
