"""docs/configuration.md says what the models say, and its examples can be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.config.models import GatewaySettings, ServerSettings, ToolSettings
from asyncfc_mcp.config.reference import NoPlaceForSettings, keys, main, settings_reference, with_reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_reference(text, PAGE) == text, "run: python -m asyncfc_mcp.config.reference docs/configuration.md"


def test_every_key_has_a_row_with_a_default_and_a_meaning() -> None:
    rows = [line.strip("| ").split(" | ") for line in settings_reference().splitlines() if line.startswith("| `")]
    assert {row[0].strip("`") for row in rows} == keys(GatewaySettings) | keys(ServerSettings) | keys(ToolSettings)
    assert all(len(row) == 4 and all(row) for row in rows)
    assert "any" not in {row[1] for row in rows}


def test_the_command_rewrites_a_stale_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text(encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(text.replace("whole number", "a number perhaps"), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["reference", str(page)])
    main()
    assert page.read_text(encoding="utf-8") == text


def test_a_page_without_the_marks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoPlaceForSettings):
        with_reference("no marks", tmp_path)


def test_the_example_on_the_page_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "example.json"
    file.write_text(example, encoding="utf-8")
    loaded = load_file(file, {})
    assert [server.key for server in loaded.config.servers] == ["fs", "notes", "web"]
    assert loaded.warnings == ()
