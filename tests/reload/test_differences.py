"""What differs between two configurations, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asyncfc_mcp.config.differences import TAKEN_UP, Differences, differences, in_force
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.config.models import GatewayConfig, GatewaySettings


def config(folder: Path, servers: dict[str, Any], **settings: Any) -> GatewayConfig:
    file = folder / "config.json"
    file.write_text(json.dumps({"mcpServers": servers, "asyncfc": settings}))
    return load_file(file, {}).config


def test_what_is_the_same_in_other_words_is_no_difference(tmp_path: Path) -> None:
    before = config(tmp_path, {"a": {"command": "x"}})
    after = config(tmp_path, {"a": {"command": "x", "args": [], "asyncfc": {"mode": "auto"}}}, piggyback="values")
    assert differences(before, after) == Differences()
    assert not differences(before, after).takes_effect


def test_servers_are_added_gone_replaced_and_moved(tmp_path: Path) -> None:
    before = config(tmp_path, {"a": {"command": "x"}, "b": {"command": "x"}, "c": {"command": "x"}})
    new = {"d": {"url": "https://example.org/mcp"}, "c": {"command": "x"}, "b": {"command": "x", "args": ["-v"]}}
    after = config(tmp_path, new)
    found = differences(before, after)
    assert (found.added, found.gone, found.replaced) == (("d",), ("a",), ("b",))
    assert found.is_reordered


def test_env_headers_and_urls_make_another_server_and_are_never_said(tmp_path: Path) -> None:
    def both(secret: str) -> GatewayConfig:
        remote = {"url": f"https://example.org/{secret}", "headers": {"Authorization": secret}}
        return config(tmp_path, {"a": {"command": "x", "env": {"KEY": secret}}, "b": remote})

    found = differences(both("hidden-1"), both("hidden-2"))
    assert found.replaced == ("a", "b")
    assert "hidden" not in str(found)


def test_settings_of_a_server_and_of_its_tools_are_named(tmp_path: Path) -> None:
    def with_settings(**asyncfc: Any) -> GatewayConfig:
        return config(tmp_path, {"a": {"command": "x", "asyncfc": asyncfc}})

    before = with_settings(prefix="p", tools={"t": {"reads": ["x"]}, "same": {"mode": "sync"}})
    after = with_settings(prefix="q", timeout_s=1, tools={"t": {"reads": ["y"]}, "same": {"mode": "sync"}, "u": {}})
    assert differences(before, after).changed == {"a": ("timeout_s", "prefix", "tools.t", "tools.u")}


def test_what_needs_a_restart_is_told_apart_and_stays_as_it_was(tmp_path: Path) -> None:
    server = {"a": {"command": "x"}}
    before = config(tmp_path, server, store="memory", schema="union", ttl_s=1)
    after = config(tmp_path, server, store="sqlite", schema="describe", ttl_s=2)
    found = differences(before, after)
    assert (found.settings, found.needs_restart) == (("ttl_s",), ("store", "schema"))
    counts = in_force(before, after).settings
    assert (counts.store, counts.schema_, counts.ttl_s) == ("memory", "union", 2)
    assert differences(in_force(before, after), after).needs_restart == ("store", "schema")


def test_every_setting_that_is_taken_up_is_one() -> None:
    assert set(GatewaySettings.model_fields) >= TAKEN_UP
