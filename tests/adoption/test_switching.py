"""`off` and `on`: the gateway out of every client's file for a while, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncfc_mcp.adoption.switching import NothingDone, switch_off, switch_on, undo
from asyncfc_mcp.clients.places import Platform
from tests.adoption.people import PLATFORMS, person, stranger


@pytest.mark.parametrize("platform", PLATFORMS)
def test_off_and_on_leave_every_clients_file_as_it_was(tmp_path: Path, platform: Platform) -> None:
    one = person(tmp_path, platform)
    before = one.files()
    one.init()
    with_gateway = one.files()
    assert switch_off(one.hands) == []
    off = one.files()
    assert {path: off[path] for path in before} == before
    assert switch_on(one.hands) == []
    assert one.files() == with_gateway
    assert undo(one.hands) == []
    assert one.files() == before


def test_undo_ends_what_is_off(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    one.init()
    switch_off(one.hands)
    assert undo(one.hands) == []
    assert one.files() == before


def test_switching_twice_does_nothing_more(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init()
    files = one.files()
    assert switch_on(one.hands) == []
    assert one.files() == files
    switch_off(one.hands)
    files = one.files()
    assert switch_off(one.hands) == []
    assert one.files() == files


def test_on_keeps_what_others_changed_while_it_was_off(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init()
    switch_off(one.hands)
    file = tmp_path / ".codeium" / "windsurf" / "mcp_config.json"
    file.write_text(file.read_text().replace('"off"', '"renamed"'))
    assert switch_on(one.hands) == []
    assert '"renamed"' in file.read_text()
    assert '"asyncfc"' in file.read_text()
    assert undo(one.hands) == []
    assert '"renamed"' in file.read_text()
    assert '"asyncfc"' not in file.read_text()


def test_on_refuses_a_server_that_changed_while_it_was_off(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init()
    switch_off(one.hands)
    file = tmp_path / ".codeium" / "windsurf" / "mcp_config.json"
    changed = file.read_text().replace("server-files", "other-files")
    file.write_text(changed)
    (refusal,) = switch_on(one.hands)
    assert "files is not what it was" in str(refusal)
    assert file.read_text() == changed
    assert "asyncfc" in (tmp_path / ".cursor" / "mcp.json").read_text()


def test_two_inits_of_one_file_are_switched_in_their_order(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    one.init(servers=("search",))
    one.init(servers=("github",), clients=("cursor",))
    with_gateway = one.files()
    switch_off(one.hands)
    assert one.files()[".cursor/mcp.json"] == before[".cursor/mcp.json"]
    switch_on(one.hands)
    assert one.files() == with_gateway
    undo(one.hands)
    assert one.files() == before


@pytest.mark.parametrize("switch", [switch_off, switch_on])
def test_without_init_there_is_nothing_to_switch(tmp_path: Path, switch: object) -> None:
    assert callable(switch)
    with pytest.raises(NothingDone):
        switch(stranger(tmp_path).hands)
