"""docs/limits.md says what the code holds."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import asyncfc_mcp
from asyncfc_mcp.config.models import GatewaySettings

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
CONSTANT = re.compile(r"^\| `((?:\w+\.)+[A-Z_]+)` \| ([\d,.]+)( MB)? \| .+ \| .+ \|$", re.MULTILINE)
SETTING = re.compile(r"^\| `([a-z_]+)` \| .+ \|$", re.MULTILINE)
LIMIT = re.compile(r"(?:MOST|MAX)_[A-Z_]+")


def listed() -> dict[str, float]:
    found = CONSTANT.findall(PAGE.read_text(encoding="utf-8"))
    return {name: float(value.replace(",", "")) * (2**20 if unit else 1) for name, value, unit in found}


def in_code() -> set[str]:
    """Every public constant that bounds something, by the module that defines it."""
    found: set[str] = set()
    for module in pkgutil.walk_packages(asyncfc_mcp.__path__, "asyncfc_mcp."):
        if ".demo" in module.name or module.name.endswith("__main__"):
            continue
        source = Path(str(importlib.import_module(module.name).__file__)).read_text(encoding="utf-8")
        name = module.name.partition(".")[2]
        found |= {
            f"{name}.{constant}" for constant in re.findall(rf"^({LIMIT.pattern})\b[^\n=]* = ", source, re.MULTILINE)
        }
    return found


@pytest.mark.parametrize("constant", sorted(listed()))
def test_a_listed_limit_is_that_of_the_code(constant: str) -> None:
    module, _, name = constant.rpartition(".")
    assert listed()[constant] == getattr(importlib.import_module(f"asyncfc_mcp.{module}"), name)


def test_every_limit_of_the_code_is_listed() -> None:
    assert in_code() - set(listed()) == set()


def test_every_listed_setting_exists() -> None:
    settings = SETTING.findall(PAGE.read_text(encoding="utf-8"))
    assert "max_running" in settings
    assert set(settings) <= set(GatewaySettings.model_fields)


def test_every_limit_among_the_settings_is_listed() -> None:
    limits = {name for name in GatewaySettings.model_fields if name.startswith("max_") or name.endswith("_max_mb")}
    assert limits <= set(SETTING.findall(PAGE.read_text(encoding="utf-8")))
