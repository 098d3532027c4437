"""`off` and `on`: the gateway out of every client's file for a while, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from asyncfc_mcp.adoption.by_command import LeftToRun
from asyncfc_mcp.adoption.changing import carry_out
from asyncfc_mcp.adoption.hands import Hands
from asyncfc_mcp.adoption.journal import HeldByOthers, Journal
from asyncfc_mcp.adoption.switching import NothingDone, switch_off, switch_on, undo
from asyncfc_mcp.clients.places import Platform
from asyncfc_mcp.errors import GatewayError
from tests.adoption.people import PLATFORMS, Person, person, stranger


def on(one: Person) -> list[GatewayError]:
    """What `on` refuses, but for what is left to somebody with `claude` on the PATH."""
    return [refusal for refusal in switch_on(one.hands) if not isinstance(refusal, LeftToRun)]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_off_and_on_leave_every_clients_file_as_it_was(tmp_path: Path, platform: Platform) -> None:
    one = person(tmp_path, platform)
    before = one.files()
    one.init()
    with_gateway = one.files()
    assert switch_off(one.hands) == []
    off = one.files()
    assert {path: off[path] for path in before} == before
    assert on(one) == []
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
    assert on(one) == []
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
    assert on(one) == []
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
    (refusal,) = on(one)
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
    on(one)
    assert one.files() == with_gateway
    undo(one.hands)
    assert one.files() == before


def test_off_leaves_no_copies_behind(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    one.init()
    switch_off(one.hands)
    assert set(one.files()) - set(before) == {"gateway/servers.json", "src/shop/asyncfc.servers.json"}


def test_two_inits_of_one_file_that_is_off_are_undone(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    one.init(servers=("search",))
    one.init(servers=("github",), clients=("cursor",))
    switch_off(one.hands)
    assert undo(one.hands) == []
    assert one.files() == before


def interrupted(_: str) -> None:
    """What comes just behind a file that was written."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("changed_meanwhile", [False, True])
def test_an_on_that_was_interrupted_can_be_undone(tmp_path: Path, changed_meanwhile: bool) -> None:
    one = person(tmp_path)
    one.init(clients=("windsurf",))
    switch_off(one.hands)
    file = tmp_path / ".codeium" / "windsurf" / "mcp_config.json"
    if changed_meanwhile:
        file.write_text(file.read_text().replace('"off"', '"renamed"'))
    before = file.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        switch_on(replace(one.hands, say=interrupted))
    assert b'"asyncfc"' in file.read_bytes()
    assert undo(one.hands) == []
    assert file.read_bytes() == before


def test_on_mends_an_off_that_was_interrupted(tmp_path: Path) -> None:
    one = person(tmp_path)
    one.init(clients=("windsurf",))
    with_gateway = one.files()
    with pytest.raises(KeyboardInterrupt):
        switch_off(replace(one.hands, say=interrupted))
    assert one.files() != with_gateway
    assert on(one) == []
    assert one.files() == with_gateway


def test_what_was_put_back_by_hand_and_done_anew_is_one_change(tmp_path: Path) -> None:
    one = person(tmp_path)
    before = one.files()
    one.init(clients=("windsurf",))
    file = tmp_path / ".codeium" / "windsurf" / "mcp_config.json"
    file.write_bytes(before[".codeium/windsurf/mcp_config.json"])  # as it is when init was killed before it wrote
    one.init(clients=("windsurf",))
    assert [change.is_on for change in one.hands.journal.changes()] == [True, True]
    switch_off(one.hands)
    on(one)
    assert undo(one.hands) == []
    assert one.files() == before


@pytest.mark.parametrize("change", [undo, switch_off, switch_on])
def test_two_commands_are_never_at_work_at_once(
    tmp_path: Path, change: Callable[[Hands], Sequence[GatewayError]]
) -> None:
    one = person(tmp_path)
    one.init()
    before = one.files()
    other = replace(one.hands, journal=Journal(tmp_path / "state", patience_s=0))
    with one.hands.journal.held():
        with pytest.raises(HeldByOthers, match="another `init`"):
            change(other)
        with pytest.raises(HeldByOthers):
            carry_out(one.plan(servers=("linear",)), other)
    assert one.files() == before


@pytest.mark.parametrize("switch", [switch_off, switch_on])
def test_without_init_there_is_nothing_to_switch(tmp_path: Path, switch: object) -> None:
    assert callable(switch)
    with pytest.raises(NothingDone):
        switch(stranger(tmp_path).hands)
