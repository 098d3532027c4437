"""Rules for what may go between servers: a wrong one is named, one that fits nothing is pointed out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asyncfc_mcp.config.load import LoadedConfig, load_file
from asyncfc_mcp.config.problems import ConfigurationError


def load(folder: Path, flows: Any) -> LoadedConfig:
    file = folder / "config.json"
    servers = {key: {"command": "echo"} for key in ("notes", "web")}
    file.write_text(json.dumps({"mcpServers": servers, "asyncfc": {"flows": flows}}))
    return load_file(file, {})


def test_rules_are_read_in_their_order(tmp_path: Path) -> None:
    loaded = load(tmp_path, [{"from": "notes", "to": "w*", "policy": "ask"}, {"policy": "deny"}])
    rules = [(rule.from_, rule.to, rule.policy) for rule in loaded.config.settings.flows]
    assert rules == [("notes", "w*", "ask"), ("*", "*", "deny")]
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("flows", "problem"),
    [
        ([{"from": "notes"}], 'asyncfc.flows.0.policy is missing; allowed: "allow" or "ask" or "deny"'),
        ([{"policy": "maybe"}], 'asyncfc.flows.0.policy is "maybe"; allowed: "allow", "ask" or "deny"'),
        (
            [{"policy": "ask"}, {"form": "notes", "policy": "deny"}],
            "asyncfc.flows.1.form is an unknown key; allowed: from, to, policy; did you mean from?",
        ),
        ([{"from": 1, "policy": "deny"}], "asyncfc.flows.0.from is 1; allowed: text"),
        (["deny"], 'asyncfc.flows.0 is "deny"; allowed: an object'),
        ("deny", 'asyncfc.flows is "deny"; allowed: a list of rules'),
        ({"policy": "deny"}, "asyncfc.flows is an object; allowed: a list of rules"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, flows: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, flows)
    assert str(refused.value).endswith(problem)


def test_a_rule_that_fits_no_server_is_pointed_out(tmp_path: Path) -> None:
    loaded = load(tmp_path, [{"from": "note", "to": "web", "policy": "deny"}, {"to": "x*", "policy": "deny"}])
    assert loaded.warnings == (
        'asyncfc.flows.0.from: "note" fits no server; did you mean notes?',
        'asyncfc.flows.1.to: "x*" fits no server',
    )
