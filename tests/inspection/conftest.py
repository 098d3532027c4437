"""What tests of the doctor may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inspection.support import Doctor


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setenv("ASYNCFC_STATE_FOLDER", str(tmp_path / "state"))
    return Doctor(tmp_path)
